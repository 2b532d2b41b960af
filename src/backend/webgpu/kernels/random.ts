/**
 * Random numbers from Philox: element i uses word i mod 4 at (seed, counter + ⌊i / 4⌋). They are equal to those of the wasm backend bit for
 * bit, so that a network starts with the same weights everywhere: the shaders compute in float64, with integers.
 */
import type { Backend, Storage } from '../../backend.js';
import { flatGroups, type GpuQueue, type Kernel, type ParamField } from '../kernel.js';
import { FLAT_MAIN, PHILOX } from '../wgsl.js';
import { expect } from './dtype.js';
import { double, FLOAT64, float64Program, horner } from './float64.js';

/** The position in the random stream. */
export const PHILOX_PARAMS: readonly ParamField[] = [
  ['seedLow', 'u32'],
  ['seedHigh', 'u32'],
  ['counterLow', 'u32'],
  ['counterHigh', 'u32'],
];

/** `wordsOf(i)`: the words of elements 4i to 4i + 3. Needs `PHILOX` and `PHILOX_PARAMS`. */
export const PHILOX_WORDS = `
fn wordsOf(i: u32) -> vec4u {
  let low = p.counterLow + i;
  return philox(low, p.counterHigh + select(0u, 1u, low < i), p.seedLow, p.seedHigh);
}`;

const TWO_32 = 2 ** 32;
const halves = (value: number): number[] => [value % TWO_32, Math.floor(value / TWO_32)];

/** Values of `PHILOX_PARAMS`. */
export const philoxValues = (seed: number, counter: number): number[] => [...halves(seed), ...halves(counter)];

const bits = new DataView(new ArrayBuffer(8));

/** Returns the low and the high word of a float64. */
function words(value: number): number[] {
  bits.setFloat64(0, value, true);
  return [bits.getUint32(0, true), bits.getUint32(4, true)];
}

const kernelOf = (name: string, first: string, second: string, functions: string, vector: string): Kernel => ({
  name,
  key: '',
  buffers: [{ name: 'y', type: 'array<vec4f>', access: 'read_write' }],
  params: [
    ['count', 'u32'],
    ...PHILOX_PARAMS,
    [`${first}Low`, 'u32'],
    [`${first}High`, 'u32'],
    [`${second}Low`, 'u32'],
    [`${second}High`, 'u32'],
  ],
  code: () => `${PHILOX}${PHILOX_WORDS}${FLOAT64}${functions}
${FLAT_MAIN}
  let words = wordsOf(i);
  let ${first} = fromBits(p.${first}Low, p.${first}High);
  let ${second} = fromBits(p.${second}Low, p.${second}High);
  y[i] = ${vector};
}`,
});

/** low + u · range, where u is the upper 24 bits of the word as a number in [0, 1). */
const UNIFORM = kernelOf(
  'uniform',
  'low',
  'range',
  `
fn uniforms(words: vec4u, low: Double, range: Double) -> vec4f {
  // A loop, since functions are inlined.
  var y = vec4f(0.0);
  for (var lane = 0; lane < 4; lane = lane + 1) { y[lane] = toFloat(add(low, mul(scaled(fromInt(words[lane] >> 8u), -24), range))); }
  return y;
}`,
  'uniforms(words, low, range)',
);

/** Coefficients of fdlibm, the highest power first, as in assembly/random.ts. */
const LOG = [
  0.14798198605116586, 0.15313837699209373, 0.1818357216161805, 0.22222198432149784, 0.2857142874366239, 0.3999999999940942,
  0.6666666666666735,
];
const SIN = [
  1.58969099521155e-10, -2.5050760253406863e-8, 2.7557313707070068e-6, -0.0001984126982985795, 0.00833333333332249, -0.16666666666666632,
];
const COS = [
  -1.1359647557788195e-11, 2.087572321298175e-9, -2.7557314351390663e-7, 2.480158728947673e-5, -0.001388888888887411, 0.0416666666666666,
];

/**
 * Box-Muller, in the order of operations of assembly/random.ts. Inputs: m and k with u = 2^k · m, the angle `turn` as a number of quarter turns
 * from −½ to ½, and the standard deviation. Results: the radius, and cosine and sine of the angle.
 */
