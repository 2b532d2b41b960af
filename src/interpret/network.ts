/** A network together with the input and the classes that are explained. */
import { evaluating } from '../nn/evaluating.js';
import { isConvolution, type LayeredModel, type Module } from '../nn/index.js';
import { unknownLayer } from '../nn/rules.js';
import {
  type Backend,
  backward,
  noGrad,
  type RulesName,
  ShapeError,
  scope,
  sizeOf,
  type Tensor,
  type TypedArray,
  tensor,
  ValueError,
} from '../tensor/index.js';

/** What every method works on. The input is a copy on the host, from which each pass makes a tensor on the model's backend. */
export interface Subject {
  model: Module;
  backend: Backend;
  /** [N, …] */
  shape: readonly number[];
  values: TypedArray;
  /** One class per image. */
  targets: readonly number[];
}

const isLayered = (model: Module): model is Module & LayeredModel =>
  typeof (model as Partial<LayeredModel>).activations === 'function' && typeof (model as Partial<LayeredModel>).layerNames === 'function';

/** Runs `fn` while the module is in evaluation mode. */
export function inEvaluation<T>(model: Module, fn: () => T): T {
  if (isLayered(model)) return evaluating(model, fn);
  const { training } = model;
  model.eval();
  try {
    return fn();
  } finally {
    model.train(training);
  }
}

/** Returns the scores [N, classes] of a module in evaluation mode. @throws ShapeError for another output */
export function scoresOf(model: Module, x: Tensor): Tensor {
  const scores = inEvaluation(model, () => model.forward(x));
  if (scores.rank !== 2 || scores.shape[0] !== x.shape[0])
    throw new ShapeError(`attribute: the output of the model has shape [${scores.shape}], expected [${x.shape[0]}, classes]`);
  return scores;
}

/** Returns the scores of the targets, one per image, for inputs of any number of copies of the batch. */
export async function targetScores({ model, backend, shape, targets }: Subject, values: TypedArray, copies: number): Promise<number[]> {
  const n = shape[0] * copies;
  const scores = noGrad(() => scoresOf(model, tensor(values, [n, ...shape.slice(1)], { backend })));
  const classes = scores.shape[1];
  const data = await scores.data();
  scores.dispose();
  return Array.from({ length: n }, (_, i) => data[i * classes + targets[i % shape[0]]]);
}

/** Returns a tensor like the scores that is 1 at the target of each image: the gradient of the sum of the targets' scores. */
function onlyTargets(scores: Tensor, targets: readonly number[]): Tensor {
  const classes = scores.shape[1];
  const only = new Float32Array(scores.size);
  targets.forEach((target, n) => {
    only[n * classes + target] = 1;
  });
  return tensor(only, scores.shape, { backend: scores.backend, dtype: scores.dtype });
}

/** Returns the target's score projected back to the input, under the rules of a method: for `gradient` its gradient. */
export function inputGradient({ model, targets }: Subject, x: Tensor, rules: RulesName): Tensor {
  return scope(() => {
    const scores = scoresOf(model, x);
    if (rules !== 'gradient' && !passesRelu(scores))
      throw new ValueError(
        `attribute: method '${rules}' changes the backward step of ReLU, and the network has no ReLU between its input and its scores; use method 'gradient'`,
      );
    return backward(scores, { gradient: onlyTargets(scores, targets), rules, wrt: [x] })[0];
  });
}

/** Creates the input of one pass. @param values default: the values of the subject */
export const inputOf = ({ backend, shape }: Subject, values: TypedArray): Tensor => tensor(values, shape, { backend, requiresGrad: true });

interface RecordedNode {
  op: string;
  inputs: readonly Tensor[];
  saved: readonly Tensor[];
}

/** Whether a recorded ReLU, of its own or inside a convolution or linear operation, lies between the leaves and a tensor. */
function passesRelu(output: Tensor): boolean {
  const seen = new Set<Tensor>();
  const stack = [output];
  for (let at = stack.pop(); at; at = stack.pop()) {
    const node = at.node as unknown as RecordedNode | null;
    if (seen.has(at) || !node) continue;
    seen.add(at);
    // Convolutions and linear operations save their output for the backward step of a ReLU inside them.
    if (node.op === 'relu' || ((node.op === 'conv2d' || node.op === 'linear') && node.saved.length > 2)) return true;
    stack.push(...node.inputs);
  }
  return false;
}

/** Returns the output of a layer and the gradient of the targets' scores with respect to it. The caller disposes of both. */
export function layerGradient({ model, targets }: Subject, x: Tensor, layer: string): { output: Tensor; gradient: Tensor } {
  return scope(() => {
    const { output, scores } = inEvaluation(model, () => (isLayered(model) ? tapped(model, x, layer) : hooked(model, x, layer)));
    if (output.rank !== 4)
      throw new ShapeError(
        `attribute: layer '${layer}' has outputs of shape [${output.shape}], expected [N, maps, H, W]; name another layer`,
      );
    output.keep();
    try {
      const [gradient] = backward(scores, { gradient: onlyTargets(scores, targets), wrt: [output] });
      return { output, gradient };
    } catch (error) {
      output.dispose();
      throw error;
    }
  });
}

function tapped(model: Module & LayeredModel, x: Tensor, layer: string): { output: Tensor; scores: Tensor } {
  try {
    model.layer(layer);
  } catch (error) {
    throw new ValueError(`attribute: ${unknownLayer(layer, model.layerNames())}`, { cause: error });
  }
  const last = model.layerNames().at(-1)!;
  const outputs = model.activations(x, [layer, last]);
  return { output: outputs[layer], scores: outputs[last] };
}

/** Runs a module that has no `activations` and keeps the output of one of its submodules, named by its path such as `block1.conv`. */
function hooked(model: Module, x: Tensor, layer: string): { output: Tensor; scores: Tensor } {
  const found = modulesOf(model).find(([name]) => name === layer)?.[1];
  if (!found)
    throw new ValueError(
      `attribute: ${unknownLayer(
        layer,
        modulesOf(model).map(([name]) => name),
      )}`,
    );
  const forward = found.forward;
  let output: Tensor | undefined;
  found.forward = (input) => {
    output = forward.call(found, input).keep();
    return output;
  };
  try {
    const scores = model.forward(x);
    if (!output) throw new ValueError(`attribute: layer '${layer}' did not run; name a layer that the model calls by its forward()`);
    return { output, scores };
  } finally {
    delete (found as Partial<Module>).forward;
  }
}

const modulesOf = (model: Module, prefix = ''): [string, Module][] =>
  model.children().flatMap(([name, child]) => [[prefix + name, child] as [string, Module], ...modulesOf(child, `${prefix}${name}.`)]);

/** Returns the name of the last convolution of a model, or of the ReLU directly after it. @throws ValueError if it has none */
export function lastConvolution(model: Module): string {
  const names = isLayered(model) ? model.layerNames() : modulesOf(model).map(([name]) => name);
  const layerOf = new Map(isLayered(model) ? names.map((name) => [name, model.layer(name)]) : modulesOf(model));
  const name = names.filter((each) => isConvolution(layerOf.get(each) as Module)).pop();
  if (name === undefined) throw new ValueError('attribute: the model has no layer that is a convolution; pass { layer }');
  return isLayered(model) ? model.featureLayer(name) : name;
}

/** Number of elements of one image. */
export const imageSize = ({ shape }: Subject): number => sizeOf(shape.slice(1));
