/**
 * Types of the methods that `methods.ts` adds to `Tensor`. They are in a separate file, with the class of tensors as a type
 * parameter, so that `tensor.ts` can declare them as part of the class: published types cannot add to a class of another file.
 */
import type { BackwardOptionsOf } from './graph/backward_options.js';

/** Options of reductions. */
export interface ReduceOptions {
  /** The axes to reduce; negative ones count from the end. Default all. */
  axes?: number | readonly number[];
  /** Keeps the reduced axes with extent 1. Default false. */
  keepDims?: boolean;
}

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Transposes `a`, which is stored as [..., K, M]. Default false. */
  transposeA?: boolean;
  /** Transposes `b`, which is stored as [..., N, K]. Default false. */
  transposeB?: boolean;
}

/**
 * The operations as methods. Each is the function of the same name with the tensor as its first argument.
 *
 * @typeParam Same tensor of the same element type; `Any` of any element type; `Indices` of type int32
 */
export interface TensorMethods<Same, Any, Indices> {
  add(other: Any | number): Same;
  sub(other: Any | number): Same;
  mul(other: Any | number): Same;
  div(other: Any | number): Same;
  pow(exponent: Any | number): Same;
  neg(): Same;
  abs(): Same;
  exp(): Same;
  log(): Same;
  sqrt(): Same;
  square(): Same;
  sigmoid(): Same;
  tanh(): Same;
  relu(): Same;
  clamp(low: number, high: number): Same;
  matmul(other: Any, options?: MatmulOptions): Same;
  softmax(options?: { axis?: number }): Same;
  logSoftmax(options?: { axis?: number }): Same;
  sum(options?: ReduceOptions): Same;
  mean(options?: ReduceOptions): Same;
  max(options?: ReduceOptions): Same;
  min(options?: ReduceOptions): Same;
  argmax(options?: { axis?: number; keepDims?: boolean }): Indices;
  reshape(shape: readonly number[]): Same;
  flatten(start?: number): Same;
  squeeze(axes?: number | readonly number[]): Same;
  unsqueeze(axis: number): Same;
  permute(order?: readonly number[]): Same;
  transpose(a?: number, b?: number): Same;
  slice(start: readonly number[], end: readonly number[], step?: readonly number[]): Same;
  expand(shape: readonly number[]): Same;
  /**
   * Computes the gradients of this tensor and adds them to `grad` of every leaf that requires a gradient. Frees the graph unless
   * `retainGraph` is set. A tensor of more than one element needs `gradient`. See the function `backward` for all options.
   */
  backward(options?: Omit<BackwardOptionsOf<Any>, 'wrt'>): void;
}
