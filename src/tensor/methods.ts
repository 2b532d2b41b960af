/** Adds the operations to `Tensor` as methods, so that calls can be chained: `x.mul(2).add(y).relu()`. */
import type { DType } from '../backend/backend.js';
import { type BackwardOptions, backward } from './graph/autograd.js';
import * as ops from './ops/index.js';
import { Tensor } from './tensor.js';
import type { TensorMethods } from './tensor_methods.js';

/** The methods without `this`: functions whose first argument is the tensor. `cast` has a type of its own in `tensor.ts`. */
type Functions = {
  [Name in keyof TensorMethods<Tensor, Tensor, Tensor>]: (
    self: Tensor,
    ...rest: Parameters<TensorMethods<Tensor, Tensor, Tensor>[Name]>
  ) => ReturnType<TensorMethods<Tensor, Tensor, Tensor>[Name]>;
} & { cast(self: Tensor, dtype: DType): Tensor };

const methods: Functions = {
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
};

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
