/** Operators that change or return shapes: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Concat, Split, Shape, Size. */
import type { ReceptiveWindow } from '../../../nn/index.js';
import { concat, expand, permute, reshape, type Shape, ShapeError, sizeOf, slice } from '../../../tensor/index.js';
import { broadcastShape, broadcastStrides, stridesOf } from '../../../tensor/shape.js';
import type { Attributes } from '../decoding/attributes.js';
import { HostValue, hostInts, isHost, MAX_RANK, makeHost, type Value } from '../decoding/host_value.js';
import { type Call, checkGrowth, type Operator } from '../operator.js';
import { hostConcat, hostView } from '../running/host_ops.js';

/** Returns the same elements with another shape. */
export function reshaped(x: Value, shape: Shape): Value {
  if (shape.length > MAX_RANK) throw new ShapeError(`a tensor of ${shape.length} axes is wanted, at most ${MAX_RANK} are allowed`);
  if (!isHost(x)) return reshape(x, shape);
  if (sizeOf(shape) !== x.size) throw new ShapeError(`a value of shape [${x.shape}] has ${x.size} elements and cannot become [${shape}]`);
  return new HostValue(x.type, shape, x.data);
}

/**
 * Reshape. A 0 copies the dimension of the input, unless `allowzero` is set (from opset 14 on); −1 is inferred. The shape is an input
 * from opset 5 on.
 */
function runReshape(call: Call): readonly Value[] {
  const x = call.value(0);
  const wanted = call.listFrom('shape', 1);
  if (!wanted) throw call.error('it has no shape');
  const keepZero = call.attributes.int('allowzero', 0) !== 0;
  const shape = wanted.map((extent, i) => (extent === 0 && !keepZero ? (x.shape[i] ?? 0) : extent));
  const free = shape.indexOf(-1);
  if (free >= 0) {
    const known = sizeOf(shape.filter((_, i) => i !== free));
    shape[free] = known === 0 ? 0 : x.size / known;
  }
  if (shape.some((extent) => !Number.isInteger(extent) || extent < 0) || sizeOf(shape) !== x.size)
    throw new ShapeError(`a tensor of shape [${x.shape}] has ${x.size} elements and cannot become [${wanted}]`);
  return [reshaped(x, shape)];
}

function runFlatten(call: Call): readonly Value[] {
  const x = call.value(0);
  const axis = call.axis(call.attributes.int('axis', 1), x.rank, true);
  return [reshaped(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))])];
}

/** Squeeze. The axes are an attribute up to opset 12, and an input from opset 13 on. */
function runSqueeze(call: Call): readonly Value[] {
  const x = call.value(0);
  const axes = call.listFrom('axes', 1)?.map((axis) => call.axis(axis, x.rank));
  const wrong = axes?.find((axis) => x.shape[axis] !== 1);
  if (wrong !== undefined) throw new ShapeError(`axis ${wrong} of shape [${x.shape}] has extent ${x.shape[wrong]}, expected 1`);
  return [
    reshaped(
      x,
      x.shape.filter((extent, axis) => (axes ? !axes.includes(axis) : extent !== 1)),
    ),
  ];
}

function runUnsqueeze(call: Call): readonly Value[] {
  const x = call.value(0);
  const list = call.listFrom('axes', 1);
  if (!list) throw call.error('it has no axes');
  const rank = x.rank + list.length;
  if (rank > MAX_RANK) throw new ShapeError(`a tensor of ${rank} axes is wanted, at most ${MAX_RANK} are allowed`);
  const axes = list.map((axis) => call.axis(axis, rank));
  if (new Set(axes).size !== axes.length) throw new ShapeError(`axes [${list}] name an axis twice`);
  const rest = [...x.shape];
  return [
    reshaped(
      x,
      Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
    ),
  ];
}

function runTranspose(call: Call): readonly Value[] {
  const x = call.value(0);
  const order = call.attributes.ints('perm') ?? x.shape.map((_, i) => x.rank - 1 - i);
  if (!isHost(x)) return [permute(x, order)];
  if ([...order].sort((a, b) => a - b).some((axis, i) => axis !== i) || order.length !== x.rank)
    throw new ShapeError(`perm [${order}] does not name each of the ${x.rank} axes once`);
  const strides = stridesOf(x.shape);
  const pick = (list: readonly number[]) => order.map((axis) => list[axis]);
  return [hostView(x, pick(x.shape), 0, pick(strides))];
}

