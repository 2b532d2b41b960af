/**
 * Automatic differentiation: records operations in a graph and runs the backward pass over it.
 *
 * Training, gradient saliency, guided backpropagation and the deconvnet are the same backward pass. They differ only in three `rules`.
 */
import { IN_PLACE, type Input } from '../../backend/backend.js';
import { BackendError, DTypeError, ShapeError } from '../../backend/errors.js';
import { arrayOf, boolean, checkArgument, checkOptions, either, oneOf, renamedOption, rule } from '../../backend/validate.js';
import { type Context, context } from '../context.js';
import { evictUploads, freedOnFailure, runScope } from '../memory/memory.js';
import { checkSynchronous, refusePromise } from '../memory/synchronous.js';
import { sameShape } from '../shape.js';
import { backendsDiffer, checkFloat, empty, isFloat, isTensor, type Tensor } from '../tensor.js';
import type { BackwardOptionsOf, BackwardRules, RulesName } from './backward_options.js';
import type { TensorNode } from './graph_node.js';
import { unmarkMasked } from './relu_marks.js';
import { currentLayer, span, withLayer } from './spans.js';

export type { BackwardRules, RulesName };

/** The predefined rules by name. */
export const RULES: Readonly<Record<RulesName, BackwardRules>> = {
  /** Training, and saliency maps (Simonyan et al. 2013). */
  gradient: { relu: 'mask', normalization: 'gradient', overlap: 'sum' },
  /** Guided backpropagation (Springenberg et al. 2014). */
  guided: { relu: 'mask-and-rectify', normalization: 'gradient', overlap: 'sum' },
  /** The deconvnet (Zeiler & Fergus 2013, section 2.1): unpool by switches, rectify, filter with the transposed weights. */
  deconvnet: { relu: 'rectify', normalization: 'pass', overlap: 'sum' },
};

/**
 * The backward step of an operation: computes the gradients of its inputs, in their order, from the gradient `dy` of its output.
 * Returns null for an input whose gradient is not needed. `saved` are the tensors given to `record`. The step returns new tensors or
 * `dy` itself, never a saved tensor. `results` tells which gradients the caller of `backward` gets (`wrt`); the others are only passed on.
 */
export type BackwardFn = (
  dy: Tensor,
  saved: readonly Tensor[],
  needs: readonly boolean[],
  rules: BackwardRules,
  results: readonly boolean[],
) => (Tensor | null)[];

/** One recorded operation. */
class GraphNode implements TensorNode {
  freedBy: string | null = null;
  /** Path of the layer in which the operation ran. */
  readonly layer = currentLayer();
  /** Reference count: one for the output tensor and one for each recorded operation that has the output as an input. */
  private references = 1;

  constructor(
    readonly op: string,
    public inputs: readonly Tensor[],
    readonly output: Tensor,
    public saved: readonly Tensor[],
    public backward: BackwardFn,
  ) {
    for (const input of inputs) {
      const node = nodeOf(input);
      if (node) node.references++;
    }
  }

  /** Frees the saved tensors, evicts the backend's copies of tensors that also have their data on the host, and clears the references. */
  release(by: string): void {
    this.freedBy = by;
    for (const tensor of this.saved) {
      tensor.release(by);
      tensor.buffer.evict();
    }
    for (const input of this.inputs) if (!input.node) input.buffer.evict();
    this.saved = [];
    this.inputs = [];
    this.backward = () => [];
  }

  releaseReference(by: string): void {
    const stack: GraphNode[] = [this];
    for (let node = stack.pop(); node; node = stack.pop()) {
      if (--node.references > 0 || node.freedBy) continue;
      for (const input of node.inputs) {
        const inputNode = nodeOf(input);
        if (inputNode) stack.push(inputNode);
      }
      node.release(by);
    }
  }
}

/** Returns the recorded operation that computed a tensor. Only `record` sets `Tensor.node`, always to a `GraphNode`. */
const nodeOf = (tensor: Tensor): GraphNode | null => tensor.node as GraphNode | null;

/**
 * Returns whether operations are being recorded, that is, whether this is not inside `noGrad`.
 *
 * @example noGrad(() => isRecording()) // false
 */
export const isRecording = (): boolean => context.recording !== 'off';

/**
 * Makes every operation check its output for NaN and infinities. The `NonFiniteError` is thrown by the operation or, on a backend that
 * queues its work, by the next read of a tensor. Slow; for debugging.
 */
