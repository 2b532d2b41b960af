/** The error of files whose bytes are not what their format promises. */
import { ZfnetError } from '../tensor/index.js';

/** A file that is truncated, malformed, or of a version or kind that is not read here. */
export class FormatError extends ZfnetError {
  override name = 'FormatError';
}
