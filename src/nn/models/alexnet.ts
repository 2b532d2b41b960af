/** AlexNet as in torchvision: the single-column network of Krizhevsky, "One weird trick", 2014. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import { Sequential } from '../sequential.js';
import { DROPOUT_RULES, type DropoutModelOptions, scaledBy } from './options.js';

/**
 * AlexNet with the names and shapes of torchvision: parameters `features.0.weight` … `classifier.6.bias`, inputs [N, 3, 224, 224]. All
 * layers are in one `Sequential`, with the names `features.0`, `features.1`, ….
 *
 * @example const network = alexnet({ classes: 10, width: 0.25 });
 */
export function alexnet(options: DropoutModelOptions = {}): Sequential {
  checkOptions('alexnet', options, DROPOUT_RULES);
  const { classes = 1000, channels = 3, dropout = 0.5, width = 1 } = options;
  const [n64, n192, n384, n256, units] = [64, 192, 384, 256, 4096].map((count) => scaledBy(width)(count));
  const pool = () => new MaxPool2d(3, { stride: 2 });
  return new Sequential({
    'features.0': new Conv2d(channels, n64, 11, { stride: 4, padding: 2 }),
    'features.1': new ReLU(),
    'features.2': pool(),
    'features.3': new Conv2d(n64, n192, 5, { padding: 2 }),
    'features.4': new ReLU(),
    'features.5': pool(),
    'features.6': new Conv2d(n192, n384, 3, { padding: 1 }),
    'features.7': new ReLU(),
    'features.8': new Conv2d(n384, n256, 3, { padding: 1 }),
    'features.9': new ReLU(),
    'features.10': new Conv2d(n256, n256, 3, { padding: 1 }),
    'features.11': new ReLU(),
    'features.12': pool(),
    avgpool: new AdaptiveAvgPool2d(6),
    flatten: new Flatten(),
    'classifier.0': new Dropout(dropout),
    'classifier.1': new Linear(n256 * 36, units),
    'classifier.2': new ReLU(),
    'classifier.3': new Dropout(dropout),
    'classifier.4': new Linear(units, units),
    'classifier.5': new ReLU(),
    'classifier.6': new Linear(units, classes),
  });
}
