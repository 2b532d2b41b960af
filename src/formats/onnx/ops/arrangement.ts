/** Operators that repeat, rearrange, accumulate or number elements: Tile, DepthToSpace, SpaceToDepth, CumSum, Range, NonZero, Trilu. */
import { expand, fromHost, matmul, permute, reshape, type Shape, ShapeError, type Tensor, where } from '../../../tensor/index.js';
import { stridesOf } from '../../../tensor/shape.js';
import { checkHostSize, HostValue, isHost, makeHost, type Value } from '../decoding/host_value.js';
import { type Call, checkGrowth, type Operator } from '../operator.js';
import { hostView } from '../running/host_ops.js';

/** Tile. Repeats the tensor along each axis. */
function runTile(call: Call): readonly Value[] {
  const x = call.value(0);
  const repeats = call.ints(1) ?? [];
  if (repeats.length !== x.rank || repeats.some((count) => count < 0))
    throw new ShapeError(`repeats [${repeats}] do not have one number of at least 0 for each axis of shape [${x.shape}]`);
  const shape = x.shape.map((extent, axis) => extent * repeats[axis]);
  // Each axis is divided into the repetition and the element: [r₀, d₀, r₁, d₁, …].
  const divided = x.shape.flatMap((extent, axis) => [repeats[axis], extent]);
  if (isHost(x)) {
    const strides = stridesOf(x.shape).flatMap((stride) => [0, stride]);
    return [new HostValue(x.type, shape, hostView(x, divided, 0, strides).data)];
  }
  checkGrowth(call, x.shape, shape);
  const single = x.shape.flatMap((extent) => [1, extent]);
  return [reshape(expand(reshape(x, single), divided), shape)];
}

function blocks(call: Call, x: Tensor): { n: number; c: number; h: number; w: number; size: number } {
  if (x.rank !== 4) throw new ShapeError(`its input has shape [${x.shape}], expected [N, C, H, W]`);
  const [n, c, h, w] = x.shape;
  const size = call.attributes.int('blocksize', 0);
  if (!(size >= 1)) throw call.error(`blocksize is ${size}, expected at least 1`);
  return { n, c, h, w, size };
}

/** DepthToSpace: moves channels into blocks of `blocksize` × `blocksize` pixels (PyTorch `pixel_shuffle` for mode CRD). */
function runDepthToSpace(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  const { n, c, h, w, size } = blocks(call, x);
  const depth = c / size ** 2;
  if (!Number.isInteger(depth)) throw new ShapeError(`${c} channels cannot be divided into blocks of ${size} × ${size}`);
  const byColumn = call.attributes.word('mode', ['DCR', 'CRD'], 'DCR') === 'CRD';
  const split = reshape(x, byColumn ? [n, depth, size, size, h, w] : [n, size, size, depth, h, w]);
  return [reshape(permute(split, byColumn ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]), [n, depth, h * size, w * size])];
}

/** SpaceToDepth: moves blocks of `blocksize` × `blocksize` pixels into channels. */
function runSpaceToDepth(call: Call): readonly Tensor[] {
  const x = call.tensor(0);
  const { n, c, h, w, size } = blocks(call, x);
  if (h % size !== 0 || w % size !== 0) throw new ShapeError(`${h} × ${w} pixels cannot be divided into blocks of ${size} × ${size}`);
  const split = reshape(x, [n, c, h / size, size, w / size, size]);
  return [reshape(permute(split, [0, 3, 5, 1, 2, 4]), [n, c * size ** 2, h / size, w / size])];
}

/** Longest axis along which a tensor is accumulated: the matrix of ones has the square of this number of elements. */
const MOST_SUMMED = 4096;

/** CumSum. For tensors it is a product with a triangular matrix of ones, which also gives the gradient. */
function runCumSum(call: Call): readonly Value[] {
  const x = call.value(0);
  const axis = call.axis(call.number(1) ?? 0, x.rank);
  const exclusive = call.attributes.int('exclusive', 0) !== 0;
  const reverse = call.attributes.int('reverse', 0) !== 0;
  const extent = x.shape[axis];
  const adds = (to: number, from: number): boolean => {
    const distance = reverse ? from - to : to - from;
    return exclusive ? distance > 0 : distance >= 0;
  };
  if (isHost(x)) return [cumSumOnHost(x, axis, adds)];
  if (extent > MOST_SUMMED) throw call.unsupported(`axis ${axis} has ${extent} elements; supported are at most ${MOST_SUMMED}`);
  return [
    reshape(
      alongAxis(x, axis, extent, (to, from) => (adds(to, from) ? 1 : 0)),
      x.shape,
    ),
  ];
}

