/** What can be wrong with an ONNX model beyond its bytes. */
import { FormatError } from '../errors.js';

/** A model that is damaged, contradicts itself, or needs what is not supported here. Names the node and its operator where there is one. */
export class OnnxError extends FormatError {
  override name = 'OnnxError';
  /** Name of the node at fault. */
  readonly node?: string;
  /** Its operator: `Conv`. */
  readonly operator?: string;

  constructor(message: string, options: { cause?: unknown; node?: string; operator?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.node = options.node;
    this.operator = options.operator;
  }
}

/** A sound model that needs an operator, a type or a form of one that this library does not have. The message says what it has. */
export class UnsupportedError extends OnnxError {
  override name = 'UnsupportedError';
}
