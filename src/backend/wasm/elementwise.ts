/** Elementwise kernels: arithmetic, activations and their gradients, and type conversion. */
import {
  type ActivationKind,
  type Backend,
  type BinaryOp,
  type DType,
  IN_PLACE,
  type Input,
  type ReluRule,
  type Storage,
  type UnaryOp,
} from '../backend.js';
import { DTypeError } from '../errors.js';
import { axesOf, countOf, mergeAxes, tableOf } from './rows.js';
import type { WasmEngine } from './runtime/engine.js';

type ElementwiseKernels = Pick<
  Backend,
  | 'fill'
  | 'cast'
  | 'unary'
  | 'binary'
  | 'affine'
  | 'relu'
  | 'reluGrad'
  | 'leakyRelu'
  | 'leakyReluGrad'
  | 'clamp'
  | 'clampGrad'
  | 'activation'
  | 'activationGrad'
  | 'select'
>;

/** Elements per chunk: 128 KiB per operand; a multiple of 16, so that chunks are aligned to 64 bytes. */
export const GRAIN = 32768;
/** Elements per chunk for operations with much arithmetic per element. */
export const HEAVY_GRAIN = 8192;

/** In the order of the operation codes in assembly/elementwise.ts. */
const BINARY_OPS: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div', 'pow', 'max', 'min', 'greater', 'equal'];
/** Added to the code of an operation on int32. */
const INT = 16;
const INT_OPS: readonly BinaryOp[] = ['add', 'sub', 'mul', 'max', 'min', 'greater', 'equal'];

/** In the order of the numbers in assembly/elementwise.ts. */
const ACTIVATION_KINDS: readonly ActivationKind[] = ['silu', 'gelu', 'geluTanh', 'hardSigmoid', 'hardSwish'];

const HEAVY: readonly UnaryOp[] = ['exp', 'log', 'sigmoid', 'tanh', 'erf'];

type CastName = 'castF32I32' | 'castF32U8' | 'castI32F32' | 'castI32U8' | 'castU8F32' | 'castU8I32';
const CASTS: Partial<Record<`${DType} ${DType}`, CastName>> = {
  'float32 int32': 'castF32I32',
  'float32 uint8': 'castF32U8',
  'int32 float32': 'castI32F32',
  'int32 uint8': 'castI32U8',
  'uint8 float32': 'castU8F32',
  'uint8 int32': 'castU8I32',
};

const bits = new DataView(new ArrayBuffer(4));

/** Returns the bits of `value` in this type, repeated to fill a 32-bit word. */
function pattern(dtype: DType, value: number): number {
  if (dtype === 'float32') bits.setFloat32(0, value);
  else if (dtype === 'int32') bits.setInt32(0, value);
  else bits.setUint32(0, (value & 0xff) * 0x01010101);
  return bits.getInt32(0);
}

/** Returns the storage of an input, which is the output `y` for `IN_PLACE`. */
export const inputOf = (x: Input, y: Storage): Storage => (x === IN_PLACE ? y : x);

