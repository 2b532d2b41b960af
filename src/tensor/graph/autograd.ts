/**
 * One recorded graph, one walk backwards, several rules.
 *
 * Operations record how they were computed; `backward` walks from an output down to the leaves. Training, gradient
 * saliency, guided backpropagation and the deconvnet are this same walk: they differ in the three words of their `rules`.
 */
import type { OverlapRule, ReluRule } from '../../backend/backend.js';
import { BackendError, DTypeError, NonFiniteError, ShapeError } from '../../backend/errors.js';
import { arrayOf, boolean, checkArgument, checkOptions, either, oneOf, rule } from '../../backend/validate.js';
import { freedOnFailure, runScope } from '../memory/memory.js';
import { sameShape } from '../shape.js';
import { backendsDiffer, checkFloat, empty, isTensor, type Tensor } from '../tensor.js';
import { currentLayer, span, withLayer } from './spans.js';

/** What the walk does where methods disagree. Everything else is the gradient in all of them. */
export interface BackwardRules {
  /** How a ReLU treats the signal coming down. */
  relu: ReluRule;
  /** Contrast normalisation: its gradient, or passed through as if it were not there. */
  normalization: 'gradient' | 'pass';
  /** Where two pooling windows share a switch: the exact adjoint adds, PyTorch's unpooling overwrites. */
  overlap: OverlapRule;
}

export type RulesName = 'gradient' | 'guided' | 'deconvnet';

export const RULES: Readonly<Record<RulesName, BackwardRules>> = {
  /** Training, and saliency (Simonyan et al. 2013). */
  gradient: { relu: 'mask', normalization: 'gradient', overlap: 'sum' },
  /** Guided backpropagation (Springenberg et al. 2014). */
  guided: { relu: 'mask-and-rectify', normalization: 'gradient', overlap: 'sum' },
  /** The deconvnet (Zeiler & Fergus 2013, section 2.1): unpool by switches, rectify the signal, filter transposed. */
  deconvnet: { relu: 'rectify', normalization: 'pass', overlap: 'sum' },
};

/**
 * From the gradient of the output to the gradients of the inputs, in their order; null where none is needed.
 * `saved` are the tensors that were handed to `record`. Fresh tensors (or `dy` itself) are returned, never a saved one.
 */
export type BackwardFn = (dy: Tensor, saved: readonly Tensor[], needs: readonly boolean[], rules: BackwardRules) => (Tensor | null)[];

/** One recorded operation. */
export class GraphNode {
  /** What freed it; null while a walk can still go through. */
  freedBy: string | null = null;
  /** The layer that it ran in. */
  readonly layer = currentLayer();
  /** The output's owner, and the operations that took the output in. At 0 no walk can come here any more. */
  private users = 1;

  constructor(
    readonly op: string,
    public inputs: readonly Tensor[],
    readonly output: Tensor,
    public saved: readonly Tensor[],
    public backward: BackwardFn,
  ) {
    for (const { node } of inputs) if (node) node.users++;
  }

  /** Gives back what was saved and the uploaded copies of inputs that the host keeps, and lets go of what came before. */
  release(by: string): void {
    this.freedBy = by;
    for (const tensor of this.saved) {
      tensor.free(by);
      tensor.buffer.evict();
    }
    for (const input of this.inputs) if (!input.node) input.buffer.evict();
    this.saved = [];
    this.inputs = [];
    this.backward = () => [];
  }

  /** One user less. With the last one goes the operation, and so on towards the leaves. */
  drop(by: string): void {
    const stack: GraphNode[] = [this];
    for (let node = stack.pop(); node; node = stack.pop()) {
      if (--node.users > 0 || node.freedBy) continue;
      for (const input of node.inputs) if (input.node) stack.push(input.node);
      node.release(by);
    }
  }
}

let recording = true;
let checkNumbers = false;

/** Whether operations are being recorded. */
export const isRecording = (): boolean => recording;

/** Makes every operation look at its output and throw a `NonFiniteError` at the first NaN or infinity. Slow; for finding faults. */
export function setNanCheck(on: boolean): void {
  checkArgument('setNanCheck', 'the argument', on, boolean);
  checkNumbers = on;
}

/**
 * Runs `fn` without recording, for evaluation. Like `scope`, it frees at its end what was made inside and is not returned.
 */
export function noGrad<T>(fn: () => T): T {
  const before = recording;
  recording = false;
  try {
    return runScope('noGrad()', fn, isTensor);
  } finally {
    recording = before;
  }
}

/**
 * Ends an operation: checks its numbers if asked to, and records it if a gradient may be wanted. Returns the output.
 *
 * @param saved tensors whose numbers the backward step needs again; they stay alive until then
 */
export function record(op: string, output: Tensor, inputs: readonly Tensor[], saved: readonly Tensor[], backward: BackwardFn): Tensor {
  if (checkNumbers) checkFinite(op, output);
  if (!recording || !inputs.some((input) => input.requiresGrad)) return output;
  output.requiresGrad = true;
  const kept = saved.map((tensor) => tensor.alias(tensor.shape, false));
  output.node = new GraphNode(op, inputs, output, kept, backward);
  return output;
}

