/** The one error of the data room: it names the file or source, what was found there, what was expected and what to do. */
import { ZfnetError } from '../backend/errors.js';

/** A data source or an image that is missing, broken or not in the promised format. */
export class DataError extends ZfnetError {
  override name = 'DataError';
  constructor(
    message: string,
    /** The file or folder at fault, where there is one. */
    readonly file?: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** The message of whatever was thrown, on one line. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].trim();
}
