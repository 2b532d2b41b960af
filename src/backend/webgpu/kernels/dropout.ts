/** Dropout. The mask is a function of the Philox word of each element, so that the backward step can compute it again. */
import { type Backend, IN_PLACE } from '../../backend.js';
import type { BufferBinding, GpuQueue, Kernel } from '../kernel.js';
import { flatGroups } from '../kernel.js';
import { FLAT_MAIN, PHILOX } from '../wgsl.js';
import { fill } from './cast.js';
import { expect } from './dtype.js';
import { inputOf } from './elementwise.js';
import { PHILOX_PARAMS, PHILOX_WORDS, philoxValues } from './random.js';

/** Four elements per thread, which are the four words of one Philox counter. */
function kernelOf(inPlace: boolean): Kernel {
  const buffers: BufferBinding[] = [{ name: 'y', type: 'array<vec4f>', access: 'read_write' }];
  if (!inPlace) buffers.push({ name: 'x', type: 'array<vec4f>', access: 'read' });
  return {
    name: 'dropout',
    key: inPlace ? 'in place' : '',
    buffers,
    params: [['count', 'u32'], ...PHILOX_PARAMS, ['threshold', 'u32'], ['scale', 'f32']],
    code: () => `${PHILOX}${PHILOX_WORDS}
${FLAT_MAIN}
  y[i] = select(vec4f(0.0), ${inPlace ? 'y' : 'x'}[i] * p.scale, wordsOf(i) >= vec4u(p.threshold));
}`,
  };
}

const KERNELS = { place: kernelOf(true), copy: kernelOf(false) };

export const dropout = (queue: GpuQueue): Pick<Backend, 'dropout'> => ({
  dropout(y, x, { probability, seed, counter }) {
    expect('dropout', 'float32', y, inputOf(x, y));
    const threshold = Math.floor(probability * 2 ** 32);
    if (threshold >= 2 ** 32) {
      fill(queue)(y, 0);
      return;
    }
    const output = queue.own(y);
    if (y.size === 0) return;
    const vectors = Math.ceil(y.size / 4);
    const values = [vectors, ...philoxValues(seed, counter), threshold, 1 / (1 - probability)];
    if (x === IN_PLACE) queue.launch(KERNELS.place, [output], values, flatGroups(vectors));
    else queue.launch(KERNELS.copy, [output, queue.own(x)], values, flatGroups(vectors));
  },
});
