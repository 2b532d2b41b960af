/** Summary of a network per layer, computed without running it: shapes, parameters, multiply-adds, memory and receptive fields. */
import { arrayOf, checkArgument, finite, instanceOf, orNull, rule } from '../backend/validate.js';
import type { Shape } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import type { FieldAxis, LayeredModel, LayerSummary, ReceptiveField } from './layered_model.js';
import { Module, type ReceptiveWindow, StateError, type WindowGeometry } from './module.js';

const axisRule = rule('an axis', (value) => {
  const { size, jump, start } = (value ?? {}) as FieldAxis;
  return [size, jump, start].every(Number.isFinite);
});
const fieldRule = orNull(
  rule(
    "a receptive field: two axes { size, jump, start }, or 'unknown'",
    (value) => value === 'unknown' || arrayOf(axisRule, 2, 2).test(value),
  ),
);
const windowRule = rule("'point', 'global', a window { kernel, stride, padding, dilation } or null", (value) => {
  if (value === null || value === 'point' || value === 'global') return true;
  const { kernel, stride, padding, dilation } = (value ?? {}) as WindowGeometry;
  return [kernel, stride, padding, dilation].every((each) => arrayOf(finite(), 2, 2).test(each));
});
const modelRule = rule('a network with named layers', (value) => typeof value === 'object' && value !== null);

const PIXEL: FieldAxis = { size: 1, jump: 1, start: 0 };
/** Receptive field of an input pixel: the pixel itself. */
export const PIXEL_FIELD: ReceptiveField = [PIXEL, PIXEL];

/**
 * Receptive field of a layer's output, from the receptive field of its input and the window of the layer.
 *
 * @param window null if it is unknown; the field is then unknown, unless the input's is the whole image
 */
export function growField(field: ReceptiveField, window: ReceptiveWindow | null): ReceptiveField {
  checkArgument('growField', 'the field', field, fieldRule);
  checkArgument('growField', 'the window', window, windowRule);
  if (field === null || window === 'global') return null;
  if (field === 'unknown' || window === null) return 'unknown';
  if (window === 'point') return field;
  const axis = (i: 0 | 1): FieldAxis => ({
    size: field[i].size + (window.kernel[i] - 1) * window.dilation[i] * field[i].jump,
    jump: field[i].jump * window.stride[i],
    start: field[i].start - window.padding[i] * field[i].jump,
  });
  return [axis(0), axis(1)];
}

/** The single window that has the given receptive field; null if it is unknown. */
export function windowOfField(field: ReceptiveField): ReceptiveWindow | null {
  if (field === null) return 'global';
  if (field === 'unknown') return null;
  const [y, x] = field;
  return { kernel: [y.size, x.size], stride: [y.jump, x.jump], padding: [-y.start, -x.start], dilation: [1, 1] };
}

/** Receptive field of the output of consecutive layers in the input of the first of them. */
export const fieldOfRow = (layers: readonly Module[]): ReceptiveField =>
  layers.reduce((field: ReceptiveField, layer) => growField(field, layer.receptiveWindow()), PIXEL_FIELD);

/**
 * The smallest window that contains the windows of all branches of a network. Branches with different strides have no common window; it is
 * then counted as the whole input.
 */
export function unionOfWindows(windows: readonly (ReceptiveWindow | null)[]): ReceptiveWindow | null {
  const fields = windows.map((window) => growField(PIXEL_FIELD, window));
  if (fields.includes(null)) return 'global';
  if (fields.includes('unknown')) return null;
  const known = fields as (readonly [FieldAxis, FieldAxis])[];
  const axis = (i: 0 | 1): FieldAxis | null => {
    const [first] = known;
    if (known.some((field) => field[i].jump !== first[i].jump)) return null;
    const start = Math.min(...known.map((field) => field[i].start));
    return { start, jump: first[i].jump, size: Math.max(...known.map((field) => field[i].start + field[i].size)) - start };
  };
  const [y, x] = [axis(0), axis(1)];
  return y && x ? windowOfField([y, x]) : 'global';
}

/**
 * Receptive field of a layer: the window of the input image that one activation depends on. It does not depend on the input size.
 * Returns null if it is the whole image, or if the model does not report receptive fields; `unknown` if a layer on the way does not report
 * its window.
 *
 * @example const field = receptiveField(model, 'conv5');
 * @throws ValueError if there is no such layer
 */
export function receptiveField(model: LayeredModel, layer: string): ReceptiveField {
  checkArgument('receptiveField', 'model', model, modelRule);
  return model.receptiveField?.(layer) ?? null;
}

/**
 * Patch of the image in the receptive field of the activation at (y, x): [y0, x0, y1, x1] in pixels, end exclusive, clipped to the image.
 *
 * @param field null or `unknown` gives the whole image
 * @param height of the image, in pixels; `width` likewise
 */
export function patchOf(field: ReceptiveField, y: number, x: number, height: number, width: number): [number, number, number, number] {
  checkArgument('patchOf', 'the field', field, fieldRule);
  for (const [name, value] of Object.entries({ y, x, height, width })) checkArgument('patchOf', name, value, finite());
  if (field === null || field === 'unknown') return [0, 0, height, width];
  const span = (axis: FieldAxis, place: number, extent: number): [number, number] => {
    const start = axis.start + place * axis.jump;
    return [Math.min(Math.max(start, 0), extent - 1), Math.min(Math.max(start + axis.size, 1), extent)];
  };
  const [y0, y1] = span(field[0], y, height);
  const [x0, x1] = span(field[1], x, width);
  return [y0, x0, y1, x1];
}

/**
 * Summary of a network for an input shape [N, C, H, W], one entry per layer.
 *
 * @example const [{ name, outputShape, multiplyAdds }] = summarize(model, [1, 3, 64, 64]);
 * @throws ShapeError naming the first layer that does not accept its input
 * @throws StateError for a model without a method `summarize`
 */
export function summarize(model: LayeredModel, input: Shape): LayerSummary[] {
  checkArgument('summarize', 'model', model, modelRule);
  checkShape('summarize', input);
  if (!model.summarize) throw new StateError('summarize: this model has no method `summarize`');
  return model.summarize(input);
}

/** Whether a layer is a convolution, either a `Conv2d` or the `Conv` of an ONNX graph. */
export const isConvolution = (layer: Pick<LayerSummary, 'kind'>): boolean => ['Conv2d', 'Conv'].includes(layer?.kind);

/**
 * Number of values of all parameters, frozen ones included; a shared parameter counts once.
 *
 * @example countParameters(new Linear(4, 2)) // 10
 */
export function countParameters(module: Module): number {
  checkArgument('countParameters', 'module', module, instanceOf(Module));
  return module.parameters().reduce((sum, p) => sum + p.size, 0);
}

/** Sum of numbers; null (unknown) if one of them is unknown. */
export function total(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((sum: number | null, number) => (sum === null || number === null ? null : sum + number), 0);
}
