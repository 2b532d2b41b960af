/** Local response normalisation across channels and within them, and its gradient. */
import type { Backend, Storage } from '../backend.js';
import type { LrnParams } from '../params.js';
import { HEAVY_GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

/** Maximum pixels per tile, as in assembly/normalize.ts. */
const TILE = 512;

const window = (p: LrnParams) => [p.before, p.after, p.alphaOverSize, p.beta, p.k] as const;

export function normalize(engine: WasmEngine): Pick<Backend, 'localResponseNorm' | 'localResponseNormGrad'> {
  function across(name: 'lrnAcross' | 'lrnAcrossGrad', images: readonly Storage[], p: LrnParams): void {
    const pixels = p.h * p.w;
    const tile = Math.min(TILE, pixels);
    engine.reserveScratch((2 * p.c + 2) * Math.ceil(tile / 8) * 32);
    const units = p.n * Math.ceil(pixels / TILE);
    const pointers = images.map((image) => engine.pointer(image)) as [number, number, number];
    engine.parallel(name, units, HEAVY_GRAIN / (p.c * tile), ...pointers, p.c, pixels, ...window(p));
  }

  /** Scratch: a row with zeros on both sides, then two planes of whole vectors: see assembly/normalize.ts. */
  function within(name: 'lrnWithin' | 'lrnWithinGrad', images: readonly Storage[], p: LrnParams): void {
    const row = Math.ceil(p.w / 4) * 16;
    engine.reserveScratch(row + Math.ceil((p.before + p.after + 1) / 4) * 32 + 64 + 2 * p.h * row);
    const pointers = images.map((image) => engine.pointer(image)) as [number, number, number];
    engine.parallel(name, p.n * p.c, HEAVY_GRAIN / (p.h * p.w), ...pointers, p.h, p.w, ...window(p));
  }

  return {
    localResponseNorm(y, x, p) {
      engine.expect('localResponseNorm', 'float32', y, x);
      if (p.region === 'across') across('lrnAcross', [y, x], p);
      else within('lrnWithin', [y, x], p);
    },

    localResponseNormGrad(dx, dy, x, p) {
      engine.expect('localResponseNormGrad', 'float32', dx, dy, x);
      if (p.region === 'across') across('lrnAcrossGrad', [dx, dy, x], p);
      else within('lrnWithinGrad', [dx, dy, x], p);
    },
  };
}
