/** The operators Resize and Upsample, as linear maps along each axis. */
import { add, expand, fromHost, reshape, type Shape, ShapeError, type Tensor } from '../../../tensor/index.js';
import { stridesOf } from '../../../tensor/shape.js';
import { checkHostSize, isHost, type Value } from '../decoding/host_value.js';
import { type Call, checkGrowth, type Operator } from '../operator.js';
import { alongAxis } from './arrangement.js';
import { pick } from './indexing.js';
import { type AxisMap, type Interpolation, interpolationOf, resizedAxis } from './resize_axis.js';

/** One axis that changes. */
interface Axis {
  axis: number;
  extent: number;
  scale: number;
  /** Start and end of the region of interest, from 0 to 1. */
  roi: readonly [number, number];
}

/** Returns the axes of the input to which scales, sizes and regions refer. */
function namedAxes(call: Call, rank: number): number[] {
  const list = call.attributes.ints('axes');
  return list ? list.map((axis) => call.axis(axis, rank)) : Array.from({ length: rank }, (_, axis) => axis);
}

/** Returns the list if it has one number per axis, undefined if it is absent or empty. */
function perAxis(call: Call, what: string, list: readonly number[] | undefined, count: number): readonly number[] | undefined {
  if (!list || list.length === 0) return undefined;
  if (list.length !== count) throw new ShapeError(`${what} [${list}] has ${list.length} numbers, expected ${count}`);
  if (list.some((value) => !(value > 0) || !Number.isFinite(value))) throw call.error(`${what} [${list}] must be above 0`);
  return list;
}

/** Returns the output sizes for `sizes` and the scales that follow from them. */
function fittedSizes(call: Call, x: Shape, axes: readonly number[], sizes: readonly number[]): { sizes: number[]; scales: number[] } {
  const policy = call.attributes.word('keep_aspect_ratio_policy', ['stretch', 'not_larger', 'not_smaller'], 'stretch');
  const ratios = axes.map((axis, i) => sizes[i] / x[axis]);
  if (policy === 'stretch') return { sizes: [...sizes], scales: ratios };
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return { sizes: axes.map((axis) => Math.floor(scale * x[axis] + 0.5)), scales: axes.map(() => scale) };
}

/** Reads scales, sizes and the region of interest, and returns the axes that change. */
function changedAxes(call: Call, x: Shape, interpolation: Interpolation): Axis[] {
  const axes = namedAxes(call, x.length);
  const older = call.opset < 11;
  const scaleList = older ? (call.ints(1) ?? call.attributes.floats('scales')) : call.ints(2);
  const scales = perAxis(call, 'scales', scaleList, axes.length);
  const wanted = older ? undefined : perAxis(call, 'sizes', call.ints(3), axes.length);
  if ((scales === undefined) === (wanted === undefined)) throw call.error('it has neither scales nor sizes, or both; expected one of them');
  const fitted = wanted
    ? fittedSizes(call, x, axes, wanted)
    : { sizes: axes.map((axis, i) => Math.floor(x[axis] * scales![i])), scales: [...scales!] };
  const crops = interpolation.coordinates === 'tf_crop_and_resize';
  const roi = crops ? call.ints(1) : undefined;
  if (crops && roi?.length !== 2 * axes.length)
    throw call.error(`its region of interest has ${roi?.length ?? 0} numbers, expected ${2 * axes.length}`);
  return axes
    .map((axis, i) => ({
      axis,
      extent: fitted.sizes[i],
      scale: fitted.scales[i],
      roi: [roi?.[i] ?? 0, roi?.[i + axes.length] ?? 1] as const,
    }))
    .filter(({ axis, extent, scale }) => crops || extent !== x[axis] || scale !== 1);
}

/** Repeats each element of an axis: nearest-neighbour interpolation by a whole factor. */
function repeated(x: Tensor, axis: number, factor: number): Tensor {
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const extent = x.shape[axis];
  const wide = expand(reshape(x, [...before, extent, 1, ...after]), [...before, extent, factor, ...after]);
  return reshape(wide, [...before, extent * factor, ...after]);
}

