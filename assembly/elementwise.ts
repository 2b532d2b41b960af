/**
 * Elementwise kernels: arithmetic, activations and their gradients, conversions. Each handles elements [begin, end).
 *
 * Whole vectors are read and written even where `end` is not a multiple of four. Every buffer is padded to a 64-byte boundary and chunks
 * begin on one, so a vector can extend only into the padding of its own buffer.
 */
import { erf4, exp4, log4, pow4, sigmoid4, storeFirst, tanh4 } from './math';
import { next, offsetA, offsetB, seek } from './odometer';
import { scratch } from './scratch';

/** Address of 32-bit element i. */
function at(p: usize, i: i32): usize {
  return p + ((<usize>i) << 2);
}

/** Writes a 16-byte pattern over vectors [begin, end). */
export function fill(y: usize, pattern: i32, begin: i32, end: i32): void {
  const v = i32x4.splat(pattern);
  for (let i = begin; i < end; i++) v128.store(y + ((<usize>i) << 4), v);
}

export function copyBytes(y: usize, x: usize, bytes: usize): void {
  memory.copy(y, x, bytes);
}

// Conversions, 16 elements per step ---------------------------------------------------------------

export function castF32I32(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), i32x4.trunc_sat_f32x4_s(v128.load(at(x, i))));
}

export function castI32F32(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.convert_i32x4_s(v128.load(at(x, i))));
}

function narrow(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

export function castI32U8(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 16) {
    const p = at(x, i);
    v128.store(y + <usize>i, narrow(v128.load(p), v128.load(p, 16), v128.load(p, 32), v128.load(p, 48)));
  }
}

export function castF32U8(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 16) {
    const p = at(x, i);
    const a = i32x4.trunc_sat_f32x4_s(v128.load(p));
    const b = i32x4.trunc_sat_f32x4_s(v128.load(p, 16));
    const c = i32x4.trunc_sat_f32x4_s(v128.load(p, 32));
    const d = i32x4.trunc_sat_f32x4_s(v128.load(p, 48));
    v128.store(y + <usize>i, narrow(a, b, c, d));
  }
}

export function castU8I32(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4)
    v128.store(at(y, i), i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(x + <usize>i))));
}

export function castU8F32(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) {
    v128.store(at(y, i), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(x + <usize>i)))));
  }
}

// One operand ----------------------------------------------------------------------------------------

export function neg(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.neg(v128.load(at(x, i))));
}

export function abs(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.abs(v128.load(at(x, i))));
}

export function exp(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 8) {
    const a = exp4(v128.load(at(x, i)));
    const b = exp4(v128.load(at(x, i), 16));
    v128.store(at(y, i), a);
    v128.store(at(y, i), b, 16);
  }
}

export function log(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 8) {
    const a = log4(v128.load(at(x, i)));
    const b = log4(v128.load(at(x, i), 16));
    v128.store(at(y, i), a);
    v128.store(at(y, i), b, 16);
  }
}

export function sqrt(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.sqrt(v128.load(at(x, i))));
}

export function sigmoid(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 8) {
    const a = sigmoid4(v128.load(at(x, i)));
    const b = sigmoid4(v128.load(at(x, i), 16));
    v128.store(at(y, i), a);
    v128.store(at(y, i), b, 16);
  }
}

export function tanh(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 8) {
    const a = tanh4(v128.load(at(x, i)));
    const b = tanh4(v128.load(at(x, i), 16));
    v128.store(at(y, i), a);
    v128.store(at(y, i), b, 16);
  }
}

export function erf(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), erf4(v128.load(at(x, i))));
}

export function square(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) {
    const v = v128.load(at(x, i));
    v128.store(at(y, i), f32x4.mul(v, v));
  }
}

export function reciprocal(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.div(f32x4.splat(1), v128.load(at(x, i))));
}

export function sign(y: usize, x: usize, begin: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) {
    const v = v128.load(at(x, i));
    const one = v128.or(f32x4.splat(1), v128.and(v, f32x4.splat(-0.0))); // 1 with the sign of v
    // 0 and NaN are neither above nor below 0 and are returned unchanged.
    v128.store(at(y, i), v128.bitselect(one, v, v128.or(f32x4.gt(v, zero), f32x4.lt(v, zero))));
  }
}

