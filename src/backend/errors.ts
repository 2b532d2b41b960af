/** Typed errors. Each message names the operation, says what was got and what was expected, and what to do about it. */

/** Base of every error that zfnet throws on purpose. */
export class ZfnetError extends Error {
  override name = 'ZfnetError';
}

/** Shapes or sizes that do not fit together. */
export class ShapeError extends ZfnetError {
  override name = 'ShapeError';
}

/** A tensor of a type that the operation or the backend does not take. */
export class DTypeError extends ZfnetError {
  override name = 'DTypeError';
}

/** A tensor was used after its memory had been given back. */
export class DisposedError extends ZfnetError {
  override name = 'DisposedError';
}

/** A value of the wrong kind or outside its range: a label beyond the classes, a probability beyond 1, an unknown option. */
export class ValueError extends ZfnetError {
  override name = 'ValueError';
}

/** @deprecated The name of `ValueError` before version 0.2. */
export const RangeOfValueError = ValueError;

/** The engine was used before `await init()`, or tensors of two backends met. */
export class BackendError extends ZfnetError {
  override name = 'BackendError';
}

/** `init({ check: 'nan' })` found the first operation that made a NaN or an infinity. */
export class NonFiniteError extends ZfnetError {
  override name = 'NonFiniteError';
  constructor(
    readonly op: string,
    readonly count: number,
    readonly total: number,
  ) {
    super(`${op}: ${count} of ${total} output values are NaN or infinite; try a lower learning rate, or look at the input`);
  }
}

/** The backend could not get the memory it was asked for. It stays usable. */
export class OutOfMemoryError extends ZfnetError {
  override name = 'OutOfMemoryError';
  constructor(
    readonly requestedBytes: number,
    readonly liveBytes: number,
    readonly limitBytes: number,
    readonly op = 'allocate',
  ) {
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    super(
      `${op}: out of memory: asked for ${mib(requestedBytes)} with ${mib(liveBytes)} live and a limit of ${mib(limitBytes)}; use a smaller batch or input, or dispose of tensors`,
    );
  }
}
