/** Adds the operations to `Tensor` as methods, so that calls can be chained: `x.mul(2).add(y).relu()`. */
import type { DType } from '../backend/backend.js';
import { type BackwardOptions, backward } from './graph/autograd.js';
import type { Operand } from './ops/index.js';
import * as ops from './ops/index.js';
import { Tensor } from './tensor.js';

declare module './tensor.js' {
  interface Tensor {
    add(other: Operand): Tensor;
    sub(other: Operand): Tensor;
    mul(other: Operand): Tensor;
    div(other: Operand): Tensor;
    pow(exponent: Operand): Tensor;
    neg(): Tensor;
    abs(): Tensor;
    exp(): Tensor;
    log(): Tensor;
    sqrt(): Tensor;
    square(): Tensor;
    sigmoid(): Tensor;
    tanh(): Tensor;
    relu(): Tensor;
    clamp(low: number, high: number): Tensor;
    matmul(other: Tensor, options?: ops.MatmulOptions): Tensor;
    softmax(options?: { axis?: number }): Tensor;
    logSoftmax(options?: { axis?: number }): Tensor;
    sum(options?: ops.ReduceOptions): Tensor;
    mean(options?: ops.ReduceOptions): Tensor;
    max(options?: ops.ReduceOptions): Tensor;
    min(options?: ops.ReduceOptions): Tensor;
    argmax(options?: { axis?: number; keepDims?: boolean }): Tensor;
    reshape(shape: readonly number[]): Tensor;
    flatten(start?: number): Tensor;
    squeeze(axes?: number | readonly number[]): Tensor;
    unsqueeze(axis: number): Tensor;
    permute(order?: readonly number[]): Tensor;
    transpose(a?: number, b?: number): Tensor;
    slice(start: readonly number[], end: readonly number[], step?: readonly number[]): Tensor;
    expand(shape: readonly number[]): Tensor;
    cast(dtype: DType): Tensor;
    /**
     * Computes the gradients of this tensor and adds them to `grad` of every leaf that requires a gradient. Frees the graph unless
     * `retainGraph` is set. A tensor of more than one element needs `gradient`. See the function `backward` for all options.
     */
    backward(options?: Omit<BackwardOptions, 'wrt'>): void;
  }
}

const methods = {
  add: ops.add,
  sub: ops.sub,
  mul: ops.mul,
  div: ops.div,
  pow: ops.pow,
  neg: ops.neg,
  abs: ops.abs,
  exp: ops.exp,
  log: ops.log,
  sqrt: ops.sqrt,
  square: ops.square,
  sigmoid: ops.sigmoid,
  tanh: ops.tanh,
  relu: ops.relu,
  clamp: ops.clamp,
  matmul: ops.matmul,
  softmax: ops.softmax,
  logSoftmax: ops.logSoftmax,
  sum: ops.sum,
  mean: ops.mean,
  max: ops.max,
  min: ops.min,
  argmax: ops.argmax,
  reshape: ops.reshape,
  flatten: ops.flatten,
  squeeze: ops.squeeze,
  unsqueeze: ops.unsqueeze,
  permute: ops.permute,
  transpose: ops.transpose,
  slice: ops.slice,
  expand: ops.expand,
  cast: ops.cast,
  backward: (output: Tensor, options?: BackwardOptions) => {
    backward(output, options);
  },
} as const;

for (const [name, fn] of Object.entries(methods)) {
  const run = fn as (self: Tensor, ...rest: unknown[]) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      return run(this, ...rest);
    },
    writable: true,
    configurable: true,
  });
}
