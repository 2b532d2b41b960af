/** Elementwise kernels of two operands, with broadcasting. */
import { type Backend, type BinaryOp, IN_PLACE, type Input } from '../../backend.js';
import { DTypeError } from '../../errors.js';
import type { GpuStorage } from '../buffers.js';
import { type BufferBinding, flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS, COMPARE, EXP_LOG, FLAT_MAIN, NAN_MAX, POW } from '../wgsl.js';
import { type Axis, axesOf, INDEX_PARAMS, indexCode, indexValues, mergeAxes } from './axes.js';

type Operand = 'f32' | 'i32';

/** The result for one element of a and b, by element type; a missing type is not supported. */
const RESULTS: Readonly<Record<BinaryOp, { f32: string; i32?: string; helpers?: string }>> = {
  add: { f32: 'a + b', i32: 'a + b' },
  sub: { f32: 'a - b', i32: 'a - b' },
  mul: { f32: 'a * b', i32: 'a * b' },
  div: { f32: 'a / b' },
  pow: { f32: 'pow1(a, b)', helpers: BITS + EXP_LOG + POW },
  max: { f32: 'nanMax(a, b)', i32: 'max(a, b)', helpers: BITS + NAN_MAX },
  min: { f32: 'nanMin(a, b)', i32: 'min(a, b)', helpers: BITS + NAN_MAX },
  greater: { f32: 'select(0.0, 1.0, isGreater(a, b))', i32: 'select(0, 1, a > b)', helpers: BITS + COMPARE },
  equal: { f32: 'select(0.0, 1.0, isEqual(a, b))', i32: 'select(0, 1, a == b)', helpers: BITS + COMPARE },
};

/** How an operand is bound: in place, with the shape of the output, as one number, or by strides. */
type Access = 'place' | 'flat' | 'one' | 'strided';

const kernels = new Map<string, Kernel>();

function kernelOf(op: BinaryOp, type: Operand, accessA: Access, accessB: Access, rank: number): Kernel {
  const key = `${type} ${accessA} ${accessB} ${rank}`;
  const id = `${op} ${key}`;
  const known = kernels.get(id);
  if (known) return known;
  const made = rank === 0 ? flatKernel(op, type, accessA, accessB, key) : stridedKernel(op, type, accessA, accessB, rank, key);
  kernels.set(id, made);
  return made;
}

/** Returns the bindings: the output, and the operands that are not in place. */
function bindings(element: string, accessA: Access, accessB: Access): BufferBinding[] {
  const buffers: BufferBinding[] = [{ name: 'y', type: `array<${element}>`, access: 'read_write' }];
  if (accessA !== 'place') buffers.push({ name: 'left', type: `array<${element}>`, access: 'read' });
  if (accessB !== 'place') buffers.push({ name: 'right', type: `array<${element}>`, access: 'read' });
  return buffers;
}

const functionOf = (op: BinaryOp, type: Operand) =>
  `${RESULTS[op].helpers ?? ''}
fn f(a: ${type}, b: ${type}) -> ${type} { return ${RESULTS[op][type]}; }`;

/** Four elements per thread. */
function flatKernel(op: BinaryOp, type: Operand, accessA: Access, accessB: Access, key: string): Kernel {
  const vector = `vec4<${type}>`;
  const load = (access: Access, name: string) =>
    access === 'place' ? 'y[i]' : access === 'one' ? `${vector}(${name}[0].x)` : `${name}[i]`;
  return {
    name: op,
    key,
    buffers: bindings(vector, accessA, accessB),
    params: [['count', 'u32']],
    code: () => `${functionOf(op, type)}
${FLAT_MAIN}
  let a = ${load(accessA, 'left')};
  let b = ${load(accessB, 'right')};
  y[i] = ${vector}(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
}`,
  };
}

/** One element per thread, whose position on the axes gives the offset of each operand. */
function stridedKernel(op: BinaryOp, type: Operand, accessA: Access, accessB: Access, rank: number, key: string): Kernel {
  const load = (access: Access, name: string, offset: string) => (access === 'place' ? 'y[i]' : `${name}[${offset}]`);
  return {
    name: op,
    key,
    buffers: bindings(type, accessA, accessB),
    params: [['count', 'u32'], ...INDEX_PARAMS(rank)],
    code: () => `${functionOf(op, type)}
${FLAT_MAIN}
  ${indexCode(rank)}
  y[i] = f(${load(accessA, 'left', 'offsetA')}, ${load(accessB, 'right', 'offsetB')});
}`,
  };
}

function accessOf(input: Input, axes: readonly Axis[], place: 1 | 2): Access {
  if (input === IN_PLACE) return 'place';
  if (axes.length > 1) return 'strided';
  return axes[0][place] === 0 ? 'one' : axes[0][place] === 1 ? 'flat' : 'strided';
}

export const binary =
  (queue: GpuQueue): Backend['binary'] =>
  (y, a, b, op, { shape, stridesA, stridesB }) => {
    const output = queue.own(y);
    const operands: GpuStorage[] = [];
    const inputs: readonly Input[] = [a, b];
    for (const input of inputs) if (input !== IN_PLACE) operands.push(queue.own(input));
    const type = y.dtype === 'float32' ? 'f32' : y.dtype === 'int32' ? 'i32' : null;
    for (const { dtype } of operands)
      if (dtype !== y.dtype) throw new DTypeError(`${op}: got ${dtype} on the webgpu backend, expected ${y.dtype}`);
    if (type === null || RESULTS[op][type] === undefined)
      throw new DTypeError(`${op}: got ${y.dtype} on the webgpu backend, expected float32${RESULTS[op].i32 ? ' or int32' : ''}`);
    if (y.size === 0) return;
    const axes = mergeAxes(axesOf(shape, stridesA, stridesB));
    const [accessA, accessB] = [accessOf(a, axes, 1), accessOf(b, axes, 2)];
    const isFlat = accessA !== 'strided' && accessB !== 'strided' && axes.length === 1;
    const kernel = kernelOf(op, type, accessA, accessB, isFlat ? 0 : axes.length);
    const count = isFlat ? Math.ceil(y.size / 4) : y.size;
    queue.launch(kernel, [output, ...operands], isFlat ? [count] : [count, ...indexValues(axes)], flatGroups(count));
  };
