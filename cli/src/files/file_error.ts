/** Defines the error class for files and folders that the command line writes. */
import { ZfnetError } from 'zfnet';

/** Thrown if a file or folder cannot be written, or is of another kind than expected. */
export class FileError extends ZfnetError {
  override name = 'FileError';
}