export function setNanCheck(on: boolean): void {
  checkArgument('setNanCheck', 'the argument', on, boolean);
  context.nanCheck = on;
}

/**
 * Runs `fn` without recording operations, for evaluation, and returns its result. Like `scope`, it frees every tensor created inside
 * except those that `fn` returns. PyTorch `torch.no_grad`.
 *
 * @example const scores = noGrad(() => model.forward(images));
 */
export function noGrad<T>(fn: () => T): T {
  return withRecording('off', () => runScope('noGrad()', fn, isTensor));
}

/**
 * Runs `fn` with operations being recorded also in modules in evaluation mode and inside `noGrad`, and returns its result. PyTorch
 * `torch.enable_grad`.
 *
 * A module in evaluation mode otherwise records its operations only if its input requires a gradient, so that inference keeps no graph.
 *
 * @example const loss = recording(() => crossEntropy(model.eval().forward(images), labels));
 * @throws ValueError if `fn` is an async function
 */
export function recording<T>(fn: () => T): T {
  checkSynchronous('recording', fn);
  return withRecording('on', () => {
    const result = fn();
    refusePromise('recording', result);
    return result;
  });
}

function withRecording<T>(state: Context['recording'], fn: () => T): T {
  const before = context.recording;
  context.recording = state;
  try {
    return fn();
  } finally {
    context.recording = before;
  }
}

/**
 * @internal Runs the `forward` of a module in evaluation mode: without recording and in a scope, unless an input requires a gradient or
 * `recording` or `noGrad` is in effect.
 *
 * @param owned tensors of the module, which are not freed
 */
export function inferring<T>(inputs: readonly unknown[], owned: () => readonly unknown[], fn: () => T): T {
  if (context.recording !== 'auto' || inputs.some(requiresGradient)) return fn();
  const run = () => {
    const result = fn();
    refusePromise(FORWARD, result);
    return { result, owned: owned() };
  };
  return withRecording('off', () => runScope(FORWARD, run, isTensor)).result;
}

const FORWARD = 'forward() in evaluation mode';

const requiresGradient = (input: unknown): boolean =>
  Array.isArray(input) ? input.some(requiresGradient) : isTensor(input) && input.requiresGrad;

/**
 * Finishes an operation: records it if one of its inputs requires a gradient, and returns its output.
 *
 * @param saved tensors that the backward step needs; their data stays in memory until then
 */
export function record(op: string, output: Tensor, inputs: readonly Tensor[], saved: readonly Tensor[], backward: BackwardFn): Tensor {
  if (context.nanCheck) checkFinite(op, output);
  if (context.recording === 'off' || !inputs.some((input) => input.requiresGrad)) return output;
  output.requiresGrad = true;
  const kept = saved.map((tensor) => tensor.alias(tensor.shape, false));
  output.node = new GraphNode(op, inputs, output, kept, backward);
  return output;
}

/** Returns whether an operation on these inputs will be recorded, for operations that compute something extra for their backward step. */
export function willRecord(...inputs: (Tensor | null)[]): boolean {
  return context.recording !== 'off' && inputs.some((input) => input?.requiresGrad);
}

function checkFinite(op: string, output: Tensor): void {
  if (isFloat(output.dtype)) output.backend.checkFinite(output.storage, op);
}

/** Options of `backward`. */
export interface BackwardOptions extends BackwardOptionsOf<Tensor> {}

/**
 * Runs the backward pass from `output`: computes the gradients of everything that it was computed from. PyTorch `Tensor.backward` and,
 * with `wrt`, `torch.autograd.grad`.
 *
 * Unless `retainGraph` is set, it frees the saved tensors and every tensor computed between the leaves and `output`, except tensors on
 * which `keep()` was called. An output of one element, such as a loss, moves to the host, so that it uses no backend memory afterwards.
 *
 * @example const [gradient] = backward(square(weight).sum(), { wrt: [weight] });
 * @returns the gradients with respect to `wrt`, in its order (zeros where the output does not depend on the tensor); without `wrt` an
 *   empty array
 * @throws ShapeError, DTypeError or BackendError for a gradient that does not match the output; BackendError if the output was not
 *   recorded or its graph was freed
 */
export function backward(output: Tensor, options: BackwardOptions = {}): Tensor[] {
  return span('backward', () => walk(output, options));
}

/** Checks backend and element type. The output itself may have been disposed of, since only its graph is needed. */
function checkMatches(output: Tensor, gradient: Tensor): void {
  if (gradient.backend !== output.backend) throw backendsDiffer('backward', output, gradient);
  if (gradient.dtype !== output.dtype)
    throw new DTypeError(`backward: gradient has type ${gradient.dtype}, expected ${output.dtype}, the type of the output`);
}