export function elementwise(engine: WasmEngine): ElementwiseKernels {
  const at = (storage: Storage) => engine.pointer(storage);

  return {
    fill(y, value) {
      const vectors = Math.ceil((y.size * (y.dtype === 'uint8' ? 1 : 4)) / 16);
      engine.parallel('fill', vectors, GRAIN / 4, at(y), pattern(y.dtype, value));
    },

    cast(y, x) {
      if (y.dtype === x.dtype) {
        engine.kernels.copyBytes(at(y), at(x), y.size * (y.dtype === 'uint8' ? 1 : 4));
        return;
      }
      const name = CASTS[`${x.dtype} ${y.dtype}`];
      if (name === undefined) throw new DTypeError(`cast: the wasm backend has no conversion from ${x.dtype} to ${y.dtype}`);
      engine.parallel(name, y.size, GRAIN, at(y), at(x));
    },

    unary(y, input, op) {
      const x = inputOf(input, y);
      engine.expect(op, 'float32', y, x);
      engine.parallel(op, y.size, HEAVY.includes(op) ? HEAVY_GRAIN : GRAIN, at(y), at(x));
    },

    binary(y, left, right, op, { shape, stridesA, stridesB }) {
      const [a, b] = [inputOf(left, y), inputOf(right, y)];
      engine.expect(op, a.dtype, y, b);
      if (a.dtype !== 'float32' && !(a.dtype === 'int32' && INT_OPS.includes(op))) {
        throw new DTypeError(`${op}: got ${a.dtype} on the wasm backend, expected float32${INT_OPS.includes(op) ? ' or int32' : ''}`);
      }
      const code = BINARY_OPS.indexOf(op) + (a.dtype === 'int32' ? INT : 0);
      const grain = op === 'pow' ? HEAVY_GRAIN : GRAIN;
      const axes = mergeAxes(axesOf(shape, stridesA, stridesB));
      const [length, strideA, strideB] = axes.pop()!;
      if (axes.length === 0) {
        engine.parallel('binaryFlat', y.size, grain, code, at(y), at(a), strideA, at(b), strideB);
        return;
      }
      const table = engine.parameters(tableOf(axes));
      engine.parallel('binaryRows', countOf(axes), grain / length, code, at(y), at(a), strideA, at(b), strideB, table, length);
    },

    affine(y, input, scale, shift) {
      const x = inputOf(input, y);
      engine.expect('affine', 'float32', y, x);
      engine.parallel('affine', y.size, GRAIN, at(y), at(x), scale, shift);
    },

    relu(y, input) {
      const x = inputOf(input, y);
      engine.expect('relu', 'float32', y, x);
      engine.parallel('relu', y.size, GRAIN, at(y), at(x));
    },

    reluGrad(dx, gradient, y, rule: ReluRule) {
      const dy = inputOf(gradient, dx);
      engine.expect('reluGrad', 'float32', dx, dy, y);
      if (rule === 'rectify') engine.parallel('relu', dx.size, GRAIN, at(dx), at(dy));
      else engine.parallel(rule === 'mask' ? 'reluGradMask' : 'reluGradMaskAndRectify', dx.size, GRAIN, at(dx), at(dy), at(y));
    },

    leakyRelu(y, x, slope) {
      engine.expect('leakyRelu', 'float32', y, x);
      engine.parallel('leakyRelu', y.size, GRAIN, at(y), at(x), slope);
    },

    leakyReluGrad(dx, dy, x, slope) {
      engine.expect('leakyReluGrad', 'float32', dx, dy, x);
      engine.parallel('leakyReluGrad', dx.size, GRAIN, at(dx), at(dy), at(x), slope);
    },

    clamp(y, x, low, high) {
      engine.expect('clamp', 'float32', y, x);
      engine.parallel('clamp', y.size, GRAIN, at(y), at(x), low, high);
    },

    clampGrad(dx, dy, x, low, high) {
      engine.expect('clampGrad', 'float32', dx, dy, x);
      engine.parallel('clampGrad', dx.size, GRAIN, at(dx), at(dy), at(x), low, high);
    },

    activation(y, x, kind) {
      engine.expect(kind, 'float32', y, x);
      engine.parallel('activation', y.size, HEAVY_GRAIN, ACTIVATION_KINDS.indexOf(kind), at(y), at(x));
    },

    activationGrad(dx, dy, x, kind) {
      engine.expect(`${kind}Grad`, 'float32', dx, dy, x);
      engine.parallel('activationGrad', dx.size, HEAVY_GRAIN, ACTIVATION_KINDS.indexOf(kind), at(dx), at(dy), at(x));
    },

    select(y, condition, a, b) {
      engine.expect('select', a.dtype, y, b);
      if (y.dtype === 'uint8' || condition.dtype === 'uint8')
        throw new DTypeError('select: got uint8 on the wasm backend, expected float32 or int32');
      engine.parallel('select', y.size, GRAIN, at(y), at(condition), condition.dtype === 'int32' ? 1 : 0, at(a), at(b));
    },
  };
}
