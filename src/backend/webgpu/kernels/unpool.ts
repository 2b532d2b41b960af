/**
 * Unpooling by switches (the gradient of max pooling) and its gradient.
 *
 * With the window of the pooling, each output element looks at the windows that cover it. Free switches, as those of `indexSelect`, are
 * sorted: the values of each target are counted, get a place in a list, are ranked within it and added in the order of their indices. The
 * counts and places come from integer atomics; they decide where a list lies, but not the order of the sum.
 */
import type { Backend, Storage } from '../../backend.js';
import type { PoolParams, UnpoolParams } from '../../params.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { fill } from './cast.js';
import { expect } from './dtype.js';
import { eachElement, fields, memo, ownAll, reads, writes } from './lanes.js';
import { COVERED, COVERING, geometryOf, POOL_FIELDS } from './pool2d.js';

/** Values of a longer list are added in parts of this length. */
const PART = 64;

/** With `last`, a later window replaces the value of an earlier one. The maximum of a window is at its switch in the plane. */
const gather = memo(
  (overlap: 'sum' | 'last'): Kernel => ({
    name: 'maxUnpool2d',
    key: `window ${overlap}`,
    buffers: [writes('x'), reads('y'), reads('switches', 'i32')],
    params: POOL_FIELDS,
    code: () =>
      COVERING +
      eachElement(`${COVERED}
  let place = (row - p.padTop) * p.w + column - p.padLeft;
  var value = 0.0;
  for (var oy = oyFrom; oy < oyEnd; oy++) {
    if (!hasTap(row - oy * p.strideH, p.dilationH)) { continue; }
    for (var ox = oxFrom; ox < oxEnd; ox++) {
      let o = outputs + u32(oy * p.ow + ox);
      if (switches[o] == place) { value ${overlap === 'sum' ? '+=' : '='} y[o]; }
    }
  }
  x[i] = value;`),
  }),
);

/** Of the values, those count whose pooled output is positive: where the output of the ReLU is 0, its gradient is too. */
const gatherPositive: Kernel = {
  name: 'maxPool2dReluGrad',
  key: '',
  buffers: [writes('dx'), reads('dy'), reads('y', 'u32'), reads('switches', 'i32')],
  params: POOL_FIELDS,
  code: () =>
    COVERING +
    eachElement(`${COVERED}
  let place = (row - p.padTop) * p.w + column - p.padLeft;
  var value = 0.0;
  for (var oy = oyFrom; oy < oyEnd; oy++) {
    if (!hasTap(row - oy * p.strideH, p.dilationH)) { continue; }
    for (var ox = oxFrom; ox < oxEnd; ox++) {
      let o = outputs + u32(oy * p.ow + ox);
      if (switches[o] == place && y[o] - 1u < 0x7f800000u) { value += dy[o]; }
    }
  }
  dx[i] = value;`),
};

const SIZES = fields('u32', 'count', 'inner', 'outer');

/** Source i: `target_of(i)` is its target in all planes, or -1 if its switch is outside of the plane. */
const TARGET = `
fn target_of(i: u32) -> i32 {
  let place = switches[i];
  return select(i32((i / p.inner) * p.outer) + place, -1, place < 0 || u32(place) >= p.outer);
}
`;

const latest: Kernel = {
  name: 'maxUnpool2d latest',
  key: '',
  buffers: [writes('latest', 'atomic<u32>'), reads('switches', 'i32')],
  params: SIZES,
  code: () => TARGET + eachElement('  let t = target_of(i);\n  if (t >= 0) { atomicMax(&latest[t], i + 1u); }'),
};

const takeLatest: Kernel = {
  name: 'maxUnpool2d last',
  key: '',
  buffers: [writes('x', 'u32'), reads('y', 'u32'), reads('latest', 'u32')],
  params: fields('u32', 'count'),
  code: () => eachElement('  let source = latest[i];\n  x[i] = select(0u, y[max(source, 1u) - 1u], source > 0u);'),
};

const countSources: Kernel = {
  name: 'maxUnpool2d count',
  key: '',
  buffers: [writes('counts', 'atomic<u32>'), reads('switches', 'i32')],
  params: SIZES,
  code: () => TARGET + eachElement('  let t = target_of(i);\n  if (t >= 0) { atomicAdd(&counts[t], 1u); }'),
};

/** Gives each target with values a list; `ends` becomes the place for its next value. The last element of `counts` counts all values. */
const allot: Kernel = {
  name: 'maxUnpool2d allot',
  key: '',
  buffers: [writes('counts', 'atomic<u32>'), writes('ends', 'u32')],
  params: fields('u32', 'count'),
  code: () =>
    eachElement(`
  let own = atomicLoad(&counts[i]);
  if (own > 0u) { ends[i] = atomicAdd(&counts[p.count], own); }`),
};

const placeSources: Kernel = {
  name: 'maxUnpool2d place',
  key: '',
  buffers: [writes('list', 'u32'), writes('ends', 'atomic<u32>'), reads('switches', 'i32')],
  params: SIZES,
  code: () => TARGET + eachElement('  let t = target_of(i);\n  if (t >= 0) { list[atomicAdd(&ends[t], 1u)] = i; }'),
};

/** The rank of a source is the number of sources with a smaller index in its list. Writes its value to the place of its rank. */
const rankSources: Kernel = {
  name: 'maxUnpool2d rank',
  key: '',
  buffers: [
    writes('sorted', 'u32'),
    writes('ranks', 'u32'),
    reads('y', 'u32'),
    ...['list', 'ends', 'counts'].map((name) => reads(name, 'u32')),
    reads('switches', 'i32'),
  ],
  params: SIZES,
  code: () =>
    TARGET +
    eachElement(`
  let t = target_of(i);
  if (t < 0) { return; }
  let end = ends[t];
  let start = end - counts[t];
  var rank = 0u;
  for (var j = start; j < end; j++) { rank += select(0u, 1u, list[j] < i); }
  sorted[start + rank] = y[i];
  ranks[i] = rank;`),
};

