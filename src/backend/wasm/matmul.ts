/** Matrix product: chooses the kernel by shape and transposes a transposed A to row-major order. */
import type { Backend } from '../backend.js';
import type { MatmulParams } from '../params.js';
import { gemmKernel, gemmScratch, grainOf, KC, MOVE_FLOP, roundUp, splitProduct } from './gemm.js';
import { linearForward } from './linear.js';
import type { WasmEngine } from './runtime/engine.js';

/** Up to this number of rows, packing B does not pay, since each packed element would be used too rarely. */
const FEW_ROWS = 4;
/** The same limit if B has at least `LARGE` elements, since packing would move it through memory once more. */
const FEW_ROWS_LARGE = 8;
const LARGE = 2 ** 20;
/** Maximum columns per unit of such a product: long rows are read fastest, while the rows of C stay in the cache. */
const FEW_ROWS_COLUMNS = 8192;
/** Up to this number of rows, a transposed B is read directly from its rows, as the weights of a fully connected layer. */
const LINEAR_ROWS = 96;
/** Up to this number of rows, or with all of k in one block, units are as wide as C, since C need not stay in the cache. */
const WIDE_ROWS = 192;
/** Maximum temporary memory for the row-major copy of a transposed A. */
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
    // A matrix times a vector; the memory of the vector is the same as a row and as a column.
    const asVector = n === 1 && !p.transposeA;
    if (!fewRows && !asLinear && !asVector) {
      packed(engine, at.c, at.a, at.b, p);
      return;
    }
    for (let i = 0; i < batch; i++) {
      const ci = at.c + i * m * n * 4;
      const ai = at.a + i * p.strideA * 4;
      const bi = at.b + i * p.strideB * 4;
      if (asVector) linearForward(engine, { y: ci, x: bi, w: ai, b: 0 }, { n: 1, inFeatures: k, outFeatures: m, relu: false });
      else if (asLinear) linearForward(engine, { y: ci, x: ai, w: bi, b: 0 }, { n: m, inFeatures: k, outFeatures: n, relu: false });
      else {
        const parts = Math.max(Math.ceil(n / FEW_ROWS_COLUMNS), engine.threads > 1 ? 2 * engine.threads : 1);
        const columns = roundUp(n / parts, 16);
        const units = Math.ceil(n / columns);
        const [rowA, stepA] = p.transposeA ? [1, m] : [k, 1];
        // Memory-bound: about eight times slower than the arithmetic alone.
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
  // A is [k, m]: transposes as many columns at a time as fit into TRANSPOSED_BYTES.
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

/** Writes the first `rows` columns of `from` [k, ld], transposed, to `to` [rows, k]. */
function transpose(engine: WasmEngine, to: number, from: number, rows: number, k: number, ld: number): void {
  const units = Math.ceil(rows / 4);
  engine.parallel('transpose', units, grainOf(units, MOVE_FLOP * rows * k), to, k, from, ld, k, rows);
}

/** The product for a row-major A [m, k]. */
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
