/**
 * Arithmetic of float64 in shaders, with integers. Every operation rounds to nearest, ties to even, as IEEE 754 does, so that results equal
 * those of a CPU bit for bit. Infinities, NaN and subnormal numbers do not occur.
 */

/** Returns a constant of the type `Double` of `FLOAT64`. */
export function double(value: number): string {
  if (value === 0) return 'Double(0u, -4096, 0u, 0u)';
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const exponent = Number((word >> 52n) & 0x7ffn) - 1023;
  const mantissa = ((word & 0xfffffffffffffn) | 0x10000000000000n) << 11n;
  const hex = (part: bigint) => `0x${part.toString(16)}u`;
  return `Double(${value < 0 ? 1 : 0}u, ${exponent}, ${hex(mantissa >> 32n)}, ${hex(mantissa & 0xffffffffn)})`;
}

/**
 * The type `Double`: (−1)^sign · 2^exponent · mantissa / 2^63, with a mantissa of 53 bits at the upper end of 64 (`high`, `low`), whose highest
 * bit is 1 except for zero. Needs `mulHigh` of `PHILOX`.
 * - `add`, `mul`, `div`, `root`, `negated`, `scaled(x, n)` = x · 2^n
 * - `fromInt`, `fromSigned`, `fromBits(low, high)` of a float64, `toFloat`, which rounds to float32
 */
