/**
 * A WASM backend whose memory holds NaN wherever nothing was written: new storages, memory that kernels borrow, scratch areas. Whatever a
 * kernel leaves unwritten, or reads before writing it, shows in its result.
 */
import type { Backend } from '../../src/backend/backend.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { createWasmEngine, wasmBackend } from '../../src/backend/wasm/index.js';

/** A NaN as float32, and a number far outside every range as int32. */
const POISON = 0x7fc0dead;

export async function poisonedBackend(threads: number): Promise<Backend> {
  const engine = await createWasmEngine({ threads });
  const poison = (pointer: number, bytes: number) => engine.int32(pointer, Math.ceil(bytes / 4)).fill(POISON);
  const temporary = engine.temporary.bind(engine);
  engine.temporary = (bytes, use) =>
    temporary(bytes, (pointer) => {
      poison(pointer, bytes);
      return use(pointer);
    });
  let scratch = 0;
  const { setScratch } = engine.kernels;
  engine.kernels = {
    ...engine.kernels,
    setScratch(pointer: number) {
      scratch = pointer;
      setScratch(pointer);
    },
  };
  engine.reserveScratch(8192); // makes the engine say where its scratch area lies
  const reserveScratch = engine.reserveScratch.bind(engine);
  engine.reserveScratch = (bytes) => {
    reserveScratch(bytes);
    poison(scratch, bytes);
  };
  return poisonedStorage(wasmBackend(engine), (storage) =>
    poison(engine.pointer(storage), storage.size * (storage.dtype === 'uint8' ? 1 : 4)),
  );
}

/** The float64 reference with storages full of NaN. */
export function poisonedReference(): Backend {
  const backend = createReferenceBackend();
  return poisonedStorage(backend, (storage) => backend.fill(storage, Number.NaN));
}

function poisonedStorage(backend: Backend, poison: (storage: ReturnType<Backend['allocate']>) => void): Backend {
  const allocate = backend.allocate.bind(backend);
  return Object.assign(backend, {
    allocate(...args: Parameters<Backend['allocate']>) {
      const storage = allocate(...args);
      poison(storage);
      return storage;
    },
  });
}