/** Whether an operation on these inputs will be recorded, for operations that would save something extra. */
export function willRecord(...inputs: (Tensor | null)[]): boolean {
  return recording && inputs.some((input) => input?.requiresGrad);
}

function checkFinite(op: string, output: Tensor): void {
  if (output.dtype === 'int32' || output.dtype === 'uint8' || !output.backend.readSync) return;
  const count = empty('countNonFinite', [1], 'int32', output.backend, false);
  output.backend.countNonFinite(count.storage, output.storage);
  const bad = output.backend.readSync(count.storage)[0];
  count.free('countNonFinite');
  if (bad > 0) throw new NonFiniteError(op, bad, output.size);
}

export interface BackwardOptions {
  /** The signal at the output, of its shape. Default 1 for a tensor of one element. */
  seed?: Tensor;
  /** Default `gradient`. */
  rules?: RulesName | BackwardRules;
  /**
   * Walk only towards these tensors and return what arrives there, instead of accumulating `grad` in every leaf that
   * requires one. They must have `requiresGrad`.
   */
  wrt?: readonly Tensor[];
  /** Leaves the graph and its tensors alive for another walk. Default false. */
  keepGraph?: boolean;
}

/**
 * Walks the recorded graph backwards from `output`.
 *
 * Frees, unless `keepGraph`, every tensor that was computed on the way (not leaves, not kept ones, not `output`), and what
 * operations had saved. The value of a one-element output moves to the host, so a loss costs nothing afterwards.
 *
 * @returns the signals at `wrt`, in its order (zeros where none arrives); an empty array without `wrt`
 */
export function backward(output: Tensor, options: BackwardOptions = {}): Tensor[] {
  return span('backward', () => walk(output, options));
}

/** The output itself may have been disposed of: only its graph is needed. */
function checkSameKind(output: Tensor, seed: Tensor): void {
  if (seed.backend !== output.backend) throw backendsDiffer('backward', output, seed);
  if (seed.dtype !== output.dtype) throw new DTypeError(`backward: the seed is ${seed.dtype}, expected ${output.dtype} as the output`);
}

const RULES_OF_RULES = {
  relu: oneOf('mask', 'rectify', 'mask-and-rectify'),
  normalization: oneOf('gradient', 'pass'),
  overlap: oneOf('sum', 'last'),
};
const tensorRule = rule('a tensor', isTensor);
const BACKWARD_RULES = {
  seed: tensorRule,
  rules: either(
    oneOf('gradient', 'guided', 'deconvnet'),
    rule('an object of rules', (value) => typeof value === 'object' && value !== null),
  ),
  wrt: arrayOf(tensorRule),
  keepGraph: boolean,
};

function walk(output: Tensor, options: BackwardOptions): Tensor[] {
  checkArgument('backward', 'the output', output, tensorRule);
  checkOptions('backward', options, BACKWARD_RULES);
  const rules = resolveRules(options.rules ?? 'gradient');
  const { wrt, seed } = options;
  if (!output.requiresGrad)
    throw new BackendError('backward: the tensor does not depend on anything that requires a gradient, or was computed under noGrad()');
  if (seed) {
    checkFloat('backward', seed);
    checkSameKind(output, seed);
  }
  if (seed && !sameShape(seed.shape, output.shape))
    throw new ShapeError(`backward: seed has shape [${seed.shape}], expected [${output.shape}]`);
  if (!seed && output.size !== 1)
    throw new ShapeError(`backward: output has shape [${output.shape}]; give a seed of that shape, or reduce it to one number`);

  const order = topologicalOrder(output);
  for (const { op, freedBy } of order) if (freedBy) throw new BackendError(freedGraphMessage(op, freedBy));
  const wanted = wrt ? reaching(order, wrt) : null;
  const isWanted = (input: Tensor) => (wanted ? wanted.has(input) : input.requiresGrad);

  const signals = new Map<Tensor, Tensor>();
  const give = (to: Tensor, signal: Tensor) => {
    const before = signals.get(to);
    signals.set(to, before ? addSignals(before, signal) : signal);
  };

  try {
    if (isWanted(output)) give(output, seed ? seed.alias(seed.shape, false) : oneLike(output));
    for (const node of order) {
      const dy = signals.get(node.output);
      if (dy) {
        // Backward steps may write into a signal that nobody else holds; one that the caller asked for is held here.
        if (wrt?.includes(node.output)) signals.set(node.output, dy.alias(dy.shape, false));
        else signals.delete(node.output);
        freedOnFailure(() => {
          for (const [input, gradient] of stepBack(node, dy, isWanted, rules)) give(input, gradient);
        }, dy);
      }
      if (!options.keepGraph) release(node, output, 'backward()');
    }
    if (!options.keepGraph && output.size === 1) output.buffer.moveToHost();
    return wrt ? collectSignals(wrt, signals) : accumulateLeaves(signals);
  } catch (error) {
    const by = 'a failed backward()';
    for (const signal of signals.values()) signal.free(by);
    if (!options.keepGraph) for (const node of order) release(node, output, by);
    throw error;
  }
}