/** A permutation between [N, H, W, C] and [N, C, H, W] does not enlarge the receptive field. */
function transposeWindow(attributes: Attributes): ReceptiveWindow {
  const order = attributes.ints('perm')?.join();
  return order === '0,3,1,2' || order === '0,2,3,1' || order === '0,1,2,3' ? 'point' : 'global';
}

function runExpand(call: Call): readonly Value[] {
  const x = call.value(0);
  const shape = broadcastShape('Expand', x.shape, call.ints(1) ?? []);
  if (isHost(x)) return [hostView(x, shape, 0, broadcastStrides(x.shape, shape))];
  checkGrowth(call, x.shape, shape);
  return [expand(x, shape)];
}

function runConcat(call: Call): readonly Value[] {
  const values = call.inputs.map((_, i) => call.value(i));
  const axis = call.axis(call.attributes.int('axis', 1), values[0].rank);
  if (values.every(isHost)) return [hostConcat(values, axis)];
  const tensors = values.map((value, i) => call.asTensor(value, `input ${i}`));
  return [tensors.length === 1 ? reshape(tensors[0], tensors[0].shape) : concat(tensors, axis)];
}

/**
 * Split. The sizes of the parts are an attribute up to opset 12, and an input from opset 13 on. Without them the parts are equal, one per
 * output, and the last may be smaller.
 */
function runSplit(call: Call): readonly (Value | null)[] {
  const x = call.value(0);
  const axis = call.axis(call.attributes.int('axis', 0), x.rank);
  const extent = x.shape[axis];
  const count = call.attributes.int('num_outputs') ?? call.outputs.length;
  const even = Math.ceil(extent / count);
  const parts = call.listFrom('split', 1) ?? Array.from({ length: count }, (_, i) => Math.max(0, Math.min(even, extent - i * even)));
  if (parts.some((part) => part < 0) || parts.reduce((sum, part) => sum + part, 0) !== extent || parts.length < call.outputs.length)
    throw new ShapeError(`parts [${parts}] do not sum to the ${extent} elements of axis ${axis} in ${call.outputs.length} outputs`);
  let at = 0;
  return parts.map((part, i) => {
    const from = at;
    at += part;
    return call.wants(i) ? block(x, axis, from, part) : null;
  });
}

function block(x: Value, axis: number, from: number, length: number): Value {
  if (!isHost(x)) {
    const start = x.shape.map((_, i) => (i === axis ? from : 0));
    return slice(
      x,
      start,
      x.shape.map((extent, i) => (i === axis ? from + length : extent)),
    );
  }
  const strides = stridesOf(x.shape);
  return hostView(
    x,
    x.shape.map((extent, i) => (i === axis ? length : extent)),
    from * strides[axis],
    strides,
  );
}

/** Shape. From opset 15 on, `start` and `end` select some of the dimensions. */
function runShape(call: Call): readonly Value[] {
  const { shape, rank } = call.value(0);
  const clip = (value: number) => Math.min(Math.max(value < 0 ? value + rank : value, 0), rank);
  const { attributes } = call;
  return [hostInts(shape.slice(clip(attributes.int('start', 0)), clip(attributes.int('end', rank))))];
}

export const shapes = {
  Reshape: { run: runReshape, host: [1], integers: [0] },
  Flatten: { run: runFlatten, integers: 'all' },
  Squeeze: { run: runSqueeze, host: [1], integers: [0] },
  Unsqueeze: { run: runUnsqueeze, host: [1], integers: [0] },
  Transpose: { run: runTranspose, receptiveWindow: transposeWindow },
  Expand: { run: runExpand, host: [1] },
  Concat: { run: runConcat, receptiveWindow: (attributes) => (attributes.int('axis', 1) === 1 ? 'point' : 'global') },
  Split: { run: runSplit, host: [1], receptiveWindow: (attributes) => (attributes.int('axis', 0) === 1 ? 'point' : 'global') },
  Shape: { run: runShape, integers: 'all' },
  Size: { run: (call) => [makeHost('int64', [], () => call.value(0).size)], integers: 'all' },
} satisfies Record<string, Operator>;
