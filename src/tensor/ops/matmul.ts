/** Matrix product and batched matrix product. */
import { ShapeError } from '../../backend/errors.js';
import type { MatmulParams } from '../../backend/params.js';
import { boolean, checkOptions } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

export interface MatmulOptions {
  /** Transposes `a`, which is stored as [..., K, M]. Default false. */
  transposeA?: boolean;
  /** Transposes `b`, which is stored as [..., N, K]. Default false. */
  transposeB?: boolean;
}

const MATMUL_RULES = { transposeA: boolean, transposeB: boolean };

/**
 * Matrix product over the last two axes. ONNX `MatMul`, PyTorch `matmul` for two or three axes.
 *
 * @example matmul(a, b, { transposeB: true })
 * @param a [M, K] or [B, M, K]
 * @param b [K, N] or [B, K, N]; an operand without batch axis is used for every batch item of the other
 * @returns [M, N] or [B, M, N]
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkFloat('matmul', a, b);
  checkOptions('matmul', options, MATMUL_RULES);
  const valid = (t: Tensor) => t.rank === 2 || t.rank === 3;
  if (!valid(a) || !valid(b)) throw new ShapeError(`matmul: shapes [${a.shape}] and [${b.shape}], expected two or three axes each`);
  const { transposeA = false, transposeB = false } = options;
  const [rowsA, columnsA] = a.shape.slice(-2);
  const [rowsB, columnsB] = b.shape.slice(-2);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [kb, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  if (k !== kb)
    throw new ShapeError(
      `matmul: [${a.shape}]${transposeA ? 'ᵀ' : ''} · [${b.shape}]${transposeB ? 'ᵀ' : ''}: inner sizes ${k} and ${kb} differ`,
    );
  const batchA = a.rank === 3 ? a.shape[0] : 1;
  const batchB = b.rank === 3 ? b.shape[0] : 1;
  if (batchA !== batchB && batchA !== 1 && batchB !== 1)
    throw new ShapeError(`matmul: got batches of ${batchA} and ${batchB} matrices, expected equal sizes or 1`);
  const batch = batchA === 1 ? batchB : batchA;
  const p: MatmulParams = { batch, m, n, k, transposeA, transposeB, strideA: batchA > 1 ? m * k : 0, strideB: batchB > 1 ? k * n : 0 };
  const c = empty('matmul', a.rank === 3 || b.rank === 3 ? [batch, m, n] : [m, n], a.dtype, a.backend);
  a.backend.matmul(c.storage, a.storage, b.storage, p);
  return record('matmul', c, [a, b], [a, b], (dc, [a, b], needs) => matmulBackward(p, dc, a, b, needs));
}

/** da = dc · bᵀ and db = aᵀ · dc, stored in the layout of the operand and, for an operand without batch axis, summed over the batch. */
function matmulBackward(p: MatmulParams, dc: Tensor, a: Tensor, b: Tensor, needs: readonly boolean[]): (Tensor | null)[] {
  const { backend } = dc;
  const { m, n, k, batch } = p;
  const product = (
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
      ? product(b, dc, k, m, n, p.transposeB, true, a)
      : product(dc, b, m, k, n, false, !p.transposeB, a);
  const db = !needs[1]
    ? null
    : p.transposeB
      ? product(dc, a, n, k, m, true, p.transposeA, b)
      : product(a, dc, k, n, m, !p.transposeA, false, b);
  return [da, db];
}
