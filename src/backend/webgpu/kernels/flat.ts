/**
 * Generator of elementwise kernels: one scalar expression becomes a kernel that processes four elements per thread, and a variant for each set
 * of operands that the output overwrites, whose buffer WebGPU allows to be bound only once.
 */
import { IN_PLACE, type Input } from '../../backend.js';
import type { GpuStorage } from '../buffers.js';
import { type BufferBinding, flatGroups, type GpuQueue, type Kernel, type ParamField } from '../kernel.js';
import { FLAT_MAIN } from '../wgsl.js';

/** Type of the elements that an expression computes with. `u32` stands for the bits of any type. */
export type FlatType = 'f32' | 'i32' | 'u32';

/** An elementwise operation. */
export interface FlatOperation {
  /** Name for profiles and messages. */
  readonly name: string;
  readonly type: FlatType;
  /** Names of the operands. */
  readonly operands: readonly string[];
  /** Parameters besides the number of vectors; the expression reads them as `p.name`. */
  readonly params?: readonly ParamField[];
  /** Functions that the expression calls. */
  readonly helpers?: string;
  /** The result for one element, computed from the operands by their names. */
  readonly result: string;
}

/** Returns a function that runs an operation: output, operands, values of the parameters. An operand may be `IN_PLACE`. */
export function flat(
  operation: FlatOperation,
): (queue: GpuQueue, y: GpuStorage, operands: readonly Input[], values?: readonly number[]) => void {
  /** Kernels by the set of operands that are in place, a bit mask. */
  const kernels: Kernel[] = [];
  return (queue, y, operands, values = []) => {
    if (y.size === 0) return;
    let inPlace = 0;
    const storages = [y];
    operands.forEach((operand, i) => {
      if (operand === IN_PLACE) inPlace |= 1 << i;
      else storages.push(queue.own(operand));
    });
    kernels[inPlace] ??= flatKernel(operation, inPlace);
    const vectors = vectorsOf(y);
    queue.launch(kernels[inPlace], storages, [vectors, ...values], flatGroups(vectors));
  };
}

/** Number of vectors of 16 bytes that hold the elements of a storage. */
export const vectorsOf = ({ dtype, size }: GpuStorage): number => Math.ceil(size / (dtype === 'uint8' ? 16 : 4));

function flatKernel({ name, type, operands, params = [], helpers = '', result }: FlatOperation, inPlace: number): Kernel {
  const vector = `vec4<${type}>`;
  const isInPlace = (i: number) => (inPlace & (1 << i)) !== 0;
  const buffers: BufferBinding[] = [{ name: 'output', type: `array<${vector}>`, access: 'read_write' }];
  for (const [i, operand] of operands.entries())
    if (!isInPlace(i)) buffers.push({ name: `${operand}Values`, type: `array<${vector}>`, access: 'read' });
  const loads = operands.map((operand, i) => `let ${operand} = ${isInPlace(i) ? 'output' : `${operand}Values`}[i];`).join('\n  ');
  const lanes = ['x', 'y', 'z', 'w'].map((lane) => `f(${operands.map((operand) => `${operand}.${lane}`).join(', ')})`).join(', ');
  return {
    name,
    key: `flat ${type} in place ${inPlace}`,
    buffers,
    params: [['count', 'u32'], ...params],
    code: () => `${helpers}
fn f(${operands.map((operand) => `${operand}: ${type}`).join(', ')}) -> ${type} { return ${result}; }
${FLAT_MAIN}
  ${loads}
  output[i] = ${vector}(${lanes});
}`,
  };
}