/** Takes the signal `dy` of a node's output down to those of its inputs that are wanted. Takes `dy` over. */
function stepBack(node: GraphNode, dy: Tensor, isWanted: (input: Tensor) => boolean, rules: BackwardRules): [Tensor, Tensor][] {
  const needs = node.inputs.map(isWanted);
  const arriving: [Tensor, Tensor][] = [];
  if (needs.includes(true)) {
    const gradients = withLayer(node.layer, () => node.backward(dy, node.saved, needs, rules), node.layer || node.op);
    node.inputs.forEach((input, i) => {
      const gradient = gradients[i];
      if (!gradient) return;
      if (!needs[i]) {
        if (gradient !== dy) gradient.free('backward()');
        return;
      }
      if (checkNumbers) checkFinite(`${node.op} backward`, gradient);
      arriving.push([input, gradient === dy ? dy.alias(dy.shape, false) : gradient]);
    });
  }
  dy.free('backward()');
  return arriving;
}

function freedGraphMessage(op: string, by: string): string {
  const hint = by === 'backward()' ? 'pass { keepGraph: true } to the first walk' : 'walk it before, or compute it anew';
  return `backward: the graph through ${op} was freed by ${by}; ${hint}`;
}

function resolveRules(rules: RulesName | BackwardRules): BackwardRules {
  if (typeof rules === 'string') return RULES[rules];
  checkOptions('backward', rules, RULES_OF_RULES);
  return { ...RULES.gradient, ...rules };
}

/** Nodes from the output down, each before the nodes it was computed from. */
function topologicalOrder(output: Tensor): GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const visit = (node: GraphNode | null) => {
    if (!node || seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  visit(output.node);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.next < top.node.inputs.length) visit(top.node.inputs[top.next++].node);
    else {
      order.push(top.node);
      stack.pop();
    }
  }
  return order.reverse();
}

/** The tensors of the graph through which `targets` are reached. */
function reaching(order: readonly GraphNode[], targets: readonly Tensor[]): Set<Tensor> {
  const reached = new Set<Tensor>(targets);
  for (let i = order.length - 1; i >= 0; i--) if (order[i].inputs.some((input) => reached.has(input))) reached.add(order[i].output);
  return reached;
}

function oneLike(output: Tensor): Tensor {
  const one = empty('backward', output.shape, output.dtype, output.backend, false);
  one.backend.fill(one.storage, 1);
  return one;
}

/** Adds two signals that met, into the first where nobody else sees it. */
function addSignals(a: Tensor, b: Tensor): Tensor {
  const sum = a.buffer.shared ? empty('backward', a.shape, a.dtype, a.backend, false) : a;
  a.backend.binary(sum.writable, a.storage, b.storage, 'add', { shape: [a.size], stridesA: [1], stridesB: [1] });
  if (sum !== a) a.free('backward()');
  b.free('backward()');
  return sum;
}

/** Ends a node's part in the walk: frees what it saved and what it computed. */
function release(node: GraphNode, root: Tensor, by: string): void {
  if (node.freedBy) return;
  node.release(by);
  if (node.output !== root && !node.output.kept) node.output.free(by);
}

function accumulateLeaves(signals: Map<Tensor, Tensor>): Tensor[] {
  for (const [leaf, signal] of signals) {
    signals.delete(leaf);
    const gradient = leaf.grad ? addSignals(leaf.grad, ownSignal(signal)) : ownSignal(signal);
    gradient.kept = true;
    leaf.grad = gradient;
  }
  return [];
}

/** @internal Where a backward step may write its result: over the signal itself, unless somebody else still counts on it. */
export function overSignal(op: string, dy: Tensor): Tensor {
  return dy.buffer.shared ? empty(op, dy.shape, dy.dtype, dy.backend, false) : dy;
}

/** A gradient outlives the walk, so it may not share its numbers with anything. */
function ownSignal(signal: Tensor): Tensor {
  if (!signal.buffer.shared) return signal;
  const copy = empty('backward', signal.shape, signal.dtype, signal.backend, false);
  copy.backend.affine(copy.storage, signal.storage, 1, 0);
  signal.free('backward()');
  return copy;
}

function collectSignals(wrt: readonly Tensor[], signals: Map<Tensor, Tensor>): Tensor[] {
  const results = wrt.map((target) => {
    const signal = signals.get(target);
    const result = empty('backward', target.shape, target.dtype, target.backend);
    if (signal) result.backend.affine(result.storage, signal.storage, 1, 0);
    else result.backend.fill(result.storage, 0);
    return result;
  });
  for (const signal of signals.values()) signal.free('backward()');
  return results;
}
