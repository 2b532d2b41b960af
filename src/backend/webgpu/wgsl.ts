/** Text of shaders: the declarations in front of each kernel, and functions that several kernels share. */
import type { Kernel } from './kernel.js';
import { FLAT_SIZE } from './kernel.js';

/** Returns the WGSL of a kernel: the declarations of its buffers and parameters, and its code. */
export function shaderOf(kernel: Kernel): string {
  const buffers = kernel.buffers.map(({ name, type, access }, i) => `@group(0) @binding(${i}) var<storage, ${access}> ${name}: ${type};`);
  const params =
    kernel.params.length === 0
      ? []
      : [
          `struct Params { ${kernel.params.map(([name, type]) => `${name}: ${type}`).join(', ')} }`,
          `@group(0) @binding(${kernel.buffers.length}) var<uniform> p: Params;`,
        ];
  return [...buffers, ...params, kernel.code()].join('\n');
}

/** Returns a function `flatIndex(id, groups)`: the index of a thread in the workgroups of `flatGroups(threads, size)`. */
export const flatIndexOf = (size: number): string =>
  `fn flatIndex(id: vec3u, groups: vec3u) -> u32 { return id.x + id.y * groups.x * ${size}u; }`;

/** `flatIndexOf` for workgroups of the usual size. */
export const FLAT_INDEX: string = flatIndexOf(FLAT_SIZE);

/** The beginning of a kernel with one thread per index, which sets `i` and returns where it is at least `p.count`. */
export const FLAT_MAIN = `${FLAT_INDEX}
@compute @workgroup_size(${FLAT_SIZE})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flatIndex(id, groups);
  if (i >= p.count) { return; }`;

/**
 * Tests of numbers by their bits. Compilers of shaders may assume that there are no NaN and remove `x != x`, and comparisons with NaN or
 * subnormal numbers differ between devices.
 * - `isNan(x)`, `isFinite(x)`
 * - `isPositive(x)`: x > 0
 * - `nan()`, `infinity()`: constants, which WGSL does not have
 */
export const BITS = `
var<private> zeroBits: u32 = 0u;
fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }
fn isPositive(x: f32) -> bool { return bitcast<u32>(x) - 1u < 0x7f800000u; }
fn nan() -> f32 { return bitcast<f32>(zeroBits | 0x7fc00000u); }
fn infinity() -> f32 { return bitcast<f32>(zeroBits | 0x7f800000u); }`;

/** `nanMax(a, b)` and `nanMin(a, b)`: NaN if either operand is NaN. Needs `BITS`. */
export const NAN_MAX = `
fn nanMax(a: f32, b: f32) -> f32 { return select(select(select(b, a, a > b), b, isNan(b)), a, isNan(a)); }
fn nanMin(a: f32, b: f32) -> f32 { return select(select(select(b, a, a < b), b, isNan(b)), a, isNan(a)); }`;

/**
 * `exp1(x)` and `log1(x)` to about one unit in the last place on every device, with the limits of IEEE 754: the functions of WGSL may be off
 * by 3 + 2·|x| units, and log(0) is finite on some devices. Needs `BITS`.
 *
 * exp: x = k · ln 2 + r with |r| ≤ ln 2 / 2 and a polynomial for exp(r). log: x = 2^k · m with m in [√½, √2), and the series of
 * log(1 + f) in f / (2 + f), as in fdlibm's e_logf.c.
 */
export const EXP_LOG = `
fn exp1(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  if (x > 88.73) { return infinity(); }
  if (x < -104.0) { return 0.0; }
  let k = round(x * 1.44269504);
  let r = (x - k * 0.693359375) + k * 2.12194440e-4;
  let q = 5.0000001e-1 + r * (1.6666665459e-1 + r * (4.1665795894e-2 + r * (8.3334519073e-3 + r * (1.3981999507e-3 + r * 1.9875691500e-4))));
  let y = 1.0 + (r + r * r * q);
  // 2^k by two factors, each a normal number.
  let n = i32(k);
  let half = n >> 1u;
  return y * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(n - half + 127) << 23u);
}
fn log1(x: f32) -> f32 {
  var b = bitcast<u32>(x);
  if (isNan(x)) { return x; }
  if ((b & 0x7fffffffu) == 0u) { return -infinity(); }
  if ((b & 0x80000000u) != 0u) { return nan(); }
  if (b == 0x7f800000u) { return x; }
  var k = 0;
  if (b < 0x00800000u) {
    let shift = countLeadingZeros(b) - 8u;
    b = (b << shift) & 0x007fffffu;
    k = -126 - i32(shift);
  } else {
    k = i32(b >> 23u) - 127;
    b = b & 0x007fffffu;
  }
  var m = bitcast<f32>(b | 0x3f800000u);
  if (m > 1.41421354) { m = m * 0.5; k = k + 1; }
  let f = m - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let t = z * (0.66666662693 + z * (0.40000972152 + z * (0.28498786688 + z * 0.24279078841)));
  let h = 0.5 * f * f;
  let d = f32(k);
  return d * 0.69313812256 - ((h - (s * (h + t) + d * 9.0580006145e-6)) - f);
}`;

/**
 * `philox(counterLow, counterHigh, keyLow, keyHigh)`: the four words of Philox 4x32-10, as philox.ts computes them. The upper half of a
 * product of 32-bit numbers is put together from four products of 16-bit halves.
 */
