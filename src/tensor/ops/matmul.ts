/** Matrix product and batched matrix product. */
import { ShapeError } from '../../backend/errors.js';
import type { MatmulParams } from '../../backend/params.js';
import { boolean, checkOptions } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { broadcastShape, sameShape, sizeOf } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import type { MatmulOptions } from '../tensor_methods.js';
import { expand, reshape, unsqueeze } from './movement.js';

export type { MatmulOptions };

const MATMUL_RULES = { transposeA: boolean, transposeB: boolean };

/**
 * Matrix product over the last two axes; the axes before them are broadcast. ONNX `MatMul`, PyTorch `matmul`.
 *
 * @example matmul(randn([2, 3]), randn([4, 3]), { transposeB: true }) // [2, 4]
 * @param a [..., M, K], or a vector [K], which counts as one row that the result does not have
 * @param b [..., K, N], or a vector [K], which counts as one column that the result does not have
 * @returns [..., M, N]
 * @throws ShapeError if the inner sizes differ or the axes before the last two cannot be broadcast
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkFloat('matmul', a, b);
  checkOptions('matmul', options, MATMUL_RULES);
  if (a.rank === 0 || b.rank === 0) throw new ShapeError(`matmul: shapes [${a.shape}] and [${b.shape}], expected at least one axis each`);
  const [left, right] = [a.rank > 1 ? a : vector(a, 0, options.transposeA), b.rank > 1 ? b : vector(b, 1, options.transposeB)];
  const batch = broadcastShape('matmul', left.shape.slice(0, -2), right.shape.slice(0, -2));
  const [stackA, stackB] = [stacked(left, batch), stacked(right, batch)];
  const c = product(stackA, stackB, a, b, options);
  const shape = [...batch, ...(a.rank > 1 ? [c.shape.at(-2)!] : []), ...(b.rank > 1 ? [c.shape.at(-1)!] : [])];
  const result = sameShape(shape, c.shape) ? c : reshape(c, shape);
  const made = [stackA === left ? null : stackA, stackB === right ? null : stackB, left === a ? null : left, right === b ? null : right];
  for (const each of [...made, result === c ? null : c]) each?.release('matmul');
  return result;
}

/** A vector as a matrix with an axis of extent 1, on the other side where the operand is transposed. */
const vector = (x: Tensor, side: 0 | 1, transposed = false): Tensor => unsqueeze(x, transposed ? 1 - side : side);

/** Merges the axes before the last two to one; repeats the matrices where only some of these axes are broadcast. */
function stacked(x: Tensor, batch: readonly number[]): Tensor {
  const matrix = x.shape.slice(-2);
  const own = sizeOf(x.shape.slice(0, -2));
  if (x.rank === 2 || (x.rank === 3 && (own === 1 || batch.length === 1))) return x;
  if (own === 1) return reshape(x, matrix);
  if (own === sizeOf(batch)) return reshape(x, [own, ...matrix]);
  const full = expand(x, [...batch, ...matrix]);
  const result = reshape(full, [sizeOf(batch), ...matrix]);
  full.release('matmul');
  return result;
}

/** Product of operands of two or three axes. `a` and `b` are the operands as given, for messages. */
function product(left: Tensor, right: Tensor, a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions): Tensor {
  const [rowsA, columnsA] = left.shape.slice(-2);
  const [rowsB, columnsB] = right.shape.slice(-2);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [kb, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  if (k !== kb)
    throw new ShapeError(
      `matmul: [${a.shape}]${transposeA ? 'ᵀ' : ''} · [${b.shape}]${transposeB ? 'ᵀ' : ''}: inner sizes ${k} and ${kb} differ`,
    );
  const batchA = left.rank === 3 ? left.shape[0] : 1;
  const batchB = right.rank === 3 ? right.shape[0] : 1;
  const batch = batchA === 1 ? batchB : batchA;
  const p: MatmulParams = { batch, m, n, k, transposeA, transposeB, strideA: batchA > 1 ? m * k : 0, strideB: batchB > 1 ? k * n : 0 };
  const c = empty('matmul', left.rank === 3 || right.rank === 3 ? [batch, m, n] : [m, n], left.dtype, left.backend);
  left.backend.matmul(c.storage, left.storage, right.storage, p);
  return record('matmul', c, [left, right], [left, right], (dc, [a, b], needs) => matmulBackward(p, dc, a, b, needs));
}

/** da = dc · bᵀ and db = aᵀ · dc, stored in the layout of the operand and, for an operand without batch axis, summed over the batch. */
function matmulBackward(p: MatmulParams, dc: Tensor, a: Tensor, b: Tensor, needs: readonly boolean[]): (Tensor | null)[] {
  const { backend } = dc;
  const { m, n, k, batch } = p;
  const multiply = (
    left: Tensor,
    right: Tensor,
    rows: number,
    columns: number,
    inner: number,
    transposeA: boolean,
    transposeB: boolean,
    like: Tensor,
  ) => {
    const stack = empty('matmul backward', [batch, rows, columns], dc.dtype, backend, false);
    const stride = (t: Tensor, size: number) => (t.size > size ? size : 0);
    backend.matmul(stack.storage, left.storage, right.storage, {
      batch,
      m: rows,
      n: columns,
      k: inner,
      transposeA,
      transposeB,
      strideA: stride(left, rows * inner),
      strideB: stride(right, inner * columns),
    });
    if (stack.size === like.size) {
      const result = stack.alias(like.shape, false);
      stack.release('matmul backward');
      return result;
    }
    const sum = empty('matmul backward', like.shape, dc.dtype, backend, false);
    const size = rows * columns;
    backend.reduce(sum.storage, stack.storage, 'sum', {
      keptShape: [size],
      keptStrides: [1],
      reducedShape: [batch],
      reducedStrides: [size],
    });
    stack.release('matmul backward');
    return sum;
  };
  const da = !needs[0]
    ? null
    : p.transposeA
      ? multiply(b, dc, k, m, n, p.transposeB, true, a)
      : multiply(dc, b, m, k, n, false, !p.transposeB, a);
  const db = !needs[1]
    ? null
    : p.transposeB
      ? multiply(dc, a, n, k, m, true, p.transposeA, b)
      : multiply(a, dc, k, n, m, !p.transposeA, false, b);
  return [da, db];
}
