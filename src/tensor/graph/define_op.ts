/** Operations defined outside the engine: a forward function and its backward step, which take part in the graph like built-in ones. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import { checkArgument, checkFields, func, isPlainObject, rule, show } from '../../backend/validate.js';
import { sameShape } from '../shape.js';
import { checkSameBackend, isFloat, isTensor, type Tensor } from '../tensor.js';
import { type BackwardFn, type BackwardRules, noGrad, record, willRecord } from './autograd.js';
import { inLayer } from './spans.js';

/** What one call of a defined operation keeps from its forward function for its backward step. */
export interface OpContext<Options extends object = Record<string, unknown>> {
  /** The options of the call; an empty object if there were none. */
  readonly options: Options;
  /** For each input, whether its gradient is needed. A backward step may return null for the others. */
  readonly needs: readonly boolean[];
  /** Shape of each input. Reading it keeps no tensor in memory. */
  readonly shapes: readonly (readonly number[])[];
  /** The saved tensors, in the order in which they were saved. They are freed together with the graph. */
  readonly saved: readonly Tensor[];
  /** Keeps tensors (inputs, the output or intermediate results) for the backward step. Call it in the forward function only. */
  save(...tensors: Tensor[]): void;
}

/** Definition of an operation of the user, for `defineOp`. */
export interface OpDefinition<Options extends object = Record<string, unknown>> {
  /** Name of the operation in profiles and error messages. */
  name: string;
  /** Returns the output. Runs without recording; whatever it creates besides the output and the saved tensors is freed. */
  forward(ctx: OpContext<Options>, inputs: readonly Tensor[], options: Options): Tensor;
  /**
   * Returns the gradient of each input, in the order of the inputs, or null for none. Runs without recording. `rules` are the rules of
   * the backward pass: `rules.relu` differs between the gradient, guided backpropagation and the deconvnet.
   */
  backward(ctx: OpContext<Options>, gradient: Tensor, rules: BackwardRules): readonly (Tensor | null)[];
}

/** A defined operation: takes its input tensors by position and, last, an optional object of options. */
export type DefinedOp<Options extends object = Record<string, unknown>> = (...args: (Tensor | Options | undefined)[]) => Tensor;

const DEFINITION_RULES = {
  name: rule('a name that is not empty', (value) => typeof value === 'string' && value !== ''),
  forward: func,
  backward: func,
};

/** The context of one call. */
class Call<Options extends object> implements OpContext<Options> {
  readonly shapes: readonly (readonly number[])[];
  saved: readonly Tensor[] = [];
  private open = true;

  constructor(
    private readonly name: string,
    inputs: readonly Tensor[],
    readonly options: Options,
    public needs: readonly boolean[],
  ) {
    this.shapes = inputs.map(({ shape }) => shape);
  }

  /** Saves aliases, so that the tensors themselves can be freed or disposed of by their owner. */
  save(...tensors: Tensor[]): void {
    if (!this.open) throw new ValueError(`${this.name}: save() was called after the forward function, expected inside it`);
    checkSameBackend(`${this.name}: save`, ...tensors);
    this.saved = [...this.saved, ...tensors.map((each) => each.alias(each.shape, true))];
  }

  /** Prepares the context for a backward step with the tensors that the graph kept. */
  reopen(saved: readonly Tensor[], needs: readonly boolean[]): void {
    this.saved = saved;
    this.needs = needs;
  }

  /** Ends a step and returns the saved tensors, to which the context refers no longer. */
  close(): readonly Tensor[] {
    const { saved } = this;
    this.open = false;
    this.saved = [];
    return saved;
  }
}

/**
 * Defines an operation by a forward function and its backward step, and returns it as a function of tensors and options. PyTorch
 * `autograd.Function`.
 *
 * Both functions may use all public operations, and host data (`dataSync()`, `tensor(…)`). The operation is recorded as one node: it
 * works in training, in `noGrad`, under all three backward rules and in `gradcheck`, which is how to test its backward step.
 *
 * ```ts
 * const cube = defineOp({
 *   name: 'cube',
 *   forward(ctx, [x]) { ctx.save(x); return pow(x, 3); },
 *   backward(ctx, gradient) { return [mul(gradient, mul(square(ctx.saved[0]), 3))]; },
 * });
 * cube(tensor([1, 2, 3], [3], { requiresGrad: true }));
 * ```
 *
 * @throws ValueError for an incomplete definition; the operation itself throws a ValueError or ShapeError, with its name, where an input
 *   is not a tensor or a returned gradient does not fit its input
 */
