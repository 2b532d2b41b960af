/** The reference backend against values worked out by hand and central differences: storage. */
import { describe, expect, it } from 'vitest';
import { BackendError, DisposedError, OutOfMemoryError, ShapeError } from '../../../src/backend/errors.js';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { backend, get, put } from './support.js';

describe('storage', () => {
  it('counts bytes, buffers and the peak', () => {
    const own = createReferenceBackend();
    const a = own.allocate('float64', 4);
    const b = own.allocate('uint8', 3);
    expect(own.memory()).toEqual({ bytes: 35, buffers: 2, peakBytes: 35, reservedBytes: 35 });
    own.release(a);
    expect(own.memory()).toEqual({ bytes: 3, buffers: 1, peakBytes: 35, reservedBytes: 3 });
    own.resetPeak();
    expect(own.memory().peakBytes).toBe(3);
    own.release(b);
    expect(own.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('throws on use after release, and on a second release', async () => {
    const own = createReferenceBackend();
    const a = own.allocate('float32', 2);
    own.release(a);
    expect(() => own.fill(a, 1)).toThrow(DisposedError);
    expect(() => own.readSync!(a)).toThrow(DisposedError);
    expect(() => own.release(a)).toThrow(DisposedError);
    await expect(own.read(a)).rejects.toThrow(DisposedError);
  });

  it('stays usable after reaching its limit', () => {
    const own = createReferenceBackend({ limitBytes: 100 });
    const a = own.allocate('float32', 20);
    expect(() => own.allocate('float32', 6)).toThrow(OutOfMemoryError);
    expect(own.memory().bytes).toBe(80);
    expect(own.allocate('float32', 5).size).toBe(5);
    own.release(a);
    expect(own.allocate('float32', 20).size).toBe(20);
  });

  it('throws an OutOfMemoryError for a size beyond that of any array', () => {
    expect(() => createReferenceBackend().allocate('float64', 2 ** 50)).toThrow(OutOfMemoryError);
    expect(() => createReferenceBackend().allocate('float64', 1.5)).toThrow(ShapeError);
  });

  it('reads copies', async () => {
    const a = put([1, 2], 'float32');
    const read = await backend.read(a);
    expect(read).toEqual(new Float32Array([1, 2]));
    read[0] = 9;
    backend.readSync!(a)[1] = 9;
    expect(get(a)).toEqual([1, 2]);
  });

  it('refuses data of another length and tensors of another backend', () => {
    expect(() => backend.write(put([1, 2]), new Float64Array(3))).toThrow(ShapeError);
    expect(() => backend.fill({ dtype: 'float32', size: 1 }, 0)).toThrow(BackendError);
    expect(() => createReferenceBackend().release(put([1]))).toThrow(BackendError);
  });

  it('frees everything on dispose', () => {
    const own = createReferenceBackend();
    const a = own.allocate('int32', 2);
    own.dispose();
    expect(own.memory()).toMatchObject({ bytes: 0, buffers: 0 });
    expect(() => own.readSync!(a)).toThrow(DisposedError);
    expect(() => own.allocate('int32', 1)).toThrow(BackendError);
  });

  it('reports its name and properties', () => {
    expect(backend.info()).toEqual({
      backend: 'reference',
      variant: 'typescript float64',
      threads: 1,
      threadsOffBecause: 'the reference backend is single-threaded',
      mode: 'strict',
    });
    expect(createReferenceBackend({ fallbackBecause: 'no SIMD' }).info().fallbackBecause).toBe('no SIMD');
  });
});