export function affine(y: usize, x: usize, scale: f32, shift: f32, begin: i32, end: i32): void {
  const s = f32x4.splat(scale);
  const t = f32x4.splat(shift);
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.add(f32x4.mul(v128.load(at(x, i)), s), t));
}

/** `pmax(x, 0)` is x < 0 ? 0 : x in one instruction, and propagates NaN. */
export function relu(y: usize, x: usize, begin: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.pmax(v128.load(at(x, i)), zero));
}

export function leakyRelu(y: usize, x: usize, slope: f32, begin: i32, end: i32): void {
  const s = f32x4.splat(slope);
  for (let i = begin; i < end; i += 4) {
    const v = v128.load(at(x, i));
    v128.store(at(y, i), v128.bitselect(v, f32x4.mul(v, s), f32x4.gt(v, f32x4.splat(0))));
  }
}

export function clamp(y: usize, x: usize, low: f32, high: f32, begin: i32, end: i32): void {
  const l = f32x4.splat(low);
  const h = f32x4.splat(high);
  for (let i = begin; i < end; i += 4) v128.store(at(y, i), f32x4.pmin(f32x4.pmax(v128.load(at(x, i)), l), h));
}

// Gradients of activations ---------------------------------------------------------------------------

export function reluGradMask(dx: usize, dy: usize, y: usize, begin: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) v128.store(at(dx, i), v128.and(v128.load(at(dy, i)), f32x4.gt(v128.load(at(y, i)), zero)));
}

export function reluGradMaskAndRectify(dx: usize, dy: usize, y: usize, begin: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) {
    const passed = v128.and(v128.load(at(dy, i)), f32x4.gt(v128.load(at(y, i)), zero));
    v128.store(at(dx, i), f32x4.pmax(passed, zero));
  }
}

export function leakyReluGrad(dx: usize, dy: usize, x: usize, slope: f32, begin: i32, end: i32): void {
  const s = f32x4.splat(slope);
  for (let i = begin; i < end; i += 4) {
    const d = v128.load(at(dy, i));
    v128.store(at(dx, i), v128.bitselect(d, f32x4.mul(d, s), f32x4.gt(v128.load(at(x, i)), f32x4.splat(0))));
  }
}

export function clampGrad(dx: usize, dy: usize, x: usize, low: f32, high: f32, begin: i32, end: i32): void {
  const l = f32x4.splat(low);
  const h = f32x4.splat(high);
  for (let i = begin; i < end; i += 4) {
    const v = v128.load(at(x, i));
    v128.store(at(dx, i), v128.and(v128.load(at(dy, i)), v128.and(f32x4.ge(v, l), f32x4.le(v, h))));
  }
}

// Activation functions whose gradient is computed from their input -----------------------------------

/** Each function's number is its index in `ACTIVATION_KINDS` of src/backend/wasm/elementwise.ts. */
const SILU = 0;
const GELU = 1;
const GELU_TANH = 2;
const HARD_SIGMOID = 3;
const HARD_SWISH = 4;

/** √(2/π) */
const GELU_FACTOR: f32 = 0.7978845608;

/** tanh(√(2/π) · (x + 0.044715 · x³)) */
function geluTanh4(x: v128): v128 {
  const cubed = f32x4.mul(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715));
  return tanh4(f32x4.mul(f32x4.splat(GELU_FACTOR), f32x4.add(x, cubed)));
}

/** min(max(x + 3, 0), 6) / 6 */
function hardSigmoid4(x: v128): v128 {
  const shifted = f32x4.pmin(f32x4.pmax(f32x4.add(x, f32x4.splat(3)), f32x4.splat(0)), f32x4.splat(6));
  return f32x4.mul(shifted, f32x4.splat(1.0 / 6.0));
}

/** (1 + erf(x / √2)) / 2, the normal distribution function. */
function normal4(x: v128): v128 {
  const half = f32x4.splat(0.5);
  return f32x4.add(half, f32x4.mul(half, erf4(f32x4.mul(x, f32x4.splat(Mathf.SQRT1_2)))));
}