/** The first source of each part of a long list adds the part up. */
const addParts: Kernel = {
  name: 'maxUnpool2d parts',
  key: '',
  buffers: [writes('parts'), reads('sorted'), ...['ranks', 'ends', 'counts'].map((name) => reads(name, 'u32')), reads('switches', 'i32')],
  params: SIZES,
  code: () =>
    TARGET +
    eachElement(`
  let t = target_of(i);
  if (t < 0) { return; }
  let own = counts[t];
  let rank = ranks[i];
  if (own <= ${PART}u || rank % ${PART}u != 0u) { return; }
  let start = ends[t] - own;
  var sum = 0.0;
  for (var j = rank; j < min(rank + ${PART}u, own); j++) { sum += sorted[start + j]; }
  parts[start + rank / ${PART}u] = sum;`),
};

const addSources: Kernel = {
  name: 'maxUnpool2d add',
  key: '',
  buffers: [writes('x'), reads('sorted'), reads('parts'), reads('ends', 'u32'), reads('counts', 'u32')],
  params: fields('u32', 'count'),
  code: () =>
    eachElement(`
  let own = counts[i];
  var sum = 0.0;
  if (own > ${PART}u) {
    let start = ends[i] - own;
    for (var j = 0u; j < (own + ${PART - 1}u) / ${PART}u; j++) { sum += parts[start + j]; }
  } else if (own > 0u) {
    for (var j = ends[i] - own; j < ends[i]; j++) { sum += sorted[j]; }
  }
  x[i] = sum;`),
};

const unpoolGrad: Kernel = {
  name: 'maxUnpool2dGrad',
  key: '',
  buffers: [writes('dy', 'u32'), reads('dx', 'u32'), reads('switches', 'i32')],
  params: SIZES,
  code: () => TARGET + eachElement('  let t = target_of(i);\n  dy[i] = select(0u, dx[max(t, 0)], t >= 0);'),
};

export function unpool(queue: GpuQueue): Pick<Backend, 'maxUnpool2d' | 'maxUnpool2dGrad' | 'maxPool2dReluGrad'> {
  const clear = fill(queue);

  function gatherWindows(x: Storage, y: Storage, switches: Storage, overlap: 'sum' | 'last', window: PoolParams): void {
    queue.launch(gather(overlap), ownAll(queue, [x, y, switches]), geometryOf(window, x.size), flatGroups(x.size));
  }

  function keepLast(x: Storage, y: Storage, switches: Storage, { inner, outer }: UnpoolParams): void {
    const found = queue.scratch(4 * x.size);
    clear(found, 0);
    queue.launch(latest, [found, queue.own(switches)], [y.size, inner, outer], flatGroups(y.size));
    queue.launch(takeLatest, [queue.own(x), queue.own(y), found], [x.size], flatGroups(x.size));
    queue.release(found);
  }

  function addAll(x: Storage, y: Storage, switches: Storage, { inner, outer }: UnpoolParams): void {
    const [counts, ends] = [queue.scratch(4 * (x.size + 1)), queue.scratch(4 * x.size)];
    const [list, sorted, ranks] = [queue.scratch(4 * y.size), queue.scratch(4 * y.size), queue.scratch(4 * y.size)];
    const [out, values, places] = ownAll(queue, [x, y, switches]);
    const [sizes, sources, targets] = [[y.size, inner, outer], flatGroups(y.size), flatGroups(x.size)];
    clear(counts, 0);
    queue.launch(countSources, [counts, places], sizes, sources);
    queue.launch(allot, [counts, ends], [x.size], targets);
    queue.launch(placeSources, [list, ends, places], sizes, sources);
    queue.launch(rankSources, [sorted, ranks, values, list, ends, counts, places], sizes, sources);
    // The list is not needed any more: its memory takes the sums of the parts.
    if (inner > PART) queue.launch(addParts, [list, sorted, ranks, ends, counts, places], sizes, sources);
    queue.launch(addSources, [out, sorted, list, ends, counts], [x.size], targets);
    for (const each of [counts, ends, list, sorted, ranks]) queue.release(each);
  }

  return {
    maxUnpool2d(x, y, switches, p) {
      expect('maxUnpool2d', 'float32', x, y);
      expect('maxUnpool2d', 'int32', switches);
      if (x.size === 0) return;
      if (y.size === 0) clear(x, 0);
      else if (p.window !== null) gatherWindows(x, y, switches, p.overlap, p.window);
      else if (p.overlap === 'last') keepLast(x, y, switches, p);
      else addAll(x, y, switches, p);
    },

    maxPool2dReluGrad({ dx }, { dy, y, switches }, p) {
      expect('maxPool2dReluGrad', 'float32', dx, dy, y);
      expect('maxPool2dReluGrad', 'int32', switches);
      if (dx.size > 0) queue.launch(gatherPositive, ownAll(queue, [dx, dy, y, switches]), geometryOf(p, dx.size), flatGroups(dx.size));
    },

    maxUnpool2dGrad(dy, dx, switches, { inner, outer }) {
      expect('maxUnpool2dGrad', 'float32', dy, dx);
      expect('maxUnpool2dGrad', 'int32', switches);
      if (dy.size > 0) queue.launch(unpoolGrad, ownAll(queue, [dy, dx, switches]), [dy.size, inner, outer], flatGroups(dy.size));
    },
  };
}
