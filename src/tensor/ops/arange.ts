/** Sequences of evenly spaced numbers. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import { checkArgument, checkOptions, finite, isPlainObject } from '../../backend/validate.js';
import { fromHost, TENSOR_RULES, type Tensor, type TensorOptions, toTypedArray } from '../tensor.js';

/** Maximum number of elements: 1 GiB as float32, built on the host. */
const MOST = 2 ** 28;

/**
 * Creates the numbers from `start` (inclusive, default 0) to `end` (exclusive) by `step` (default 1). PyTorch `arange`, ONNX `Range`. As
 * everywhere in zfnet, the element type is float32 unless `dtype` says otherwise.
 *
 * @example arange(3) // 0, 1, 2
 * @example arange(10, 4, -2, { dtype: 'int32' }) // 10, 8, 6
 * @throws ValueError for a step of 0 or of the wrong sign, and for values that the type cannot represent
 */
export function arange(end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, step: number, options?: TensorOptions): Tensor;
export function arange(...args: (number | TensorOptions | undefined)[]): Tensor {
  const numbers = [...args];
  while (numbers.length > 0 && numbers.at(-1) === undefined) numbers.pop();
  const options = (isPlainObject(numbers.at(-1)) ? numbers.pop() : {}) as TensorOptions;
  for (const [i, name] of (numbers.length > 1 ? ['start', 'end', 'step'] : ['end']).entries())
    if (i < Math.max(numbers.length, 1)) checkArgument('arange', name, numbers[i], finite());
  if (numbers.length > 3) throw new ValueError(`arange: got ${numbers.length} numbers, expected at most start, end and step`);
  const [start, end, step] = (numbers.length > 1 ? [...numbers, 1] : [0, numbers[0], 1]) as [number, number, number];
  checkOptions('arange', options, TENSOR_RULES);
  const { dtype = 'float32', backend, requiresGrad } = options;
  if (step === 0 || (end - start) / step < 0)
    throw new ValueError(`arange: start is ${start}, end is ${end} and step is ${step}, expected a step that leads from start to end`);
  const count = Math.ceil((end - start) / step);
  if (!(count <= MOST)) throw new ShapeError(`arange: start ${start}, end ${end} and step ${step} give ${count} elements, at most ${MOST}`);
  const values = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return fromHost(toTypedArray(values, dtype, 'arange'), [count], { backend, requiresGrad });
}
