/** Operators that select elements: Slice, Gather, GatherElements, GatherND, Pad. A selection that is not a block is computed by one index lookup. */
import { fromHost, pad, type Shape, ShapeError, sizeOf, slice, take } from '../../../tensor/index.js';
import { stridesOf } from '../../../tensor/shape.js';
import { checkHostSize, isHost, makeHost, type Value } from '../decoding/host_value.js';
import { type Call, checkGrowth, type Operator } from '../operator.js';
import { hostView, places } from '../running/host_ops.js';

/** Computes y[i] = x[from(i)], where i and from(i) are row-major indices. */
export function pick(x: Value, shape: Shape, from: (i: number) => number): Value {
  if (isHost(x)) return makeHost(x.type, shape, (i) => x.data[from(i)]);
  const indices = new Int32Array(checkHostSize('int32', shape));
  for (let i = 0; i < indices.length; i++) indices[i] = from(i);
  return take(x, fromHost(indices, shape, { backend: x.backend }));
}

/**
 * Slice. Starts, ends, axes and steps are attributes up to opset 9, and inputs from opset 10 on. Negative starts and ends count from the
 * end of the axis; values beyond the axis are clipped. A negative step selects backwards.
 */
function runSlice(call: Call): readonly Value[] {
  const x = call.value(0);
  const starts = call.listFrom('starts', 1);
  const ends = call.listFrom('ends', 2);
  if (!starts || !ends || starts.length !== ends.length) throw call.error('its starts and ends are missing, or differ in number');
  const axes = (call.listFrom('axes', 3) ?? starts.map((_, i) => i)).map((axis) => call.axis(axis, x.rank));
  const steps = call.ints(4) ?? starts.map(() => 1);
  if (axes.length !== starts.length || steps.length !== starts.length || steps.some((step) => step === 0))
    throw call.error(`its axes [${axes}] and steps [${steps}] do not fit starts [${starts}]; a step may not be 0`);
  const from = x.shape.map(() => 0);
  const step = x.shape.map(() => 1);
  const shape = [...x.shape];
  for (const [i, axis] of axes.entries()) {
    const extent = x.shape[axis];
    const backwards = steps[i] < 0;
    const clip = (value: number, least: number, most: number) => Math.min(Math.max(value < 0 ? value + extent : value, least), most);
    from[axis] = backwards ? clip(starts[i], 0, extent - 1) : clip(starts[i], 0, extent);
    const to = backwards ? clip(ends[i], -1, extent - 1) : clip(ends[i], 0, extent);
    step[axis] = steps[i];
    shape[axis] = Math.max(0, Math.ceil((to - from[axis]) / steps[i]));
  }
  const strides = stridesOf(x.shape);
  const offset = from.reduce((sum, value, axis) => sum + value * strides[axis], 0);
  const stepped = strides.map((stride, axis) => stride * step[axis]);
  if (isHost(x)) return [hostView(x, shape, offset, stepped)];
  if (step.every((value) => value > 0)) {
    const end = from.map((value, axis) => value + (shape[axis] - 1) * step[axis] + 1);
    return [
      slice(
        x,
        from,
        end.map((value, axis) => (shape[axis] === 0 ? from[axis] : value)),
        step,
      ),
    ];
  }
  return [pick(x, shape, places(shape, stepped, offset))];
}

/** Returns a function that reads and checks the i-th index of an input; negative indices count from the end of the axis. */
function indexReader(call: Call, extent: number, slot: number): (i: number) => number {
  const indices = call.host(slot).data;
  return (i) => {
    const index = indices[i] < 0 ? indices[i] + extent : indices[i];
    if (!(index >= 0 && index < extent))
      throw new ShapeError(`index ${indices[i]} at position ${i} is outside the ${extent} elements of the axis`);
    return index;
  };
}

/** Gather. Selects entries along an axis; in the output shape, the shape of the indices replaces this axis. */
function runGather(call: Call): readonly Value[] {
  const x = call.value(0);
  const axis = call.axis(call.attributes.int('axis', 0), x.rank);
  const indices = call.value(1);
  const inner = sizeOf(x.shape.slice(axis + 1));
  const extent = x.shape[axis];
  const index = indexReader(call, extent, 1);
  const count = indices.size;
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  return [
    pick(x, shape, (i) => {
      const outer = Math.floor(i / (count * inner));
      return (outer * extent + index(Math.floor(i / inner) % count)) * inner + (i % inner);
    }),
  ];
}

/** GatherElements. Computes y[i][j] = x[indices[i][j]][j] for axis 0, and likewise for other axes. */
function runGatherElements(call: Call): readonly Value[] {
  const x = call.value(0);
  const axis = call.axis(call.attributes.int('axis', 0), x.rank);
  const { shape } = call.value(1);
  if (shape.length !== x.rank) throw new ShapeError(`indices of shape [${shape}] must have as many axes as the data, [${x.shape}]`);
  const strides = stridesOf(x.shape);
  const beside = places(
    shape,
    strides.map((stride, i) => (i === axis ? 0 : stride)),
  );
  const index = indexReader(call, x.shape[axis], 1);
  return [pick(x, shape, (i) => beside(i) + index(i) * strides[axis])];
}

