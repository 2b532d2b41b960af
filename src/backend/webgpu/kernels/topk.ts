/**
 * The largest or smallest elements of each row, in order. A few are selected one after the other; many are taken from the sorted row. Both
 * compare pairs of rank and column, which are all different, so that equal elements keep their order.
 */
import type { Backend, Storage } from '../../backend.js';
import type { RowParams } from '../../params.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { expect } from './dtype.js';
import { eachElement, eachRow, fields, lanesFor, memo, reads, rowGroups, writes } from './lanes.js';
import { ORDER } from './numeric.js';

/** More elements per row are found by sorting. */
const MOST_SELECTED = 32;

/** Rank of an element: larger ones come first. For the smallest elements the order is turned round, with NaN last. */
const RANK = `${ORDER}
fn rankOf(b: u32) -> u32 { return select(~order(b), order(b), p.largest == 1u); }
`;

const select = memo(
  (lanes: number): Kernel => ({
    name: 'topk',
    key: `select ${lanes}`,
    buffers: [writes('indices', 'u32'), reads('x', 'u32')],
    params: fields('u32', 'rows', 'columns', 'amount', 'largest'),
    code: () =>
      RANK +
      eachRow(
        lanes,
        ['best'],
        `
  let start = row * p.columns;
  var last = vec2u(0u, 0u);
  for (var n = 0u; n < p.amount; n++) {
    var best = vec2u(0u, 0xffffffffu);
    for (var i = lane; i < p.columns; i += LANES) {
      let rank = rankOf(x[start + i]);
      let later = n == 0u || rank < last.x || (rank == last.x && i > last.y);
      if (later && (rank > best.x || (rank == best.x && i < best.y))) { best = vec2u(rank, i); }
    }
    last = bestLanes(best, lane);
    if (lane == 0u) { indices[row * p.amount + n] = last.y; }
  }`,
      ),
  }),
);

/** Pairs of rank and column, with `width` per row. Those beyond the row come last. */
const makePairs: Kernel = {
  name: 'topk pairs',
  key: '',
  buffers: [writes('pairs', 'vec2u'), reads('x', 'u32')],
  params: fields('u32', 'count', 'columns', 'width', 'largest'),
  code: () =>
    RANK +
    eachElement(`
  let column = i % p.width;
  let row = i / p.width;
  let inside = column < p.columns;
  pairs[i] = vec2u(select(0u, rankOf(x[row * p.columns + min(column, p.columns - 1u)]), inside), column);`),
};

/** One step of bitonic sorting: compares pairs at a distance of `step` in blocks of `block`, of which every other one is turned round. */
const sortStep: Kernel = {
  name: 'topk sort',
  key: '',
  buffers: [writes('pairs', 'vec2u')],
  params: fields('u32', 'count', 'width', 'block', 'step'),
  code: () =>
    eachElement(`
  let first = (i / p.step) * (2u * p.step) + i % p.step;
  let second = first + p.step;
  let a = pairs[first];
  let b = pairs[second];
  let ordered = a.x > b.x || (a.x == b.x && a.y < b.y);
  let turned = ((first % p.width) & p.block) != 0u;
  if (ordered == turned) {
    pairs[first] = b;
    pairs[second] = a;
  }`),
};

const takeColumns: Kernel = {
  name: 'topk columns',
  key: '',
  buffers: [writes('indices', 'u32'), reads('pairs', 'vec2u')],
  params: fields('u32', 'count', 'width', 'amount'),
  code: () => eachElement('  indices[i] = pairs[(i / p.amount) * p.width + i % p.amount].y;'),
};

export function topk(queue: GpuQueue): Pick<Backend, 'topk'> {
  function sortRows(indices: Storage, x: Storage, { rows, columns }: RowParams, amount: number, largest: boolean): void {
    const width = 2 ** Math.ceil(Math.log2(columns));
    const pairs = queue.scratch(8 * rows * width);
    queue.launch(makePairs, [pairs, queue.own(x)], [rows * width, columns, width, largest ? 1 : 0], flatGroups(rows * width));
    const half = (rows * width) / 2;
    for (let block = 2; block <= width; block *= 2)
      for (let step = block / 2; step >= 1; step /= 2) queue.launch(sortStep, [pairs], [half, width, block, step], flatGroups(half));
    queue.launch(takeColumns, [queue.own(indices), pairs], [rows * amount, width, amount], flatGroups(rows * amount));
    queue.release(pairs);
  }

  return {
    topk(indices, x, p, count, largest) {
      expect('topk', 'int32', indices);
      expect('topk', 'float32', x);
      if (count === 0 || p.rows === 0) return;
      if (count > MOST_SELECTED) {
        sortRows(indices, x, p, count, largest);
        return;
      }
      const lanes = lanesFor(queue, p.columns);
      const values = [p.rows, p.columns, count, largest ? 1 : 0];
      queue.launch(select(lanes), [queue.own(indices), queue.own(x)], values, rowGroups(p.rows, lanes));
    },
  };
}
