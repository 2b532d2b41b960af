/** Copy of a strided block to a strided block. */
import type { Backend } from '../../backend.js';
import { flatGroups, type GpuQueue, type Kernel, type ParamField } from '../kernel.js';
import { FLAT_MAIN } from '../wgsl.js';
import { axesOf, INDEX_PARAMS, indexCode, indexValues, mergeAxes } from './axes.js';
import { expect } from './dtype.js';

const PARAMS = (rank: number): ParamField[] => [['count', 'u32'], ['startY', 'i32'], ['startX', 'i32'], ...INDEX_PARAMS(rank)];

/** One element of four bytes per thread; whole words are moved, so that all bits stay. */
const words = (rank: number): Kernel => ({
  name: 'stridedCopy',
  key: `words ${rank}`,
  buffers: [
    { name: 'y', type: 'array<u32>', access: 'read_write' },
    { name: 'x', type: 'array<u32>', access: 'read' },
  ],
  params: PARAMS(rank),
  code: () => `${FLAT_MAIN}
  ${indexCode(rank, 'p.startY', 'p.startX')}
  y[offsetA] = x[offsetB];
}`,
});

/** One byte per thread. Threads that share a word of y change their own byte of it, by atomic operations. */
const bytes = (rank: number): Kernel => ({
  name: 'stridedCopy',
  key: `bytes ${rank}`,
  buffers: [
    { name: 'y', type: 'array<atomic<u32>>', access: 'read_write' },
    { name: 'x', type: 'array<u32>', access: 'read' },
  ],
  params: PARAMS(rank),
  code: () => `${FLAT_MAIN}
  ${indexCode(rank, 'p.startY', 'p.startX')}
  let value = (x[u32(offsetB) >> 2u] >> (8u * (u32(offsetB) & 3u))) & 0xffu;
  let shift = 8u * (u32(offsetA) & 3u);
  atomicAnd(&y[u32(offsetA) >> 2u], ~(0xffu << shift));
  atomicOr(&y[u32(offsetA) >> 2u], value << shift);
}`,
});

const kernels: { words: Kernel[]; bytes: Kernel[] } = { words: [], bytes: [] };

export const movement = (queue: GpuQueue): Pick<Backend, 'stridedCopy'> => ({
  stridedCopy(y, x, { shape, yOffset, yStrides, xOffset, xStrides }) {
    const [to, from] = [queue.own(y), queue.own(x)];
    expect('stridedCopy', x.dtype, y);
    if (y.size === 0 || shape.includes(0)) return;
    // Adjacent threads write adjacent elements of y.
    const axes = mergeAxes(axesOf(shape, yStrides, xStrides).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])));
    const rank = axes.length;
    const width = y.dtype === 'uint8' ? 'bytes' : 'words';
    kernels[width][rank] ??= width === 'bytes' ? bytes(rank) : words(rank);
    const count = axes.reduce((product, [size]) => product * size, 1);
    queue.launch(kernels[width][rank], [to, from], [count, yOffset, xOffset, ...indexValues(axes)], flatGroups(count));
  },
});