export function defineOp<Options extends object = Record<string, unknown>>(definition: OpDefinition<Options>): DefinedOp<Options> {
  checkFields('defineOp', definition, DEFINITION_RULES, ['name', 'forward', 'backward']);
  const { name } = definition;
  return (...args) => {
    const { inputs, options } = separate<Options>(name, args);
    checkSameBackend(name, ...inputs);
    const needs = inputs.map((input) => willRecord(input));
    const call = new Call(name, inputs, options, needs);
    // The name becomes the last part of the layer's path, under which profiles show the kernels of both steps.
    return inLayer(name, () => {
      const { output, saved } = noGrad(() => {
        const made = checkOutput(name, definition.forward(call, inputs, options), inputs);
        return { output: made.alias(made.shape, true), saved: call.close() };
      });
      const backward: BackwardFn = (dy, kept, wanted, rules) => {
        call.reopen(kept, wanted);
        try {
          return noGrad(() => checkGradients(name, definition.backward(call, dy, rules), inputs, wanted));
        } finally {
          call.close();
        }
      };
      const result = isFloat(output.dtype) ? record(name, output, inputs, saved, backward) : output;
      for (const each of saved) each.release(name);
      return result;
    });
  };
}

/** Separates the options, a plain object in the last place, from the tensors before them. */
function separate<Options extends object>(name: string, args: readonly unknown[]): { inputs: Tensor[]; options: Options } {
  const given = [...args];
  while (given.length > 0 && given.at(-1) === undefined) given.pop();
  const options = isPlainObject(given.at(-1)) ? given.pop() : {};
  given.forEach((input, i) => {
    if (!isTensor(input)) throw new ValueError(`${name}: argument ${i + 1} is ${show(input)}, expected a tensor; options come last`);
  });
  if (given.length === 0) throw new ValueError(`${name}: got no tensors, expected at least one`);
  return { inputs: given as Tensor[], options: options as Options };
}

function checkOutput(name: string, output: unknown, inputs: readonly Tensor[]): Tensor {
  if (!isTensor(output)) {
    if (output instanceof Promise) output.catch(() => undefined);
    throw new ValueError(
      `${name}: the forward function returned ${show(output)}, expected a tensor${output instanceof Promise ? '; it must not be async' : ''}`,
    );
  }
  checkSameBackend(name, inputs[0], output);
  return output;
}

/** Checks the gradients that a backward step returned, and returns aliases of those that are needed. */
function checkGradients(name: string, gradients: unknown, inputs: readonly Tensor[], needs: readonly boolean[]): (Tensor | null)[] {
  const op = `${name} backward`;
  checkArgument(op, 'the result', gradients, rule('an array of one gradient or null per input', Array.isArray));
  const list = gradients as readonly unknown[];
  if (list.length !== inputs.length)
    throw new ValueError(`${op}: returned ${list.length} gradients, expected ${inputs.length}, one per input (null for none)`);
  return list.map((gradient, i) => {
    if (gradient === null || gradient === undefined) return null;
    if (!isTensor(gradient)) throw new ValueError(`${op}: gradient ${i} is ${show(gradient)}, expected a tensor or null`);
    const { shape, dtype, backend } = inputs[i];
    if (!isFloat(dtype)) return null;
    if (!sameShape(gradient.shape, shape))
      throw new ShapeError(`${op}: gradient ${i} has shape [${gradient.shape}], expected [${shape}], the shape of input ${i}`);
    if (gradient.backend !== backend || gradient.dtype !== dtype)
      throw new ValueError(
        `${op}: gradient ${i} is ${gradient.dtype} on ${gradient.backend.name}, expected ${dtype} on ${backend.name}, as input ${i}`,
      );
    return needs[i] ? gradient.alias(shape, false) : null;
  });
}
