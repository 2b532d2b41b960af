/** `zfnet/simd.wasm` is a plain AssemblyScript module: the kernels can be used alone with AssemblyScript's own loader. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { instantiate } from '@assemblyscript/loader';
import { describe, expect, it } from 'vitest';
import type { Kernels } from '../../../build/kernels.js';

describe('the kernels by AssemblyScript’s loader', () => {
  it('compute on the given memory', async () => {
    const bytes = await readFile(join(import.meta.dirname, '../../../build/simd.wasm'));
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
    const { exports } = await instantiate(bytes, { env: { memory } });
    const kernels = exports as unknown as Kernels;
    const numbers = new Float32Array(memory.buffer);
    const [x, y, count] = [1 << 20, (1 << 20) + 64, 7];
    const given = Float32Array.of(-2, 3, -0.5, 0, 1.25, -7, 9);
    numbers.set(given, x / 4);
    kernels.relu(y, x, 0, count);
    expect(Array.from(numbers.subarray(y / 4, y / 4 + count))).toEqual([0, 3, 0, 0, 1.25, 0, 9]);
    kernels.affine(y, x, 2, 1, 0, count);
    expect(Array.from(numbers.subarray(y / 4, y / 4 + count))).toEqual(Array.from(given, (value) => 2 * value + 1));
  });
});
