/** Checks for arguments that are tensors, modules or networks. */
import {
  checkArgument,
  firstNames,
  func,
  instanceOf,
  nearestName,
  objectWith,
  quote,
  type Rule,
  rule,
  show,
  visible,
} from '../backend/validate.js';
import { ShapeError, Tensor, ValueError } from '../tensor/index.js';
import { Module } from './module.js';

export const aTensor: Rule = rule('a Tensor; tensor(data, shape) makes one', (value) => value instanceof Tensor);

export const aModule: Rule = rule('a module, such as zfnet(…), new Sequential([…]) or a layer', instanceOf(Module).test);

/** Rule for a `LayeredModel`: a `Sequential`, an imported network or a network of the user. */
export const layeredModel: Rule = objectWith('a network of named layers, such as zfnet(…), a Sequential or an OnnxModel', {
  train: func,
  layerNames: func,
  layer: func,
  activations: func,
  featureLayer: func,
});

/** Rule for a `Network`: a module that is also a layered model. */
export const network: Rule = rule(layeredModel.expected, (value) => value instanceof Module && layeredModel.test(value));

/** @throws ValueError if the value is not a layered model */
export const checkModel = (op: string, value: unknown): void => checkArgument(op, 'the model', value, layeredModel);

/**
 * Checks that a value is a tensor of one image, [C, H, W] or [1, C, H, W].
 *
 * @throws ValueError for a value that is not a tensor, ShapeError for a tensor of another shape
 */
export function checkImageTensor(op: string, value: unknown): asserts value is Tensor {
  if (!(value instanceof Tensor))
    throw new ValueError(
      `${op}: image is ${show(value)}, expected a Tensor [C, H, W]; ${value instanceof Promise ? 'await it first' : 'make one with tensor(data, [channels, height, width])'}`,
    );
  const { shape, rank } = value;
  if (rank === 3 || (rank === 4 && shape[0] === 1)) return;
  const batch = rank === 4 ? '; take one image of the batch, or use projectBatch' : '';
  throw new ShapeError(`${op}: image has shape [${shape}], expected [C, H, W]${batch}`);
}

/** Error message for an unknown layer name: `there is no layer 'conv9'; the layers are conv1, …; did you mean 'conv1'?` */
export function unknownLayer(name: unknown, names: readonly string[]): string {
  const nearest = typeof name === 'string' ? nearestName(name, names) : null;
  return `there is no layer ${show(name)}; the layers are ${visible(firstNames(names, 40))}${nearest ? `; did you mean ${quote(nearest)}?` : ''}`;
}
