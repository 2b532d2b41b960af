/** AlexNet (Krizhevsky, Sutskever & Hinton 2012), with the groups that the paper's two GPUs made and its local response normalisation. */
import { checkOptions } from '../../backend/validate.js';
import { Dropout, ReLU } from '../layers/activation.js';
import { Conv2d } from '../layers/conv2d.js';
import { Flatten, Linear } from '../layers/linear.js';
import { LocalResponseNorm } from '../layers/normalization.js';
import { MaxPool2d } from '../layers/pooling.js';
import type { Sequential } from '../sequential.js';
import { SIZED_RULES, type SizedModelOptions, scaledBy } from './options.js';
import { SizedRow } from './sized_row.js';

/**
 * AlexNet of 2012 for inputs of 227 pixels (the paper prints 224): layers `conv1` … `conv5`, `fc6`, `fc7`, `fc8`. Convolutions 2, 4 and 5
 * have two groups, and local response normalisation lies between the ReLU and the pooling of layers 1 and 2. The paper does not divide
 * alpha by the window size, which `LocalResponseNorm` does, so its 10⁻⁴ is written 5·10⁻⁴.
 *
 * `torchvision.alexnet` is the network of 2014, without groups and normalisation.
 *
 * @example const network = alexnet2012({ classes: 10, width: 0.25 });
 * @throws ShapeError naming the first layer for which the input size is too small; the least is 67
 */
export function alexnet2012(options: SizedModelOptions = {}): Sequential {
  checkOptions('alexnet2012', options, SIZED_RULES);
  const { classes = 1000, channels = 3, dropout = 0.5, width = 1, inputSize = 227 } = options;
  const scaled = scaledBy(width);
  const row = new SizedRow('alexnet2012', channels, inputSize);
  const conv = (place: number, maps: number, kernel: number, geometry: { stride?: number; padding?: number; groups?: number }) => {
    // All numbers of maps are even, so that they divide into two groups.
    row.add(`conv${place}`, new Conv2d(row.channels, scaled(maps, 2), kernel, geometry));
    row.add(`relu${place}`, new ReLU());
  };
  const pool = (place: number) => row.add(`pool${place}`, new MaxPool2d(3, { stride: 2 }));
  const norm = (place: number) => row.add(`norm${place}`, new LocalResponseNorm({ size: 5, alpha: 5e-4, beta: 0.75, k: 2 }));

  conv(1, 96, 11, { stride: 4 });
  norm(1);
  pool(1);
  conv(2, 256, 5, { padding: 2, groups: 2 });
  norm(2);
  pool(2);
  conv(3, 384, 3, { padding: 1 });
  conv(4, 384, 3, { padding: 1, groups: 2 });
  conv(5, 256, 3, { padding: 1, groups: 2 });
  pool(5);
  row.add('flatten', new Flatten());
  for (const place of [6, 7]) {
    row.add(`fc${place}`, new Linear(row.channels, scaled(4096)));
    row.add(`relu${place}`, new ReLU());
    row.add(`drop${place}`, new Dropout(dropout));
  }
  row.add('fc8', new Linear(row.channels, classes));
  return row.build();
}
