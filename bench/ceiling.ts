/** The speed that one thread's arithmetic allows, by a loop that does nothing else: every other speed is given as a share of it. */
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { cpuMs } from './harness.js';

interface Loop {
  ceiling(rounds: number, factor: number): number;
  ROUND: WebAssembly.Global;
}

export interface Ceiling {
  /** Multiplication, then addition. */
  mulAdd: number;
  /** Both in one instruction; undefined where the runtime has no relaxed SIMD. */
  fma?: number;
}

const ROUNDS = 1 << 18;

async function compile(relaxed: boolean): Promise<Loop | undefined> {
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  const source = fileURLToPath(new URL('../assembly/gemm/ceiling.ts', import.meta.url));
  const features = ['--enable', 'simd', ...(relaxed ? ['--enable', 'relaxed-simd'] : [])];
  const { error, stderr } = await asc.main(
    [source, '--config', 'none', '--outFile', 'ceiling.wasm', '-O3', '--runtime', 'stub', ...features],
    {
      writeFile: (_name, contents) => {
        bytes = new Uint8Array(contents as Uint8Array);
      },
    },
  );
  if (error || bytes === undefined) throw new Error(`ceiling: ${error?.message}\n${stderr}`);
  if (!WebAssembly.validate(bytes)) return undefined;
  const instance = await WebAssembly.instantiate(bytes, { env: { abort: () => {} } });
  return instance.instance.exports as unknown as Loop;
}

/**
 * Compiles the loops; what it returns measures them, in GFLOP/s, and gives the best so far: other work on the machine slows them
 * now and then, nothing makes them too fast.
 */
export async function createCeiling(): Promise<() => Ceiling> {
  const [plain, fused] = [await compile(false), await compile(true)];
  const best: Ceiling = { mulAdd: 0 };
  const measure = (loop: Loop, runs: number): number => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < runs; i++)
      least = Math.min(
        least,
        cpuMs(() => loop.ceiling(ROUNDS, 0.5)),
      );
    return (2 * loop.ROUND.value * ROUNDS) / least / 1e6;
  };
  const update = (runs: number): Ceiling => {
    if (plain !== undefined) best.mulAdd = Math.max(best.mulAdd, measure(plain, runs));
    if (fused !== undefined) best.fma = Math.max(best.fma ?? 0, measure(fused, runs));
    return { ...best };
  };
  update(500); // until the runtime has optimised them, and past what else the machine does
  return () => update(12);
}
