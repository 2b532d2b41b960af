/** The error of files that the command line writes and of the folders that it writes into. */
import { ZfnetError } from 'zfnet';

/** A file or folder that cannot be written, or that is something else than what is expected there. */
export class FileError extends ZfnetError {
  override name = 'FileError';
}