export const PHILOX = `
fn mulHigh(a: u32, b: u32) -> u32 {
  let aLow = a & 0xffffu; let aHigh = a >> 16u;
  let bLow = b & 0xffffu; let bHigh = b >> 16u;
  let middle = aHigh * bLow + ((aLow * bLow) >> 16u);
  let carry = aLow * bHigh + (middle & 0xffffu);
  return aHigh * bHigh + (middle >> 16u) + (carry >> 16u);
}
fn philox(counterLow: u32, counterHigh: u32, keyLow: u32, keyHigh: u32) -> vec4u {
  var c = vec4u(counterLow, counterHigh, 0u, 0u);
  var k = vec2u(keyLow, keyHigh);
  for (var round = 0; round < 10; round = round + 1) {
    let high0 = mulHigh(0xd2511f53u, c.x);
    let low0 = 0xd2511f53u * c.x;
    let high1 = mulHigh(0xcd9e8d57u, c.z);
    let low1 = 0xcd9e8d57u * c.z;
    c = vec4u(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
    k = k + vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}`;

/**
 * `tanh1(x)`, `sigmoid1(x)` and `erf1(x)` to about two units in the last place: the `tanh` of WGSL is NaN for large arguments on some devices,
 * and there is no error function. The polynomials are those of assembly/math.ts. Needs `BITS` and `EXP_LOG`.
 */
export const TANH_SIGMOID_ERF = `
fn signed(magnitude: f32, x: f32) -> f32 { return bitcast<f32>((bitcast<u32>(magnitude) & 0x7fffffffu) | (bitcast<u32>(x) & 0x80000000u)); }
fn tanh1(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let a = abs(x);
  if (a < 0.625) {
    let z = x * x;
    let q = -3.33332819422e-1 + z * (1.33314422036e-1 + z * (-5.37397155531e-2 + z * (2.06390887954e-2 + z * -5.70498872745e-3)));
    return x + x * (q * z);
  }
  return signed(1.0 - 2.0 / (exp1(2.0 * min(a, 20.0)) + 1.0), x);
}
fn sigmoid1(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let e = exp1(-abs(x));
  return select(e, 1.0, bitcast<i32>(x) >= 0) / (1.0 + e);
}
fn erf1(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let a = abs(x);
  let z = x * x;
  if (a < 1.0) {
    return x * (1.128379107 + z * (-3.761262596e-1 + z * (1.128358245e-1 + z * (-2.685369179e-2
      + z * (5.188099109e-3 + z * (-8.008189034e-4 + z * 7.847259258e-5))))));
  }
  let t = 1.0 / (1.0 + 0.5 * min(a, 20.0));
  let q = 1.177266939e-3 + t * (2.660585046e-1 + t * (3.719708622e-1 + t * (-1.641382836e-2 + t * (5.906174779e-1 + t * -2.132948786e-1))));
  return signed(1.0 - q * exp1(-min(z, 400.0)), x);
}`;

/**
 * `isGreater(a, b)` and `isEqual(a, b)` by the bits of the operands: false if one is NaN, and exact for subnormal numbers. Needs `BITS`.
 */
export const COMPARE = `
fn orderOf(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(select(b, b ^ 0x7fffffff, b < 0), 0, (b & 0x7fffffff) == 0);
}
fn isGreater(a: f32, b: f32) -> bool { return !isNan(a) && !isNan(b) && orderOf(a) > orderOf(b); }
fn isEqual(a: f32, b: f32) -> bool { return !isNan(a) && !isNan(b) && orderOf(a) == orderOf(b); }`;

/**
 * `pow1(a, b)` with the special cases of JavaScript's `**`. The power of a = 2^k · m is 2^(b · k + b · log2 m); the whole part of the exponent
 * is split off before it is rounded. Needs `BITS` and `EXP_LOG`.
 */
export const POW = `
fn pow1(a: f32, b: f32) -> f32 {
  if (isNan(b)) { return b; }
  if ((bitcast<u32>(b) & 0x7fffffffu) == 0u) { return 1.0; }
  if (isNan(a)) { return a; }
  let size = bitcast<u32>(a) & 0x7fffffffu;
  let positive = bitcast<i32>(b) > 0;
  if (!isFinite(b)) {
    if (size == 0x3f800000u) { return nan(); }
    return select(0.0, infinity(), (size > 0x3f800000u) == positive);
  }
  let whole = b == trunc(b);
  let odd = whole && abs(b) < 16777216.0 && abs(b) - 2.0 * floor(abs(b) * 0.5) == 1.0;
  let negative = bitcast<i32>(a) < 0;
  var y = 0.0;
  if (size == 0u) { y = select(infinity(), 0.0, positive); }
  else if (size == 0x7f800000u) { y = select(0.0, infinity(), positive); }
  else if (negative && !whole) { return nan(); }
  else { y = powPositive(bitcast<f32>(size), b); }
  return select(y, -y, negative && odd);
}
fn powPositive(a: f32, b: f32) -> f32 {
  var bits = bitcast<u32>(a);
  var k = 0;
  if (bits < 0x00800000u) {
    let shift = countLeadingZeros(bits) - 8u;
    bits = bits << shift;
    k = -i32(shift);
  }
  // m in [√½, √2)
  let e = (bitcast<i32>(bits) - 0x3f3504f3) >> 23u;
  let m = bitcast<f32>(bits - (u32(e) << 23u));
  k = k + e;
  let large = b * f32(k);
  let small = b * (log1(m) * 1.44269504);
  let n = round(large + small);
  if (n > 129.0) { return infinity(); }
  if (n < -151.0) { return 0.0; }
  let y = exp1(((large - n) + small) * 0.69314718);
  let half = i32(n) >> 1u;
  return y * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(i32(n) - half + 127) << 23u);
}`;