export function activation(kind: i32, y: usize, x: usize, begin: i32, end: i32): void {
  const half = f32x4.splat(0.5);
  switch (kind) {
    case SILU:
      for (let i = begin; i < end; i += 8) {
        const v = v128.load(at(x, i));
        const w = v128.load(at(x, i), 16);
        const a = f32x4.mul(v, sigmoid4(v));
        const b = f32x4.mul(w, sigmoid4(w));
        v128.store(at(y, i), a);
        v128.store(at(y, i), b, 16);
      }
      break;
    case GELU:
      for (let i = begin; i < end; i += 4) {
        const v = v128.load(at(x, i));
        v128.store(at(y, i), f32x4.mul(v, normal4(v)));
      }
      break;
    case GELU_TANH:
      for (let i = begin; i < end; i += 4) {
        const v = v128.load(at(x, i));
        v128.store(at(y, i), f32x4.mul(f32x4.mul(v, half), f32x4.add(f32x4.splat(1), geluTanh4(v))));
      }
      break;
    case HARD_SIGMOID:
      for (let i = begin; i < end; i += 4) v128.store(at(y, i), hardSigmoid4(v128.load(at(x, i))));
      break;
    case HARD_SWISH:
      for (let i = begin; i < end; i += 4) {
        const v = v128.load(at(x, i));
        v128.store(at(y, i), f32x4.mul(v, hardSigmoid4(v)));
      }
      break;
  }
}

/** d silu / dx = σ · (1 + x · (1 − σ)) */
function siluSlope4(x: v128): v128 {
  const one = f32x4.splat(1);
  const s = sigmoid4(x);
  return f32x4.mul(s, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, s))));
}

/** d gelu / dx = Φ + x · φ with the normal density φ = e^(−x²/2) / √(2π) */
function geluSlope4(x: v128): v128 {
  const density = f32x4.mul(f32x4.splat(0.3989422804), exp4(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5))));
  return f32x4.add(normal4(x), f32x4.mul(x, density));
}

/** (1 + t) / 2 + x / 2 · (1 − t²) · √(2/π) · (1 + 3 · 0.044715 · x²) with t = tanh(…) */
function geluTanhSlope4(x: v128): v128 {
  const one = f32x4.splat(1);
  const half = f32x4.splat(0.5);
  const t = geluTanh4(x);
  const inner = f32x4.mul(f32x4.splat(GELU_FACTOR), f32x4.add(one, f32x4.mul(f32x4.splat(0.134145), f32x4.mul(x, x))));
  const outer = f32x4.mul(f32x4.mul(half, x), f32x4.sub(one, f32x4.mul(t, t)));
  return f32x4.add(f32x4.mul(half, f32x4.add(one, t)), f32x4.mul(outer, inner));
}

/** 1 / 6 between −3 and 3, 0 elsewhere. */
function hardSigmoidSlope4(x: v128): v128 {
  return v128.and(f32x4.splat(1.0 / 6.0), f32x4.lt(f32x4.abs(x), f32x4.splat(3)));
}

/** 0 up to −3, x / 3 + 1 / 2 up to 3, 1 beyond. */
function hardSwishSlope4(x: v128): v128 {
  const middle = f32x4.add(f32x4.mul(x, f32x4.splat(1.0 / 3.0)), f32x4.splat(0.5));
  const upper = v128.bitselect(f32x4.splat(1), middle, f32x4.gt(x, f32x4.splat(3)));
  return v128.andnot(upper, f32x4.le(x, f32x4.splat(-3)));
}

export function activationGrad(kind: i32, dx: usize, dy: usize, x: usize, begin: i32, end: i32): void {
  switch (kind) {
    case SILU:
      for (let i = begin; i < end; i += 4) v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), siluSlope4(v128.load(at(x, i)))));
      break;
    case GELU:
      for (let i = begin; i < end; i += 4) v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), geluSlope4(v128.load(at(x, i)))));
      break;
    case GELU_TANH:
      for (let i = begin; i < end; i += 4) v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), geluTanhSlope4(v128.load(at(x, i)))));
      break;
    case HARD_SIGMOID:
      for (let i = begin; i < end; i += 4) v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), hardSigmoidSlope4(v128.load(at(x, i)))));
      break;
    case HARD_SWISH:
      for (let i = begin; i < end; i += 4) v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), hardSwishSlope4(v128.load(at(x, i)))));
      break;
  }
}

