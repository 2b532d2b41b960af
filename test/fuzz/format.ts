/** The interface of a format for the fuzz runner. */
import type { Random } from './random.js';

/** The files of one input by name; the arguments of a command line are in a file `arguments.json`. */
export type Files = Readonly<Record<string, Uint8Array>>;

export interface Target {
  /** Makes an input: valid files with something changed in them. */
  make(random: Random): Files | Promise<Files>;
  /**
   * Reads the input as a user's program would. It returns where the input is accepted, throws an error of zfnet where it is
   * refused, and throws `WrongResult` where it is accepted and gives what the format does not promise.
   *
   * @param folder an empty folder of this input's own, which is removed afterwards
   */
  attempt(files: Files, folder: string): Promise<void>;
}

export interface Format {
  /** Makes the valid files that inputs begin with. Called once in each process. */
  open(): Promise<Target>;
}

/** An input was accepted, and what came of it is wrong. */
export class WrongResult extends Error {
  override name = 'WrongResult';
}

export function expectThat(condition: boolean, message: () => string): void {
  if (!condition) throw new WrongResult(message());
}

/** Whether two lists of numbers hold the same bits. */
export function sameBits(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return Buffer.compare(Buffer.from(a.buffer, a.byteOffset, a.byteLength), Buffer.from(b.buffer, b.byteOffset, b.byteLength)) === 0;
}
