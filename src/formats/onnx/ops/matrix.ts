/** The matrix operators Gemm and MatMul. */
import { add, expand, linear, matmul, mul, relu, reshape, type Tensor } from '../../../tensor/index.js';
import { broadcastShape } from '../../../tensor/shape.js';
import type { Call, Operator } from '../operator.js';

/**
 * Gemm: alpha · op(A) · op(B) + beta · C, with C broadcast. Opsets 6, 7, 9, 11, 13. The form of a fully connected layer is computed
 * by one kernel.
 */
function gemm(call: Call): readonly Tensor[] {
  const { attributes } = call;
  const [a, b, c] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)];
  const [alpha, beta] = [attributes.float('alpha', 1), attributes.float('beta', 1)];
  const [transposeA, transposeB] = [attributes.int('transA', 0) !== 0, attributes.int('transB', 0) !== 0];
  if (a.rank !== 2 || b.rank !== 2) throw call.error(`its matrices have shapes [${a.shape}] and [${b.shape}], expected two axes each`);
  const rows = (c?.rank ?? 1) === 1 && (c?.size ?? b.shape[0]) === b.shape[0];
  if (!transposeA && transposeB && alpha === 1 && rows && (!c || beta === 1)) return [linear(a, b, c, { relu: call.relu })];
  const product = matmul(a, b, { transposeA, transposeB });
  const scaled = alpha === 1 ? product : mul(product, alpha);
  const sum = c ? add(scaled, beta === 1 ? c : mul(c, beta)) : scaled;
  return [call.relu ? relu(sum) : sum];
}

/** MatMul, as in NumPy: vectors are treated as matrices, and batch axes are broadcast. Opsets 1, 9, 13. */
function matMul(call: Call): readonly Tensor[] {
  let [a, b] = [call.tensor(0), call.tensor(1)];
  if (a.rank === 0 || b.rank === 0) throw call.error(`shapes [${a.shape}] and [${b.shape}], expected at least one axis each`);
  const dropRow = a.rank === 1;
  const dropColumn = b.rank === 1;
  if (dropRow) a = reshape(a, [1, a.size]);
  if (dropColumn) b = reshape(b, [b.size, 1]);
  const stack = broadcastShape('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [m, n] = [a.shape[a.rank - 2], b.shape[b.rank - 1]];
  let c: Tensor;
  if (a.rank === 2 && b.rank === 2) c = matmul(a, b);
  else if (b.rank === 2) c = matmul(reshape(a, [a.size / a.shape[a.rank - 1], a.shape[a.rank - 1]]), b);
  else c = matmul(stacked(a, stack), stacked(b, stack));
  return [reshape(c, [...stack, ...(dropRow ? [] : [m]), ...(dropColumn ? [] : [n])])];
}

/** Flattens the batch axes into one. A single matrix keeps a batch axis of 1, which is broadcast. */
function stacked(x: Tensor, stack: readonly number[]): Tensor {
  const matrix = x.shape.slice(-2);
  if (x.size === matrix[0] * matrix[1]) return reshape(x, [1, ...matrix]);
  const whole = x.shape.slice(0, -2).join() === stack.join() ? x : expand(x, [...stack, ...matrix]);
  return reshape(whole, [-1, ...matrix]);
}

export const matrix = {
  Gemm: { run: gemm, weights: [1, 2], fusesRelu: true },
  MatMul: { run: matMul, weights: [0, 1] },
} satisfies Record<string, Operator>;