function cumSumOnHost(x: HostValue, axis: number, adds: (to: number, from: number) => boolean): HostValue {
  const stride = stridesOf(x.shape)[axis];
  const extent = x.shape[axis];
  return makeHost(x.type, x.shape, (i) => {
    const to = Math.floor(i / stride) % extent;
    let sum = 0;
    for (let from = 0; from < extent; from++) if (adds(to, from)) sum += x.data[i + (from - to) * stride];
    return sum;
  });
}

/**
 * Multiplies a tensor by a matrix along one axis: y[…, i, …] = Σ over j of weight(i, j) · x[…, j, …].
 *
 * @param extent number of elements of the axis in the result
 */
export function alongAxis(x: Tensor, axis: number, extent: number, weight: (to: number, from: number) => number): Tensor {
  const inner = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const before = x.shape[axis];
  const outer = x.size === 0 ? 0 : x.size / (before * inner);
  const size = checkHostSize('float32', [extent, before]);
  const data = x.dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
  for (let i = 0; i < size; i++) data[i] = weight(Math.floor(i / before), i % before);
  const matrix = fromHost(data, [extent, before], { backend: x.backend });
  const shape: Shape = [...x.shape.slice(0, axis), extent, ...x.shape.slice(axis + 1)];
  // Along the last axis, one product of two matrices serves all rows.
  if (inner === 1) return reshape(matmul(reshape(x, [outer, before]), matrix, { transposeB: true }), shape);
  return reshape(matmul(matrix, reshape(x, [outer, before, inner])), shape);
}

/** Range: the numbers from start to below limit by delta, computed on the host. */
function runRange(call: Call): readonly Value[] {
  const [start, limit, delta] = [0, 1, 2].map((slot) => call.number(slot));
  if (start === undefined || limit === undefined || delta === undefined || delta === 0)
    throw call.error(`start ${start}, limit ${limit} and delta ${delta} do not describe a range; delta may not be 0`);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return [makeHost(call.host(0).type, [count], (i) => start + i * delta)];
}

/** NonZero: the indices of the elements other than 0, [rank, count], computed on the host. */
function runNonZero(call: Call): readonly Value[] {
  const x = call.host(0);
  const found: number[] = [];
  for (let i = 0; i < x.size; i++) if (x.data[i] !== 0) found.push(i);
  const strides = stridesOf(x.shape);
  const axes = Math.max(1, x.rank);
  return [
    makeHost('int64', [axes, found.length], (i) => {
      const axis = Math.floor(i / found.length);
      return x.rank === 0 ? 0 : Math.floor(found[i % found.length] / strides[axis]) % x.shape[axis];
    }),
  ];
}

/** Trilu: keeps the upper or lower triangle of each matrix, shifted by k diagonals, and sets the other elements to 0. */
function runTrilu(call: Call): readonly Value[] {
  const x = call.value(0);
  if (x.rank < 2) throw new ShapeError(`its input has shape [${x.shape}], expected at least two axes`);
  const k = call.number(1) ?? 0;
  const upper = call.attributes.int('upper', 1) !== 0;
  const [rows, columns] = x.shape.slice(-2);
  const keeps = (row: number, column: number) => (upper ? column - row >= k : column - row <= k);
  if (isHost(x)) {
    return [makeHost(x.type, x.shape, (i) => (keeps(Math.floor(i / columns) % rows, i % columns) ? x.data[i] : 0))];
  }
  const mask = Float32Array.from({ length: rows * columns }, (_, i) => (keeps(Math.floor(i / columns), i % columns) ? 1 : 0));
  return [where(fromHost(mask, [rows, columns], { backend: x.backend }), x, 0)];
}

export const arrangement = {
  Tile: { run: runTile, host: [1], since: 6, attributes: [] },
  DepthToSpace: { run: runDepthToSpace, attributes: ['blocksize', 'mode'] },
  SpaceToDepth: { run: runSpaceToDepth, attributes: ['blocksize'] },
  CumSum: { run: runCumSum, host: [1], since: 11, attributes: ['exclusive', 'reverse'] },
  Range: { run: runRange, host: 'all', since: 11, attributes: [] },
  NonZero: { run: runNonZero, host: 'all', since: 9, attributes: [] },
  Trilu: { run: runTrilu, host: [1], since: 14, attributes: ['upper'] },
} satisfies Record<string, Operator>;
