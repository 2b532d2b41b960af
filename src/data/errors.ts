/** The error class of data sources. Its messages name the file or source, what was found, what was expected and what to do. */
import { ZfnetError } from '../backend/errors.js';
import { shareAcrossCopies } from '../backend/shared_class.js';

/** Thrown for a data source or an image that is missing, damaged or in an unexpected format. */
export class DataError extends ZfnetError {
  override name = 'DataError';
  constructor(
    message: string,
    /** Path of the file or folder that caused the error, if there is one. */
    readonly file?: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

shareAcrossCopies(DataError, 'DataError');

/** Returns the first line of the message of any thrown value. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].trim();
}