/** Returns the factor by which an axis map repeats each element, or null for other maps. */
function repetition({ sources, inputs }: AxisMap): number | null {
  const factor = sources.length / inputs;
  if (!Number.isInteger(factor)) return null;
  return sources.every((source, i) => source === Math.floor(i / factor)) ? factor : null;
}

/** Selects the nearest elements along all axes in one step, which copies infinite values exactly. */
function selected(x: Tensor, maps: readonly { axis: number; map: AxisMap }[]): Value {
  const shape = [...x.shape];
  const strides = stridesOf(x.shape);
  const sources = x.shape.map((extent) => Array.from({ length: extent }, (_, i) => i));
  for (const { axis, map } of maps) {
    shape[axis] = map.sources.length;
    sources[axis] = [...map.sources];
  }
  const own = stridesOf(shape);
  return pick(x, shape, (i) => {
    let place = 0;
    for (let axis = 0; axis < shape.length; axis++) place += sources[axis][Math.floor(i / own[axis]) % shape[axis]] * strides[axis];
    return place;
  });
}

/** Adds the extrapolation value where a position is outside the input along one of the axes. */
function extrapolated(call: Call, y: Tensor, maps: readonly { axis: number; map: AxisMap }[]): Tensor {
  const value = call.attributes.float('extrapolation_value', 0);
  if (value === 0) return y;
  const strides = stridesOf(y.shape);
  const size = checkHostSize('float32', y.shape);
  const data = y.dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
  for (let i = 0; i < data.length; i++)
    if (maps.some(({ axis, map }) => map.outside.has(Math.floor(i / strides[axis]) % y.shape[axis]))) data[i] = value;
  return add(y, fromHost(data, y.shape, { backend: y.backend }));
}

/**
 * Resize. Opset 10 has scales only; later ones have a region of interest, scales and sizes. `antialias` is refused. The gradient is the
 * transposed linear map.
 */
function runResize(call: Call): readonly Value[] {
  const given = call.value(0);
  const x = isHost(given) ? call.asTensor(given, 'input 0') : given;
  const interpolation = interpolationOf(call.attributes, call.opset);
  if (call.attributes.int('antialias', 0) !== 0)
    throw call.unsupported('antialias 1 is not supported; export the model without antialiasing');
  const axes = changedAxes(call, x.shape, interpolation);
  const target = [...x.shape];
  for (const { axis, extent } of axes) target[axis] = extent;
  if (x.size === 0 || target.includes(0)) throw new ShapeError(`shape [${x.shape}] cannot be resized to [${target}]; no axis may be empty`);
  checkGrowth(call, x.shape, target);
  const maps = axes.map(({ axis, extent, scale, roi }) => ({
    axis,
    map: resizedAxis({ inputs: x.shape[axis], outputs: extent, scale, roi }, interpolation),
  }));
  if (maps.length === 0) return [reshape(x, x.shape)];
  if (interpolation.mode === 'nearest' && maps.every(({ map }) => map.outside.size === 0)) {
    const factors = maps.map(({ map }) => repetition(map));
    if (factors.includes(null)) return [selected(x, maps)];
    return [maps.reduce((y, { axis }, i) => repeated(y, axis, factors[i]!), x)];
  }
  const y = maps.reduce((value, { axis, map }) => {
    const rows = map.weights();
    return alongAxis(value, axis, map.sources.length, (to, from) => rows[to * map.inputs + from]);
  }, x);
  return [extrapolated(call, y, maps)];
}

const RESIZE_ATTRIBUTES = [
  'antialias',
  'axes',
  'coordinate_transformation_mode',
  'cubic_coeff_a',
  'exclude_outside',
  'extrapolation_value',
  'keep_aspect_ratio_policy',
  'mode',
  'nearest_mode',
];

export const resizing = {
  Resize: { run: runResize, host: [1, 2, 3], since: 10, attributes: RESIZE_ATTRIBUTES },
  Upsample: { run: runResize, host: [1], attributes: ['mode', 'scales'] },
} satisfies Record<string, Operator>;