const RULES_OF_RULES = {
  relu: oneOf('mask', 'rectify', 'mask-and-rectify'),
  normalization: oneOf('gradient', 'pass'),
  overlap: oneOf('sum', 'last'),
};
const tensorRule = rule('a tensor', isTensor);
const BACKWARD_RULES = {
  gradient: tensorRule,
  rules: either(
    oneOf('gradient', 'guided', 'deconvnet'),
    rule('an object of rules', (value) => typeof value === 'object' && value !== null),
  ),
  wrt: arrayOf(tensorRule),
  retainGraph: boolean,
  seed: tensorRule,
  keepGraph: boolean,
};

function walk(output: Tensor, options: BackwardOptions): Tensor[] {
  checkArgument('backward', 'the output', output, tensorRule);
  checkOptions('backward', options, BACKWARD_RULES);
  const rules = resolveRules(options.rules ?? 'gradient');
  const { wrt } = options;
  const given = renamedOption<Tensor>('backward', options, 'gradient', 'seed');
  const retainGraph = renamedOption<boolean>('backward', options, 'retainGraph', 'keepGraph') ?? false;
  if (!output.requiresGrad)
    throw new BackendError(
      'backward: the output was not recorded: no input requires a gradient, or it was computed inside noGrad() or by a module in eval(); set requiresGrad on an input, call train() on the module, or compute the output inside recording(fn)',
    );
  if (given) {
    checkFloat('backward', given);
    checkMatches(output, given);
  }
  if (given && !sameShape(given.shape, output.shape))
    throw new ShapeError(`backward: gradient has shape [${given.shape}], expected [${output.shape}], the shape of the output`);
  if (!given && output.size !== 1)
    throw new ShapeError(
      `backward: output has shape [${output.shape}], expected one element; pass { gradient } of that shape, or reduce it with sum() or mean()`,
    );

  const order = topologicalOrder(output);
  for (const { op, freedBy } of order) if (freedBy) throw new BackendError(freedGraphMessage(op, freedBy));
  const wanted = wrt ? dependingOn(order, wrt) : null;
  const isWanted = (input: Tensor) => (wanted ? wanted.has(input) : input.requiresGrad);

  /** Gradient of each tensor, as far as it has been summed. */
  const gradients = new Map<Tensor, Tensor>();
  const add = (to: Tensor, gradient: Tensor) => {
    const sum = gradients.get(to);
    gradients.set(to, sum ? addGradients(sum, gradient) : gradient);
  };

  try {
    if (isWanted(output)) add(output, given ? given.alias(given.shape, false) : oneLike(output));
    for (const node of order) {
      const dy = gradients.get(node.output);
      if (dy) {
        // A backward step may overwrite a gradient whose buffer is not shared. The alias protects one that will be returned.
        if (wrt?.includes(node.output)) gradients.set(node.output, dy.alias(dy.shape, false));
        else gradients.delete(node.output);
        freedOnFailure(() => {
          for (const [input, gradient] of stepBack(node, dy, isWanted, rules, wrt)) add(input, gradient);
        }, dy);
      }
      if (!retainGraph) freeNode(node, output, 'backward()');
    }
    if (!retainGraph) {
      evictUploads(output.backend);
      if (output.size === 1) output.buffer.moveToHost();
    }
    return wrt ? collectGradients(wrt, gradients) : accumulateLeaves(gradients);
  } catch (error) {
    const by = 'a failed backward()';
    for (const gradient of gradients.values()) gradient.release(by);
    if (!retainGraph) for (const node of order) freeNode(node, output, by);
    throw error;
  }
}

/** Runs the backward step of one operation and returns the gradients of its wanted inputs. Frees `dy`. */
function stepBack(
  node: GraphNode,
  dy: Tensor,
  isWanted: (input: Tensor) => boolean,
  rules: BackwardRules,
  wrt: readonly Tensor[] = [],
): [Tensor, Tensor][] {
  const needs = node.inputs.map(isWanted);
  const asked = node.inputs.map((input) => wrt.includes(input));
  const results: [Tensor, Tensor][] = [];
  if (needs.includes(true)) {
    const gradients = withLayer(node.layer, () => node.backward(dy, node.saved, needs, rules, asked), node.layer || node.op);
    node.inputs.forEach((input, i) => {
      const gradient = gradients[i];
      if (!gradient) return;
      if (!needs[i]) {
        if (gradient !== dy) gradient.release('backward()');
        return;
      }
      if (context.nanCheck) checkFinite(`${node.op} backward`, gradient);
      results.push([input, gradient === dy ? dy.alias(dy.shape, false) : gradient]);
    });
  }
  dy.release('backward()');
  return results;
}

