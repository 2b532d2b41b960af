/** The error classes of ONNX models. */
import { FormatError } from '../errors.js';

/** Thrown for a model that is damaged, inconsistent or not supported. Names the node and its operator if the error belongs to one. */
export class OnnxError extends FormatError {
  override name = 'OnnxError';
  /** Name of the node that caused the error. */
  readonly node?: string;
  /** Operator of this node, such as `Conv`. */
  readonly operator?: string;

  constructor(message: string, options: { cause?: unknown; node?: string; operator?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.node = options.node;
    this.operator = options.operator;
  }
}

/** Thrown for a valid model with an operator, a type or an attribute that is not supported. The message says what is supported. */
export class UnsupportedError extends OnnxError {
  override name = 'UnsupportedError';
}
