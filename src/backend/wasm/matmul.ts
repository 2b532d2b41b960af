/** Matrix product: picks the kernel by shape, and brings a transposed A into rows. */
import type { Backend } from '../backend.js';
import type { MatmulParams } from '../params.js';
import { gemmKernel, gemmScratch, grainOf, KC, MOVE_FLOP, roundUp, splitProduct } from './gemm.js';
import { linearForward } from './linear.js';
import type { WasmEngine } from './runtime/engine.js';

/** With no more rows than this, no packed number of B would be used often enough: the product runs without packing. */
const FEW_ROWS = 4;
/** The same where B is at least of this many numbers: packing it would move it through memory once more. */
const FEW_ROWS_LARGE = 8;
const LARGE = 2 ** 20;
/** Columns that a unit of such a product covers at most: long stretches of rows read fastest, while those of C stay in the cache. */
const FEW_ROWS_COLUMNS = 8192;
/** With no more rows than this and B transposed, B is read straight from its rows, as a linear layer reads its weights. */
const LINEAR_ROWS = 96;
/** With no more rows than this, or all of k in one block, C need not stay in the cache, and units are wide: B and C pass in long runs. */
const WIDE_ROWS = 192;
/** The most memory that a transposed A may take while it is brought into rows. */
const TRANSPOSED_BYTES = 32 * 2 ** 20;

export const matmul = (engine: WasmEngine): Pick<Backend, 'matmul'> => ({
  matmul(c, a, b, p) {
    const { batch, m, n, k } = p;
    if (batch === 0 || m === 0 || n === 0) return;
    const at = { c: engine.pointer(c), a: engine.pointer(a), b: engine.pointer(b) };
    if (k === 0) {
      engine.kernels.zeroFill(at.c, batch * m * n);
      return;
    }
    const fewRows = !p.transposeB && m <= (k * n < LARGE ? FEW_ROWS : FEW_ROWS_LARGE) && n >= 64;
    const asLinear = p.transposeB && !p.transposeA && m <= LINEAR_ROWS && n >= 64;
    // A matrix times a vector: the vector is a row as well as a column.
    const asVector = n === 1 && !p.transposeA;
    if (!fewRows && !asLinear && !asVector) {
      packed(engine, at.c, at.a, at.b, p);
      return;
    }
    for (let i = 0; i < batch; i++) {
      const ci = at.c + i * m * n * 4;
      const ai = at.a + i * p.strideA * 4;
      const bi = at.b + i * p.strideB * 4;
      if (asVector) linearForward(engine, ci, bi, ai, 0, 1, k, m, false);
      else if (asLinear) linearForward(engine, ci, ai, bi, 0, m, k, n, false);
      else {
        const parts = Math.max(Math.ceil(n / FEW_ROWS_COLUMNS), engine.threads > 1 ? 2 * engine.threads : 1);
        const columns = roundUp(n / parts, 16);
        const units = Math.ceil(n / columns);
        const [rowA, stepA] = p.transposeA ? [1, m] : [k, 1];
        // Memory sets the pace here, about eight times slower than arithmetic would.
        engine.parallel('gemmFewRows', units, grainOf(units, 16 * m * n * k), ci, ai, bi, m, n, k, rowA, stepA, columns);
      }
    }
  },
});

function packed(engine: WasmEngine, c: number, a: number, b: number, p: MatmulParams): void {
  const { batch, m, n, k } = p;
  if (!p.transposeA) {
    product(engine, c, a, b, p.strideA, p.strideB, batch, m, n, k, p.transposeB);
    return;
  }
  // A is [k, m]: as many of its columns at a time as the memory lent to them holds.
  const rows = Math.min(m, Math.max(48, roundUp(Math.floor(TRANSPOSED_BYTES / 4 / k), 48) - 48));
  if (rows === m && (batch === 1 || p.strideA === 0)) {
    engine.temporary(m * k * 4, (turned) => {
      transpose(engine, turned, a, m, k, m);
      product(engine, c, turned, b, 0, p.strideB, batch, m, n, k, p.transposeB);
    });
    return;
  }
  engine.temporary(rows * k * 4, (turned) => {
    for (let i = 0; i < batch; i++) {
      for (let row = 0; row < m; row += rows) {
        const some = Math.min(rows, m - row);
        transpose(engine, turned, a + (i * p.strideA + row) * 4, some, k, m);
        product(engine, c + (i * m + row) * n * 4, turned, b + i * p.strideB * 4, 0, 0, 1, some, n, k, p.transposeB);
      }
    }
  });
}

/** to [rows, k] = columns of from [k, ld], transposed. */
function transpose(engine: WasmEngine, to: number, from: number, rows: number, k: number, ld: number): void {
  const units = Math.ceil(rows / 4);
  engine.parallel('transpose', units, grainOf(units, MOVE_FLOP * rows * k), to, k, from, ld, k, rows);
}

/** A [m, k] by rows. */
function product(
  engine: WasmEngine,
  c: number,
  a: number,
  b: number,
  strideA: number,
  strideB: number,
  batch: number,
  m: number,
  n: number,
  k: number,
  transposeB: boolean,
): void {
  const wide = m <= WIDE_ROWS || k <= KC;
  const { unitRows, unitColumns, units, grain } = splitProduct(engine, m, n, k, batch, undefined, wide ? n : undefined);
  engine.reserveScratch(gemmScratch(unitColumns));
  engine.parallel(
    'gemm',
    units,
    grain,
    gemmKernel(engine, 2 * batch * m * n * k),
    c,
    a,
    b,
    m,
    n,
    k,
    transposeB ? 1 : 0,
    strideA,
    strideB,
    unitRows,
    unitColumns,
  );
}