/** GatherND. Selects slices of the data by tuples of indices along the last axis of the indices. */
function runGatherNd(call: Call): readonly Value[] {
  const x = call.value(0);
  const indices = call.host(1);
  const batch = call.attributes.int('batch_dims', 0);
  const depth = indices.shape.at(-1) ?? 0;
  if (batch < 0 || batch >= Math.min(x.rank, indices.rank) || depth < 1 || batch + depth > x.rank)
    throw new ShapeError(`indices of shape [${indices.shape}] with ${batch} batch axes do not fit data of shape [${x.shape}]`);
  if (indices.shape.slice(0, batch).join() !== x.shape.slice(0, batch).join())
    throw new ShapeError(`indices of shape [${indices.shape}] and data of shape [${x.shape}] differ in their first ${batch} axes`);
  const rest = x.shape.slice(batch + depth);
  const inner = sizeOf(rest);
  const shape = [...indices.shape.slice(0, -1), ...rest];
  const strides = stridesOf(x.shape);
  const perBatch = sizeOf(indices.shape.slice(batch, -1));
  return [
    pick(x, shape, (i) => {
      const tuple = Math.floor(i / inner);
      let place = batch === 0 ? 0 : Math.floor(tuple / perBatch) * strides[batch - 1];
      for (let k = 0; k < depth; k++) {
        const extent = x.shape[batch + k];
        const given = indices.data[tuple * depth + k];
        const index = given < 0 ? given + extent : given;
        if (!(index >= 0 && index < extent)) throw new ShapeError(`index ${given} is outside the ${extent} elements of axis ${batch + k}`);
        place += index * strides[batch + k];
      }
      return place + (i % inner);
    }),
  ];
}

const PAD_MODES = ['constant', 'edge', 'reflect', 'wrap'] as const;

/** For each padding mode, maps a coordinate along an axis (0 is the first element of the input) to the element that is copied. */
const SOURCES: Record<Exclude<(typeof PAD_MODES)[number], 'constant'>, (place: number, extent: number) => number> = {
  edge: (place, extent) => Math.min(Math.max(place, 0), extent - 1),
  reflect: (place, extent) => {
    const period = Math.max(1, 2 * (extent - 1));
    const within = ((place % period) + period) % period;
    return within < extent ? within : period - within;
  },
  wrap: (place, extent) => ((place % extent) + extent) % extent,
};

/**
 * Pad. The amounts (begin…, end…) and the value are attributes up to opset 10, and inputs from opset 11 on; `axes` exists from opset 18
 * on, the mode `wrap` from opset 19 on. Negative amounts crop.
 */
function runPad(call: Call): readonly Value[] {
  const x = call.value(0);
  const amounts = call.listFrom('pads', 1) ?? call.attributes.ints('paddings');
  if (!amounts) throw call.error('it has no pads');
  const axes = (call.ints(3) ?? x.shape.map((_, axis) => axis)).map((axis) => call.axis(axis, x.rank));
  if (amounts.length !== 2 * axes.length)
    throw new ShapeError(`pads [${amounts}] has ${amounts.length} numbers, expected ${2 * axes.length}`);
  const before = x.shape.map(() => 0);
  const after = x.shape.map(() => 0);
  for (const [i, axis] of axes.entries()) [before[axis], after[axis]] = [amounts[i], amounts[i + axes.length]];
  const shape = x.shape.map((extent, axis) => extent + before[axis] + after[axis]);
  if (shape.some((extent) => extent < 0)) throw new ShapeError(`pads [${amounts}] crop more elements than shape [${x.shape}] has`);
  const mode = call.attributes.word('mode', PAD_MODES, 'constant');
  const value = call.number(2) ?? call.attributes.float('value', 0);
  const strides = stridesOf(x.shape);
  const own = stridesOf(shape);
  /** Returns the row-major index in x, or −1 for the padding. */
  const source = (i: number): number => {
    let place = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      let at = (Math.floor(i / own[axis]) % shape[axis]) - before[axis];
      if (mode !== 'constant') at = SOURCES[mode](at, x.shape[axis]);
      else if (at < 0 || at >= x.shape[axis]) return -1;
      place += at * strides[axis];
    }
    return place;
  };
  if (mode !== 'constant') {
    if (x.size === 0 && sizeOf(shape) > 0) throw new ShapeError(`pads: there is nothing to repeat in shape [${x.shape}]`);
    return [pick(x, shape, source)];
  }
  if (isHost(x))
    return [
      makeHost(x.type, shape, (i) => {
        const place = source(i);
        return place < 0 ? value : x.data[place];
      }),
    ];
  checkGrowth(call, x.shape, shape);
  const cut = (amount: number) => Math.max(0, -amount);
  const kept = before.some((amount) => amount < 0) || after.some((amount) => amount < 0);
  const inside = kept
    ? slice(
        x,
        before.map(cut),
        x.shape.map((extent, axis) => extent - cut(after[axis])),
      )
    : x;
  return [
    pad(
      inside,
      shape.map((_, axis) => [Math.max(0, before[axis]), Math.max(0, after[axis])] as const),
      value,
    ),
  ];
}

export const indexing = {
  Slice: { run: runSlice, host: [1, 2, 3, 4] },
  Gather: { run: runGather, host: [1] },
  GatherElements: { run: runGatherElements, host: [1] },
  GatherND: { run: runGatherNd, host: [1], since: 11, attributes: ['batch_dims'] },
  Pad: { run: runPad, host: [1, 2, 3] },
} satisfies Record<string, Operator>;
