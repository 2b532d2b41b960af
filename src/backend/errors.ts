/** Error classes. Each message names the operation, what it got, what it expected, and what to do. */
import { shareAcrossCopies } from './shared_class.js';

/** Base class of all errors that zfnet throws deliberately. */
export class ZfnetError extends Error {
  /** Name of the class, such as `ShapeError`. It is written out, so that minifiers which shorten class names keep it. */
  override name = 'ZfnetError';
}

/** Shapes or sizes are invalid or do not match. */
export class ShapeError extends ZfnetError {
  override name = 'ShapeError';
}

/** The operation or the backend does not support the element type of a tensor. */
export class DTypeError extends ZfnetError {
  override name = 'DTypeError';
}

/** A tensor was used after it had been freed. The message says what freed it. */
export class DisposedError extends ZfnetError {
  override name = 'DisposedError';
}

/** An argument or option is unknown, of the wrong type or out of range, such as a label outside the classes or a probability above 1. */
export class ValueError extends ZfnetError {
  override name = 'ValueError';
}

/** @deprecated The name of `ValueError` before version 0.2. */
export const RangeOfValueError = ValueError;

/** The engine was used before `await init()`, a backend is not available, or an operation got tensors of different backends. */
export class BackendError extends ZfnetError {
  override name = 'BackendError';
}

/** The device of a backend was lost, such as a GPU after a reset of its driver. All tensors on it are lost; resume from a checkpoint. */
export class DeviceLostError extends BackendError {
  override name = 'DeviceLostError';
}

/** With `init({ check: 'nan' })`: the output of an operation contains NaN or an infinity. */
export class NonFiniteError extends ZfnetError {
  override name = 'NonFiniteError';
  constructor(
    /** Operation whose output was not finite, such as `div`. */
    readonly op: string,
    /** Number of elements that are NaN or infinite. */
    readonly count: number,
    /** Number of elements of the output. */
    readonly total: number,
  ) {
    super(
      `${op}: ${count} of ${total} output values are NaN or infinite, expected finite values; try a lower learning rate, or check the input`,
    );
  }
}

const MEMORY_ADVICE =
  'use a smaller batch or input, or free memory: eval() or noGrad(fn) keep no graph for inference, scope(fn) and dispose() free results';

/** The backend could not allocate memory. It is still usable. */
export class OutOfMemoryError extends ZfnetError {
  override name = 'OutOfMemoryError';
  constructor(
    /** Size of the allocation that failed, in bytes. */
    readonly requestedBytes: number,
    /** Bytes in use by tensors when it failed. */
    readonly liveBytes: number,
    /** Largest number of bytes that the backend can hold, such as 4 GiB for WebAssembly. */
    readonly limitBytes: number,
    /** Operation that needed the memory; `allocate` if it is not known. */
    readonly op = 'allocate',
    /** What the message advises to do. */
    readonly advice = MEMORY_ADVICE,
  ) {
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    super(
      `${op}: out of memory: requested ${mib(requestedBytes)} with ${mib(liveBytes)} allocated and a limit of ${mib(limitBytes)}; ${advice}`,
    );
  }
}

// A backend of one copy of the engine throws errors that another copy handles.
for (const [name, shared] of Object.entries({
  ZfnetError,
  ShapeError,
  DTypeError,
  DisposedError,
  ValueError,
  BackendError,
  DeviceLostError,
  NonFiniteError,
  OutOfMemoryError,
}))
  shareAcrossCopies(shared, name);
