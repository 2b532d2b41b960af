/** Checks of element types. */
import type { DType, Storage } from '../../backend.js';
import { DTypeError } from '../../errors.js';

/** @throws DTypeError unless all storages have the element type */
export function expect(op: string, dtype: DType, ...storages: readonly Storage[]): void {
  for (const storage of storages)
    if (storage.dtype !== dtype) throw new DTypeError(`${op}: got ${storage.dtype} on the webgpu backend, expected ${dtype}`);
}
