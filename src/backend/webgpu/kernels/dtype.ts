/** Checks of element types. */
import type { DType, Storage } from '../../backend.js';
import { DTypeError } from '../../errors.js';

/** @throws DTypeError unless all storages have the element type; a storage that is missing (null) is not checked */
export function expect(op: string, dtype: DType, ...storages: readonly (Storage | null)[]): void {
  for (const storage of storages)
    if (storage !== null && storage.dtype !== dtype)
      throw new DTypeError(`${op}: got ${storage.dtype} on the webgpu backend, expected ${dtype}`);
}
