/** The error class of malformed files. */
import { ZfnetError } from '../tensor/index.js';

/** Thrown for a file that is truncated, malformed, or of an unsupported version or kind. */
export class FormatError extends ZfnetError {
  override name = 'FormatError';
}
