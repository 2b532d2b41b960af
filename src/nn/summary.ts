/** What a network is made of, by arithmetic alone: shapes, parameters, multiply-adds, memory and receptive fields, a row a layer. */
import { arrayOf, checkArgument, finite, instanceOf, orNull, rule } from '../backend/validate.js';
import { type Shape, sizeOf } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import type { FieldAxis, LayeredModel, LayerSummary, ReceptiveField } from './layered_model.js';
import { Module, type Reach, StateError, type WindowGeometry } from './module.js';

const axisRule = rule('an axis', (value) => {
  const { size, jump, start } = (value ?? {}) as FieldAxis;
  return [size, jump, start].every(Number.isFinite);
});
const fieldRule = orNull(rule('a receptive field: two axes { size, jump, start }', arrayOf(axisRule, 2, 2).test));
const reachRule = rule("'point', 'global' or a window { kernel, stride, padding, dilation }", (value) => {
  if (value === 'point' || value === 'global') return true;
  const { kernel, stride, padding, dilation } = (value ?? {}) as WindowGeometry;
  return [kernel, stride, padding, dilation].every((each) => arrayOf(finite(), 2, 2).test(each));
});
const modelRule = rule('a network with named layers', (value) => typeof value === 'object' && value !== null);

const PIXEL: FieldAxis = { size: 1, jump: 1, start: 0 };
/** What a pixel of the input sees of it: itself. */
export const PIXEL_FIELD: ReceptiveField = [PIXEL, PIXEL];

/** The field of a layer with this reach, from its input's. */
export function growField(field: ReceptiveField, reach: Reach): ReceptiveField {
  checkArgument('growField', 'the field', field, fieldRule);
  checkArgument('growField', 'the reach', reach, reachRule);
  if (field === null || reach === 'global') return null;
  if (reach === 'point') return field;
  const axis = (i: 0 | 1): FieldAxis => ({
    size: field[i].size + (reach.kernel[i] - 1) * reach.dilation[i] * field[i].jump,
    jump: field[i].jump * reach.stride[i],
    start: field[i].start - reach.padding[i] * field[i].jump,
  });
  return [axis(0), axis(1)];
}

/** The one window that has this field. */
export function reachOfField(field: ReceptiveField): Reach {
  if (field === null) return 'global';
  const [y, x] = field;
  return { kernel: [y.size, x.size], stride: [y.jump, x.jump], padding: [-y.start, -x.start], dilation: [1, 1] };
}

/** What one activation of the last of some layers sees of the input of the first. */
export const fieldOfRow = (layers: readonly Module[]): ReceptiveField =>
  layers.reduce((field: ReceptiveField, layer) => growField(field, layer.reach()), PIXEL_FIELD);

/**
 * What one activation of a layer sees of the input, whatever the input's size. A model that tells nothing about it is taken
 * to see everything: null.
 *
 * @throws ValueError where there is no such layer
 */
export function receptiveField(model: LayeredModel, layer: string): ReceptiveField {
  checkArgument('receptiveField', 'model', model, modelRule);
  return model.receptiveField?.(layer) ?? null;
}

/** The patch [y0, x0, y1, x1] (end exclusive, clipped to the image) that the activation at (y, x) sees. */
export function patchOf(field: ReceptiveField, y: number, x: number, height: number, width: number): [number, number, number, number] {
  checkArgument('patchOf', 'the field', field, fieldRule);
  for (const [name, value] of Object.entries({ y, x, height, width })) checkArgument('patchOf', name, value, finite());
  if (field === null) return [0, 0, height, width];
  const span = (axis: FieldAxis, place: number, extent: number): [number, number] => {
    const start = axis.start + place * axis.jump;
    return [Math.min(Math.max(start, 0), extent - 1), Math.min(Math.max(start + axis.size, 1), extent)];
  };
  const [y0, y1] = span(field[0], y, height);
  const [x0, x1] = span(field[1], x, width);
  return [y0, x0, y1, x1];
}

/**
 * A row a layer for an input [N, C, H, W].
 *
 * @throws ShapeError naming the first layer that does not fit
 * @throws StateError for a model that does not describe itself
 */
export function summarize(model: LayeredModel, input: Shape): LayerSummary[] {
  checkArgument('summarize', 'model', model, modelRule);
  checkShape('summarize', input);
  if (!model.summarize) throw new StateError('summarize: this model has no method `summarize` to describe itself');
  return model.summarize(input);
}

/** The summary of layers in a row, each with its input and output shape. */
export function summarizeRow(row: readonly { name: string; layer: Module; input: Shape; output: Shape }[]): LayerSummary[] {
  let field: ReceptiveField = PIXEL_FIELD;
  return row.map(({ name, layer, input, output }) => {
    field = growField(field, layer.reach());
    return {
      name,
      kind: layer.kind,
      outputShape: output,
      parameters: countParameters(layer),
      multiplyAdds: layer.multiplyAdds(input),
      activationBytes: 4 * sizeOf(output),
      receptiveField: field,
    };
  });
}

/** Whether a layer's maps are what a convolution found, be it ours or one of an ONNX graph. */
export const isConvolution = (layer: Pick<LayerSummary, 'kind'>): boolean => ['Conv2d', 'Conv'].includes(layer?.kind);

/** Number of elements of all parameters. */
export function countParameters(module: Module): number {
  checkArgument('countParameters', 'module', module, instanceOf(Module));
  return module.parameters().reduce((sum, p) => sum + p.size, 0);
}