export const FLOAT64 = `
struct Double { sign: u32, exponent: i32, high: u32, low: u32 }
fn isZero(x: Double) -> bool { return x.high == 0u; }
fn zero() -> Double { return Double(0u, -4096, 0u, 0u); }
fn negated(x: Double) -> Double { return Double(x.sign ^ 1u, x.exponent, x.high, x.low); }
fn scaled(x: Double, n: i32) -> Double { return Double(x.sign, select(x.exponent + n, x.exponent, isZero(x)), x.high, x.low); }
fn fromInt(x: u32) -> Double {
  if (x == 0u) { return zero(); }
  let shift = countLeadingZeros(x);
  return Double(0u, 31 - i32(shift), x << shift, 0u);
}
fn fromSigned(x: i32) -> Double {
  let positive = fromInt(u32(abs(x)));
  return Double(select(0u, 1u, x < 0), positive.exponent, positive.high, positive.low);
}
fn fromBits(low: u32, high: u32) -> Double {
  let exponent = (high >> 20u) & 0x7ffu;
  if (exponent == 0u) { return zero(); }
  return Double(high >> 31u, i32(exponent) - 1023, 0x80000000u | ((high & 0xfffffu) << 11u) | (low >> 21u), low << 11u);
}
// Rounds a mantissa of 64 bits to 53; sticky is not 0 if there are bits below it.
fn rounded(sign: u32, exponent: i32, high: u32, low: u32, sticky: u32) -> Double {
  let rest = low & 0x7ffu;
  let up = rest > 0x400u || (rest == 0x400u && (sticky != 0u || (low & 0x800u) != 0u));
  let kept = low & 0xfffff800u;
  let l = select(kept, kept + 0x800u, up);
  let carry = up && l == 0u;
  let h = select(high, high + 1u, carry);
  if (carry && h == 0u) { return Double(sign, exponent + 1, 0x80000000u, 0u); }
  return Double(sign, exponent, h, l);
}
fn mul(a: Double, b: Double) -> Double {
  if (isZero(a) || isZero(b)) { return zero(); }
  // The words of the product of 128 bits, the lowest first.
  let w0 = a.low * b.low;
  let c0 = mulHigh(a.low, b.low);
  let x1 = a.low * b.high;
  let y1 = a.high * b.low;
  let s1 = c0 + x1;
  let w1 = s1 + y1;
  let carry1 = select(0u, 1u, s1 < c0) + select(0u, 1u, w1 < s1);
  let x2 = mulHigh(a.low, b.high);
  let y2 = mulHigh(a.high, b.low);
  let z2 = a.high * b.high;
  let s2 = carry1 + x2;
  let t2 = s2 + y2;
  let w2 = t2 + z2;
  let carry2 = select(0u, 1u, s2 < carry1) + select(0u, 1u, t2 < s2) + select(0u, 1u, w2 < t2);
  let w3 = mulHigh(a.high, b.high) + carry2;
  let sign = a.sign ^ b.sign;
  let exponent = a.exponent + b.exponent;
  if ((w3 & 0x80000000u) != 0u) { return rounded(sign, exponent + 1, w3, w2, w1 | w0); }
  return rounded(sign, exponent, (w3 << 1u) | (w2 >> 31u), (w2 << 1u) | (w1 >> 31u), (w1 << 1u) | w0);
}
fn add(x: Double, y: Double) -> Double {
  if (isZero(x)) { return y; }
  if (isZero(y)) { return x; }
  // |a| ≥ |b|
  let larger = x.exponent > y.exponent
    || (x.exponent == y.exponent && (x.high > y.high || (x.high == y.high && x.low >= y.low)));
  var a = y;
  var b = x;
  if (larger) { a = x; b = y; }
  // b is shifted right by d; guard holds the 32 bits behind its 64, the last one sticky.
  let d = u32(a.exponent - b.exponent);
  var high = 0u;
  var low = 0u;
  var guard = 1u;
  if (d == 0u) { high = b.high; low = b.low; guard = 0u; }
  else if (d < 32u) {
    high = b.high >> d;
    low = (b.low >> d) | (b.high << (32u - d));
    guard = b.low << (32u - d);
  } else if (d == 32u) { low = b.high; guard = b.low; }
  else if (d < 64u) {
    let n = d - 32u;
    low = b.high >> n;
    guard = (b.low >> n) | (b.high << (32u - n));
    if ((b.low << (32u - n)) != 0u) { guard = guard | 1u; }
  }
  if (a.sign == b.sign) {
    let l = a.low + low;
    let carryLow = select(0u, 1u, l < low);
    let h0 = a.high + high;
    let h = h0 + carryLow;
    if (h0 < high || h < h0) {
      return rounded(a.sign, a.exponent + 1, 0x80000000u | (h >> 1u), (h << 31u) | (l >> 1u), guard | (l & 1u));
    }
    return rounded(a.sign, a.exponent, h, l, guard) ;
  }
  let g = 0u - guard;
  let borrow = select(0u, 1u, guard != 0u);
  let l0 = a.low - low;
  var l = l0 - borrow;
  let borrowLow = select(0u, 1u, a.low < low) + select(0u, 1u, l0 < borrow);
  var h = a.high - high - borrowLow;
  if (h == 0u && l == 0u && g == 0u) { return zero(); }
  var exponent = a.exponent;
  var rest = g;
  if (h == 0u) { h = l; l = rest; rest = 0u; exponent = exponent - 32; }
  if (h == 0u) { h = l; l = 0u; exponent = exponent - 32; }
  let n = countLeadingZeros(h);
  if (n > 0u) {
    h = (h << n) | (l >> (32u - n));
    l = (l << n) | (rest >> (32u - n));
    rest = rest << n;
    exponent = exponent - i32(n);
  }
  return rounded(a.sign, exponent, h, l, rest);
}
// One bit of the quotient per step, two more than a mantissa has.
fn div(a: Double, b: Double) -> Double {
  if (isZero(a)) { return zero(); }
  var exponent = a.exponent - b.exponent;
  var high = a.high;
  var low = a.low;
  var over = false;
  if (high < b.high || (high == b.high && low < b.low)) {
    exponent = exponent - 1;
    over = true;
    low = low << 1u;
    high = (high << 1u) | (a.low >> 31u);
  }
  var quotientHigh = 0u;
  var quotientLow = 0u;
  for (var n = 0u; n < 64u; n = n + 1u) {
    if (over || high > b.high || (high == b.high && low >= b.low)) {
      high = high - b.high - select(0u, 1u, low < b.low);
      low = low - b.low;
      if (n < 32u) { quotientHigh = quotientHigh | (0x80000000u >> n); } else { quotientLow = quotientLow | (0x80000000u >> (n - 32u)); }
    }
    over = (high & 0x80000000u) != 0u;
    high = (high << 1u) | (low >> 31u);
    low = low << 1u;
  }
  return rounded(a.sign ^ b.sign, exponent, quotientHigh, quotientLow, high | low | select(0u, 1u, over));
}
// The square root, one bit per step: the largest mantissa of 56 bits whose square is not larger.
fn root(x: Double) -> Double {
  if (isZero(x)) { return zero(); }
  let odd = (x.exponent & 1) != 0;
  // The radicand, a number in [1, 4), as bits that are taken two at a time; the remainder and the root have at most 58 bits.
  var restHigh = 0u;
  var restLow = 0u;
  var rootHigh = 0u;
  var rootLow = 0u;
  var high = x.high;
  var low = x.low;
  for (var n = 0; n < 56; n = n + 1) {
    var two = high >> 30u;
    if (n == 0 && !odd) {
      two = high >> 31u;
      high = (high << 1u) | (low >> 31u);
      low = low << 1u;
    } else {
      high = (high << 2u) | (low >> 30u);
      low = low << 2u;
    }
    restHigh = (restHigh << 2u) | (restLow >> 30u);
    restLow = (restLow << 2u) | two;
    // The trial is 4 · root + 1.
    let trialHigh = (rootHigh << 2u) | (rootLow >> 30u);
    let trialLow = (rootLow << 2u) | 1u;
    rootHigh = (rootHigh << 1u) | (rootLow >> 31u);
    rootLow = rootLow << 1u;
    if (restHigh > trialHigh || (restHigh == trialHigh && restLow >= trialLow)) {
      restHigh = restHigh - trialHigh - select(0u, 1u, restLow < trialLow);
      restLow = restLow - trialLow;
      rootLow = rootLow | 1u;
    }
  }
  let exponent = (x.exponent - select(0, 1, odd)) / 2;
  return rounded(0u, exponent, (rootHigh << 8u) | (rootLow >> 24u), rootLow << 8u, restHigh | restLow);
}
fn toFloat(x: Double) -> f32 {
  let sign = x.sign << 31u;
  if (isZero(x) || x.exponent < -126) { return bitcast<f32>(sign); }
  let rest = x.high & 0xffu;
  let up = rest > 0x80u || (rest == 0x80u && (x.low != 0u || (x.high & 0x100u) != 0u));
  var exponent = x.exponent;
  var mantissa = (x.high >> 8u) + select(0u, 1u, up);
  if (mantissa == 0x1000000u) { mantissa = 0x800000u; exponent = exponent + 1; }
  return bitcast<f32>(sign | (u32(exponent + 127) << 23u) | (mantissa & 0x7fffffu));
}`;