const { register, code: PROGRAM } = float64Program(
  ['m', 'k', 'turn', 'deviation'],
  [
    // log u = k · ln 2 + log m by the series of f / (2 + f), f = m − 1
    ['f', 'm', '-', 1],
    ['s', 'f', '+', 2],
    ['s', 'f', '/', 's'],
    ['z', 's', '*', 's'],
    ['half', 'f', '*', 'f'],
    ['half', 'half', '*', 0.5],
    ...horner('tail', 'z', LOG),
    ['tail', 'tail', '*', 'z'],
    ['tail', 'half', '+', 'tail'],
    ['tail', 's', '*', 'tail'],
    ['s', 'k', '*', 1.9082149292705877e-10],
    ['tail', 'tail', '+', 's'],
    ['tail', 'half', '-', 'tail'],
    ['tail', 'tail', '-', 'f'],
    ['radius', 'k', '*', 0.6931471803691238],
    ['radius', 'radius', '-', 'tail'],
    ['radius', 'radius', '*', -2],
    ['radius', 'radius', 'root', 0.5],
    ['radius', 'deviation', '*', 'radius'],
    // sine and cosine of at most an eighth of a turn
    ['turn', 'turn', '*', 1.5707963267948966],
    ['z', 'turn', '*', 'turn'],
    ...horner('sine', 'z', SIN),
    ['sine', 'sine', '*', 'z'],
    ['sine', 'sine', '*', 'turn'],
    ['sine', 'turn', '+', 'sine'],
    ...horner('cosine', 'z', COS),
    ['cosine', 'cosine', '*', 'z'],
    ['cosine', 'cosine', '*', 'z'],
    ['half', 'z', '*', 0.5],
    ['half', 1, '-', 'half'],
    ['cosine', 'half', '+', 'cosine'],
    ['sine', 'radius', '*', 'sine'],
    ['cosine', 'radius', '*', 'cosine'],
  ],
);

/** Words 0 and 1 give elements 0 and 1 by cosine and sine, words 2 and 3 give elements 2 and 3. */
const BOX_MULLER = `${PROGRAM}
fn boxMullers(words: vec4u, mean: Double, deviation: Double) -> vec4f {
  var y = vec4f(0.0);
  for (var pair = 0; pair < 2; pair = pair + 1) {
    let even = words[2 * pair];
    let odd = words[2 * pair + 1];
    var r: Registers;
    // u = (even + 1) / 2^32 = 2^k · m with m in [√½, √2]
    var m = scaled(fromInt(even + 1u), -32);
    if (even == 0xffffffffu) { m = ${double(1)}; }
    var k = m.exponent;
    m = scaled(m, -k);
    let most = ${double(Math.SQRT2)};
    if (m.high > most.high || (m.high == most.high && m.low > most.low)) { m = scaled(m, -1); k = k + 1; }
    // Four times the turns, odd / 2^30: its nearest whole number, of two the even one, and the rest.
    var quarter = odd >> 30u;
    let fraction = odd & 0x3fffffffu;
    let up = fraction > 0x20000000u || (fraction == 0x20000000u && (quarter & 1u) == 1u);
    quarter = quarter + select(0u, 1u, up);
    r[${register('m')}] = m;
    r[${register('k')}] = fromSigned(k);
    r[${register('turn')}] = scaled(fromSigned(i32(fraction) - select(0, 0x40000000, up)), -30);
    r[${register('deviation')}] = deviation;
    compute(&r);
    for (var second = 0u; second < 2u; second = second + 1u) {
      var part = r[${register('cosine')}];
      if (((quarter + second) & 1u) == 1u) { part = r[${register('sine')}]; }
      // The cosine is negative in the second and third quarter, the sine in the third and fourth.
      if (((quarter + 1u - second) & 2u) != 0u) { part = negated(part); }
      y[2 * pair + i32(second)] = toFloat(add(mean, part));
    }
  }
  return y;
}`;

const NORMAL = kernelOf('normal', 'mean', 'deviation', BOX_MULLER, 'boxMullers(words, mean, deviation)');

export const random = (queue: GpuQueue): Pick<Backend, 'uniform' | 'normal'> => {
  const run = (kernel: Kernel, y: Storage, seed: number, counter: number, first: number, second: number) => {
    expect(kernel.name, 'float32', y);
    const output = queue.own(y);
    if (y.size === 0) return;
    const vectors = Math.ceil(y.size / 4);
    const values = [vectors, ...philoxValues(seed, counter), ...words(first), ...words(second)];
    queue.launch(kernel, [output], values, flatGroups(vectors));
  };
  return {
    uniform: (y, seed, counter, low, high) => run(UNIFORM, y, seed, counter, low, high - low),
    normal: (y, seed, counter, mean, std) => run(NORMAL, y, seed, counter, mean, std),
  };
};
