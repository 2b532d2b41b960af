/**
 * Operators whose results are whole numbers or remainders: Floor, Ceil, Round, Sign, Mod. They are computed on the host. Their
 * derivative is 0 almost everywhere, so no gradient passes through them.
 */

import { isFloat } from '../decoding/element_types.js';
import { isHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostBinary, hostMap } from '../running/host_ops.js';

/** Rounds to the nearest whole number, and halves to the nearest even one. */
export function roundHalfToEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const rounding = (fn: (x: number) => number, since: number): Operator => ({
  run: (call) => [hostMap(call.host(0), fn)],
  receptiveWindow: 'point',
  host: 'all',
  since,
  attributes: [],
});

/** Mod. The remainder has the sign of the divisor or, with `fmod` 1, that of the dividend. Floating-point types need `fmod` 1. */
function runMod(call: Call): readonly Value[] {
  const [a, b] = [call.host(0), call.host(1)];
  const ofDividend = call.attributes.int('fmod', 0) !== 0;
  if (!ofDividend && isHost(a) && isFloat(a.type)) throw call.error(`its inputs are ${a.type} and fmod is 0, expected fmod 1`);
  const remainder = (x: number, y: number): number => {
    const rest = x % y;
    return ofDividend || rest === 0 || rest < 0 === y < 0 ? rest : rest + y;
  };
  return [hostBinary('Mod', a, b, remainder)];
}

export const roundings = {
  Floor: rounding(Math.floor, 6),
  Ceil: rounding(Math.ceil, 6),
  Round: rounding(roundHalfToEven, 11),
  Sign: rounding(Math.sign, 9),
  Mod: { run: runMod, receptiveWindow: 'point', host: 'all', since: 10, attributes: ['fmod'] },
} satisfies Record<string, Operator>;