function freedGraphMessage(op: string, by: string): string {
  const hint =
    by === 'backward()' ? 'pass { retainGraph: true } to the first backward()' : 'call backward() before that, or compute it again';
  return `backward: the graph through ${op} was freed by ${by}; ${hint}`;
}

function resolveRules(rules: RulesName | BackwardRules): BackwardRules {
  if (typeof rules === 'string') return RULES[rules];
  checkOptions('backward', rules, RULES_OF_RULES);
  return { ...RULES.gradient, ...rules };
}

/** Returns the nodes that `output` depends on in reverse topological order: each node before the nodes of its inputs. */
function topologicalOrder(output: Tensor): GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const visit = (node: GraphNode | null) => {
    if (!node || seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  visit(nodeOf(output));
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.next < top.node.inputs.length) visit(nodeOf(top.node.inputs[top.next++]));
    else {
      order.push(top.node);
      stack.pop();
    }
  }
  return order.reverse();
}

/** Returns the tensors of the graph that depend on one of `targets`, and `targets` themselves. */
function dependingOn(order: readonly GraphNode[], targets: readonly Tensor[]): Set<Tensor> {
  const found = new Set<Tensor>(targets);
  for (let i = order.length - 1; i >= 0; i--) if (order[i].inputs.some((input) => found.has(input))) found.add(order[i].output);
  return found;
}

function oneLike(output: Tensor): Tensor {
  const one = empty('backward', output.shape, output.dtype, output.backend, false);
  one.backend.fill(one.storage, 1);
  return one;
}

/** Returns a + b and frees both; overwrites `a` if its buffer is not shared. */
function addGradients(a: Tensor, b: Tensor): Tensor {
  const sum = a.buffer.shared ? empty('backward', a.shape, a.dtype, a.backend, false) : a;
  const input: Input = sum === a ? IN_PLACE : a.storage;
  a.backend.binary(sum.writable, input, b.storage, 'add', { shape: [a.size], stridesA: [1], stridesB: [1] });
  unmarkMasked(sum);
  if (sum !== a) a.release('backward()');
  b.release('backward()');
  return sum;
}

/** Frees a node and its output, unless the output is `root` or was exempted by `keep()`. */
function freeNode(node: GraphNode, root: Tensor, by: string): void {
  if (node.freedBy) return;
  node.release(by);
  if (node.output !== root && !node.output.kept) node.output.release(by);
}

/** Adds each gradient to `grad` of its leaf. */
function accumulateLeaves(gradients: Map<Tensor, Tensor>): Tensor[] {
  for (const [leaf, gradient] of gradients) {
    gradients.delete(leaf);
    const total = leaf.grad ? addGradients(leaf.grad, unshared(gradient)) : unshared(gradient);
    total.kept = true;
    leaf.grad = total;
  }
  return [];
}

/** @internal Returns `dy` if its buffer is not shared, so that it may be overwritten; otherwise a new tensor of its shape. */
export function overwritable(op: string, dy: Tensor): Tensor {
  return dy.buffer.shared ? empty(op, dy.shape, dy.dtype, dy.backend, false) : dy;
}

/** Returns the gradient, copied if its buffer is shared: `grad` outlives the backward pass and must have a buffer of its own. */
function unshared(gradient: Tensor): Tensor {
  if (!gradient.buffer.shared) return gradient;
  const copy = empty('backward', gradient.shape, gradient.dtype, gradient.backend, false);
  copy.backend.affine(copy.storage, gradient.storage, 1, 0);
  gradient.release('backward()');
  return copy;
}

/** Returns copies of the gradients of `wrt`, zeros where there is none, and frees all gradients. */
function collectGradients(wrt: readonly Tensor[], gradients: Map<Tensor, Tensor>): Tensor[] {
  const results = wrt.map((target) => {
    const gradient = gradients.get(target);
    const result = empty('backward', target.shape, target.dtype, target.backend);
    if (gradient) result.backend.affine(result.storage, gradient.storage, 1, 0);
    else result.backend.fill(result.storage, 0);
    return result;
  });
  for (const gradient of gradients.values()) gradient.release('backward()');
  return results;
}