/** y = condition ≠ 0 ? a : b. `whole` says that the condition is int32; NaN counts as true. */
export function select(y: usize, condition: usize, whole: i32, a: usize, b: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) {
    const c = v128.load(at(condition, i));
    const chosen = whole ? i32x4.ne(c, i32x4.splat(0)) : f32x4.ne(c, f32x4.splat(0));
    v128.store(at(y, i), v128.bitselect(v128.load(at(a, i)), v128.load(at(b, i)), chosen));
  }
}

// Two operands ---------------------------------------------------------------------------------------

/** Each operation's number is its index in `BINARY_OPS` of src/backend/wasm/elementwise.ts. */
const ADD = 0;
const SUB = 1;
const MUL = 2;
const DIV = 3;
const POW = 4;
const MAX = 5;
const MIN = 6;
const GREATER = 7;
const EQUAL = 8;
/** Added to the number where the operands are int32. */
const INT = 16;

/** Recomputes in y those of the four powers x^e that are special cases: x not positive and normal, infinite or NaN. */
function specialPowers(y: usize, x: v128, e: v128): void {
  const infinity = f32x4.splat(Infinity);
  const normal = v128.and(f32x4.ge(x, f32x4.splat(1.17549435e-38)), f32x4.lt(x, infinity));
  const special = ~i32x4.bitmask(v128.and(normal, f32x4.lt(f32x4.abs(e), infinity)));
  if (special & 1) f32.store(y, Mathf.pow(f32x4.extract_lane(x, 0), f32x4.extract_lane(e, 0)));
  if (special & 2) f32.store(y, Mathf.pow(f32x4.extract_lane(x, 1), f32x4.extract_lane(e, 1)), 4);
  if (special & 4) f32.store(y, Mathf.pow(f32x4.extract_lane(x, 2), f32x4.extract_lane(e, 2)), 8);
  if (special & 8) f32.store(y, Mathf.pow(f32x4.extract_lane(x, 3), f32x4.extract_lane(e, 3)), 12);
}

/** Vectors [y, end) of a^b, two per step; a single last vector is computed twice. */
function powers(y: usize, end: usize, a: usize, stepA: usize, b: usize, stepB: usize): void {
  while (y < end) {
    const second: usize = y + 16 < end ? 16 : 0;
    const x0 = v128.load(a);
    const e0 = v128.load(b);
    const x1 = v128.load(a + (second & stepA));
    const e1 = v128.load(b + (second & stepB));
    v128.store(y, pow4(x0, e0));
    v128.store(y + second, pow4(x1, e1));
    specialPowers(y, x0, e0);
    specialPowers(y + second, x1, e1);
    y += 32;
    a += stepA << 1;
    b += stepB << 1;
  }
}

/** `count` whole vectors of y = op(a, b). An operand's step is 16 bytes, or 0 where one vector is repeated. */
function vectors(op: i32, y: usize, a: usize, stepA: usize, b: usize, stepB: usize, count: i32): void {
  const end = y + ((<usize>count) << 4);
  const one = f32x4.splat(1);
  switch (op) {
    case ADD:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.add(v128.load(a), v128.load(b)));
      break;
    case SUB:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.sub(v128.load(a), v128.load(b)));
      break;
    case MUL:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.mul(v128.load(a), v128.load(b)));
      break;
    case DIV:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.div(v128.load(a), v128.load(b)));
      break;
    case POW:
      powers(y, end, a, stepA, b, stepB);
      break;
    case MAX:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.max(v128.load(a), v128.load(b)));
      break;
    case MIN:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, f32x4.min(v128.load(a), v128.load(b)));
      break;
    case GREATER:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, v128.and(one, f32x4.gt(v128.load(a), v128.load(b))));
      break;
    case EQUAL:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, v128.and(one, f32x4.eq(v128.load(a), v128.load(b))));
      break;
    case INT + ADD:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, i32x4.add(v128.load(a), v128.load(b)));
      break;
    case INT + SUB:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, i32x4.sub(v128.load(a), v128.load(b)));
      break;
    case INT + MUL:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, i32x4.mul(v128.load(a), v128.load(b)));
      break;
    case INT + MAX:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, i32x4.max_s(v128.load(a), v128.load(b)));
      break;
    case INT + MIN:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, i32x4.min_s(v128.load(a), v128.load(b)));
      break;
    case INT + GREATER:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, v128.and(i32x4.splat(1), i32x4.gt_s(v128.load(a), v128.load(b))));
      break;
    case INT + EQUAL:
      for (; y < end; y += 16, a += stepA, b += stepB) v128.store(y, v128.and(i32x4.splat(1), i32x4.eq(v128.load(a), v128.load(b))));
      break;
  }
}