/** One step of a program: the register of the result, the operands, and the operation between them. Numbers are constants. */
export type Step = readonly [result: string, a: string | number, operation: '+' | '-' | '*' | '/' | 'root', b: string | number];

/** The steps of Horner's rule: `result` is the polynomial of the register `x`, with the coefficient of the highest power first. */
export const horner = (result: string, x: string, coefficients: readonly number[]): Step[] =>
  coefficients.slice(1).flatMap((coefficient, i): Step[] => [
    [result, i === 0 ? coefficients[0] : result, '*', x],
    [result, result, '+', coefficient],
  ]);

const OPERATIONS = ['+', '-', '*', '/', 'root'];

/**
 * Returns the index of each register, and a function `compute(r: ptr<function, Registers>)` that runs the steps on the registers. The steps
 * are data of a loop with one copy of each operation: some compilers copy every function to every call, which took them many seconds. Needs
 * `FLOAT64`.
 */
export function float64Program(inputs: readonly string[], steps: readonly Step[]): { register: (name: string) => number; code: string } {
  const names = [...new Set([...inputs, ...steps.map(([result]) => result)])];
  const constants = [...new Set(steps.flatMap(([, a, , b]) => [a, b]).filter((operand) => typeof operand === 'number'))];
  const register = (name: string) => names.indexOf(name);
  const operand = (value: string | number) => (typeof value === 'string' ? register(value) : names.length + constants.indexOf(value));
  const words = steps.map(
    ([result, a, operation, b]) => OPERATIONS.indexOf(operation) | (operand(result) << 4) | (operand(a) << 12) | (operand(b) << 20),
  );
  const code = `
alias Registers = array<Double, ${names.length}>;
const STEPS = array<u32, ${words.length}>(${words.map((word) => `${word}u`).join(', ')});
const CONSTANTS = array<Double, ${constants.length}>(${constants.map(double).join(', ')});
fn compute(r: ptr<function, Registers>) {
  var steps = STEPS;
  var all: array<Double, ${names.length + constants.length}>;
  for (var n = 0; n < ${names.length}; n = n + 1) { all[n] = (*r)[n]; }
  var constants = CONSTANTS;
  for (var n = 0; n < ${constants.length}; n = n + 1) { all[n + ${names.length}] = constants[n]; }
  for (var n = 0; n < ${steps.length}; n = n + 1) {
    let step = steps[n];
    let a = all[(step >> 12u) & 0xffu];
    var b = all[step >> 20u];
    var result = a;
    switch step & 0xfu {
      case 0u, 1u: {
        if ((step & 0xfu) == 1u) { b = negated(b); }
        result = add(a, b);
      }
      case 2u: { result = mul(a, b); }
      case 3u: { result = div(a, b); }
      default: { result = root(a); }
    }
    all[(step >> 4u) & 0xffu] = result;
  }
  for (var n = 0; n < ${names.length}; n = n + 1) { (*r)[n] = all[n]; }
}`;
  return { register, code };
}
