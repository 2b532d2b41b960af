/** Fully connected layer: y = x · wᵀ + b. Reads the weights once, directly from memory. */
import type { Backend } from '../backend.js';
import type { LinearParams } from '../params.js';
import { gemmKernel, grainOf, KC, MOVE_FLOP, roundUp } from './gemm.js';
import type { WasmEngine } from './runtime/engine.js';

/** Up to this number of rows of x, the product is computed as dot products without packing. */
const FEW_ROWS = 8;
/** Maximum rows of x that are packed together. */
const PACKED_ROWS = 192;
/** Rows of w per unit. */
const UNIT_ROWS = 48;

export const linear = (engine: WasmEngine): Pick<Backend, 'linear'> => ({
  linear(y, x, w, b, p) {
    const at = { y: engine.pointer(y), x: engine.pointer(x), w: engine.pointer(w), b: b === null ? 0 : engine.pointer(b) };
    linearForward(engine, at, p);
  },
});

/** Pointers to the operands of a fully connected layer; `b` is 0 without a bias. */
interface LinearPointers {
  y: number;
  x: number;
  w: number;
  b: number;
}

/** y [n, out] = x [n, in] · w [out, in]ᵀ + b, by pointers. */
export function linearForward(engine: WasmEngine, { y, x, w, b }: LinearPointers, p: LinearParams): void {
  const { n, inFeatures, outFeatures, relu } = p;
  if (n === 0 || outFeatures === 0) return;
  // The kernel for few rows also handles zero features, whose result is the bias.
  if (n <= FEW_ROWS || inFeatures === 0) {
    const units = Math.ceil(outFeatures / 4);
    // Memory-bound: about eight times slower than the arithmetic alone.
    const grain = grainOf(units, 16 * n * inFeatures * outFeatures);
    engine.parallel('linearFewRows', units, grain, y, x, w, b, n, inFeatures, outFeatures, relu ? 1 : 0);
    return;
  }
  const kernel = gemmKernel(engine, 2 * n * inFeatures * outFeatures);
  const most = Math.min(n, PACKED_ROWS);
  engine.reserveScratch(UNIT_ROWS * roundUp(most, 16) * 4);
  engine.temporary(roundUp(most, 16) * inFeatures * 4, (packed) => {
    for (let row = 0; row < n; row += PACKED_ROWS) {
      const rows = Math.min(PACKED_ROWS, n - row);
      const from = x + row * inFeatures * 4;
      const blocks = Math.ceil(inFeatures / KC);
      engine.parallel('linearPack', blocks, grainOf(blocks, MOVE_FLOP * rows * inFeatures), kernel, packed, from, rows, inFeatures);
      const to = y + row * outFeatures * 4;
      const units = Math.ceil(outFeatures / UNIT_ROWS);
      const grain = grainOf(units, 2 * rows * inFeatures * outFeatures);
      const flag = relu ? 1 : 0;
      engine.parallel('linear', units, grain, kernel, to, packed, w, b, rows, inFeatures, outFeatures, flag, UNIT_ROWS);
    }
  });
}