// The odometer uses the first bytes of the scratch area.
const SPLAT_A: usize = 64;
const SPLAT_B: usize = 80;
const LAST: usize = 96;

/** Elements [begin, end) of y = op(a, b), where an operand of stride 0 is a single element. */
export function binaryFlat(op: i32, y: usize, a: usize, strideA: i32, b: usize, strideB: i32, begin: i32, end: i32): void {
  if (!strideA) {
    v128.store(scratch + SPLAT_A, v128.load32_splat(a));
    a = scratch + SPLAT_A;
  } else {
    a = at(a, begin);
  }
  if (!strideB) {
    v128.store(scratch + SPLAT_B, v128.load32_splat(b));
    b = scratch + SPLAT_B;
  } else {
    b = at(b, begin);
  }
  vectors(op, at(y, begin), a, strideA ? 16 : 0, b, strideB ? 16 : 0, (end - begin + 3) >> 2);
}

/** One row of n elements at stride 1 or 0; writes nothing beyond the row. */
function row(op: i32, y: usize, a: usize, strideA: i32, b: usize, strideB: i32, n: i32): void {
  const whole = n >> 2;
  const last = n & 3;
  const stepA: usize = strideA ? 16 : 0;
  const stepB: usize = strideB ? 16 : 0;
  if (!strideA) {
    v128.store(scratch + SPLAT_A, v128.load32_splat(a));
    a = scratch + SPLAT_A;
  }
  if (!strideB) {
    v128.store(scratch + SPLAT_B, v128.load32_splat(b));
    b = scratch + SPLAT_B;
  }
  if (whole) vectors(op, y, a, stepA, b, stepB, whole);
  if (last) {
    vectors(op, scratch + LAST, a + <usize>whole * stepA, 0, b + <usize>whole * stepB, 0, 1);
    storeFirst(y + ((<usize>whole) << 4), v128.load(scratch + LAST), last);
  }
}

/** Rows [begin, end) of y = op(a, b): y is contiguous, `axes` (see odometer.ts) gives the offset of each row of a and b. */
export function binaryRows(
  op: i32,
  y: usize,
  a: usize,
  strideA: i32,
  b: usize,
  strideB: i32,
  axes: usize,
  length: i32,
  begin: i32,
  end: i32,
): void {
  seek(axes, begin);
  y += (<usize>begin * <usize>length) << 2;
  for (let r = begin; r < end; r++) {
    row(op, y, at(a, offsetA), strideA, at(b, offsetB), strideB, length);
    y += (<usize>length) << 2;
    next();
  }
}

/** count[0] += number of elements of x in [begin, end) that are NaN or infinite (their exponent bits are all ones). */
export function countNonFinite(count: usize, x: usize, begin: i32, end: i32): void {
  const exponent = i32x4.splat(0x7f800000);
  let found = i32x4.splat(0);
  let i = begin;
  for (; i + 4 <= end; i += 4) found = i32x4.sub(found, i32x4.eq(v128.and(v128.load(at(x, i)), exponent), exponent));
  let total = i32x4.extract_lane(found, 0) + i32x4.extract_lane(found, 1) + i32x4.extract_lane(found, 2) + i32x4.extract_lane(found, 3);
  for (; i < end; i++) total += i32((i32.load(at(x, i)) & 0x7f800000) === 0x7f800000);
  if (ASC_FEATURE_THREADS) atomic.add<i32>(count, total);
  else i32.store(count, i32.load(count) + total);
}
