/** Checks of elements: that all are finite, or that all are indices. The errors come with the next read. */
import type { Backend } from '../../backend.js';
import { NonFiniteError, ValueError } from '../../errors.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { FLAT_MAIN } from '../wgsl.js';
import { expect } from './dtype.js';

const PAGE = { name: 'page', type: 'array<atomic<u32>>', access: 'read_write' } as const;

/** Word 0 of the slot: number of elements that are NaN or infinite. Counts are exact in any order. */
const FINITE: Kernel = {
  name: 'checkFinite',
  key: '',
  buffers: [PAGE, { name: 'x', type: 'array<u32>', access: 'read' }],
  params: [
    ['count', 'u32'],
    ['slot', 'u32'],
  ],
  code: () => `${FLAT_MAIN}
  if ((x[i] & 0x7f800000u) == 0x7f800000u) { atomicAdd(&page[4u * p.slot], 1u); }
}`,
};

/** Word 0: 1 if an index is outside; word 1: 2³² − 1 − position of the first one. */
const INDICES: Kernel = {
  name: 'checkIndices',
  key: 'find',
  buffers: [PAGE, { name: 'indices', type: 'array<i32>', access: 'read' }],
  params: [
    ['count', 'u32'],
    ['slot', 'u32'],
    ['size', 'i32'],
  ],
  code: () => `${FLAT_MAIN}
  if (indices[i] < 0 || indices[i] >= p.size) {
    atomicStore(&page[4u * p.slot], 1u);
    atomicMax(&page[4u * p.slot + 1u], 0xffffffffu - i);
  }
}`,
};

/** Word 2: the index at the position found. */
const INDEX_VALUE: Kernel = {
  name: 'checkIndices',
  key: 'value',
  buffers: [PAGE, { name: 'indices', type: 'array<i32>', access: 'read' }],
  params: [['slot', 'u32']],
  code: () => `@compute @workgroup_size(1)
fn main() {
  if (atomicLoad(&page[4u * p.slot]) == 0u) { return; }
  let position = 0xffffffffu - atomicLoad(&page[4u * p.slot + 1u]);
  atomicStore(&page[4u * p.slot + 2u], bitcast<u32>(indices[position]));
}`,
};

export const checks = (queue: GpuQueue): Pick<Backend, 'checkFinite' | 'checkIndices'> => ({
  checkFinite(x, op) {
    const owned = queue.own(x);
    if (x.dtype !== 'float32' || x.size === 0) return; // whole numbers are finite
    const { page, slot } = queue.check(([count]) => (count > 0 ? new NonFiniteError(op, count, x.size) : null));
    queue.launch(FINITE, [page, owned], [x.size, slot], flatGroups(x.size));
  },

  checkIndices(indices, size, describe) {
    const owned = queue.own(indices);
    expect('checkIndices', 'int32', indices);
    if (indices.size === 0) return;
    const { page, slot } = queue.check(([found, complement, value]) =>
      found === 0 ? null : new ValueError(describe(value | 0, 0xffffffff - complement)),
    );
    queue.launch(INDICES, [page, owned], [indices.size, slot, size], flatGroups(indices.size));
    queue.launch(INDEX_VALUE, [page, owned], [slot], [1]);
  },
});
