/** AlexNet as in torchvision: the single-column network of Krizhevsky, "One weird trick", 2014. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../layers/pooling.js';
import { Sequential } from '../sequential.js';
import { CLASSIFIER_RULES } from './options.js';

/**
 * AlexNet with the names and shapes of torchvision: parameters `features.0.weight` … `classifier.6.bias`, inputs [N, 3, 224, 224]. All
 * layers are in one `Sequential`, with the names `features.0`, `features.1`, ….
 *
 * @example const network = alexnet({ classes: 10 });
 * @param options.classes default 1000
 * @param options.dropout probability, default 0.5
 */
export function alexnet(options: { classes?: number; dropout?: number } = {}): Sequential {
  checkOptions('alexnet', options, CLASSIFIER_RULES);
  const { classes = 1000, dropout = 0.5 } = options;
  const pool = () => new MaxPool2d(3, { stride: 2 });
  return new Sequential({
    'features.0': new Conv2d(3, 64, 11, { stride: 4, padding: 2 }),
    'features.1': new ReLU(),
    'features.2': pool(),
    'features.3': new Conv2d(64, 192, 5, { padding: 2 }),
    'features.4': new ReLU(),
    'features.5': pool(),
    'features.6': new Conv2d(192, 384, 3, { padding: 1 }),
    'features.7': new ReLU(),
    'features.8': new Conv2d(384, 256, 3, { padding: 1 }),
    'features.9': new ReLU(),
    'features.10': new Conv2d(256, 256, 3, { padding: 1 }),
    'features.11': new ReLU(),
    'features.12': pool(),
    avgpool: new AdaptiveAvgPool2d(6),
    flatten: new Flatten(),
    'classifier.0': new Dropout(dropout),
    'classifier.1': new Linear(256 * 36, 4096),
    'classifier.2': new ReLU(),
    'classifier.3': new Dropout(dropout),
    'classifier.4': new Linear(4096, 4096),
    'classifier.5': new ReLU(),
    'classifier.6': new Linear(4096, classes),
  });
}
