/** Max pooling with switches, average pooling and its gradient. */
import type { Backend } from '../backend.js';
import type { PoolParams } from '../params.js';
import type { WasmEngine } from './runtime/engine.js';

type PoolKernels = Pick<Backend, 'maxPool2d' | 'avgPool2d' | 'avgPool2dGrad'>;

/** Elements of windows per chunk. */
const PLACES = 65536;

const sizes = (p: PoolParams) => [p.h, p.w, p.kh, p.kw, p.oh, p.ow, p.strideH, p.strideW] as const;
const allPads = (p: PoolParams) => [p.padTop, p.padLeft, p.padBottom, p.padRight] as const;

const vectors = (count: number) => Math.ceil(count / 4) * 4;

/** Length of a padded image row, such that the windows of a whole vector of outputs stay inside: see assembly/pool2d.ts. */
const paddedRow = (p: PoolParams) => vectors(Math.max(p.padLeft + p.w, vectors(p.ow) * p.strideW + p.dilationW * (p.kw - 1)) + 8);

/** Scratch memory of max pooling in bytes: a padded row, and a window's rows of maxima and their positions. */
const maxScratch = (p: PoolParams) => (paddedRow(p) + 2 * (p.dilationH * (p.kh - 1) + 1) * vectors(p.ow)) * 4;

/** Scratch memory of the gradient of average pooling in bytes: three padded rows, with zeros before one of them. */
const avgGradScratch = (p: PoolParams) => (3 * paddedRow(p) + vectors(p.dilationW * (p.kw - 1) + 1)) * 4;

export function pool2d(engine: WasmEngine): PoolKernels {
  const grain = (p: PoolParams) => PLACES / (p.oh * p.ow * p.kh * p.kw);

  return {
    maxPool2d(y, switches, x, p) {
      engine.expect('maxPool2d', 'float32', y, x);
      if (switches !== null) engine.expect('maxPool2d', 'int32', switches);
      engine.reserveScratch(maxScratch(p));
      const pointers = [engine.pointer(y), switches === null ? 0 : engine.pointer(switches), engine.pointer(x)] as const;
      engine.parallel('maxPool2d', p.planes, grain(p), ...pointers, ...sizes(p), p.padTop, p.padLeft, p.dilationH, p.dilationW);
    },

    avgPool2d(y, x, p) {
      engine.expect('avgPool2d', 'float32', y, x);
      const rest = [...sizes(p), ...allPads(p), p.dilationH, p.dilationW, p.countIncludePad ? 1 : 0] as const;
      engine.parallel('avgPool2d', p.planes, grain(p), engine.pointer(y), engine.pointer(x), ...rest);
    },

    avgPool2dGrad(dx, dy, p) {
      engine.expect('avgPool2dGrad', 'float32', dx, dy);
      engine.reserveScratch(avgGradScratch(p));
      const rest = [...sizes(p), ...allPads(p), p.dilationH, p.dilationW, p.countIncludePad ? 1 : 0] as const;
      engine.parallel('avgPool2dGrad', p.planes, grain(p), engine.pointer(dx), engine.pointer(dy), ...rest);
    },
  };
}
