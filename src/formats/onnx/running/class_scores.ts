/** Finds out which output of a model contains class scores, how they become probabilities, and which batch sizes the model accepts. */
import { checkArgument, instanceOf, quote, unknownName } from '../../../backend/validate.js';
import { isFloat } from '../decoding/element_types.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import { filledShape, ShapePass } from '../graph/shape_pass.js';
import { OnnxModel } from './model.js';
import { chooseOutput, type OutputCandidate, outputCandidates } from './outputs.js';
import { type Ending, endingOf, type GraphView, type Scores } from './scores.js';

/** The function that converts the output of the last layer to probabilities. */
export type Transform = 'softmax' | 'sigmoid' | 'none';

/** Properties of a model's class scores, found in its graph. */
export interface ClassScores {
  candidates: readonly OutputCandidate[];
  /** The output with the class scores. */
  chosen: OutputCandidate;
  /** The final function of the graph. */
  ending: Ending;
  /** How the output becomes probabilities. */
  scores: Scores;
  /** Name of the value that `transform` converts to probabilities. */
  value: string;
  transform: Transform;
  /** The only valid batch size of the model; null if any is valid. */
  batch: number | null;
}

export const onnxModel = instanceOf(OnnxModel);

/**
 * Describes the class scores of a model. The options are those of `OnnxClassifier`.
 *
 * @throws OnnxError for an unknown output, and if the output is ambiguous
 */
export function classScores(model: OnnxModel, options: { output?: string; scores?: Scores; batch?: number | null }): ClassScores {
  const own = ownBatch(model);
  const view = viewOf(model, own);
  const candidates = outputCandidates(model, view, own);
  const chosen = options.output === undefined ? chooseOutput(candidates, view, model.nodes) : named(options.output, candidates, model);
  const ending = endingOf(view, chosen.value);
  const scores = options.scores ?? ending.kind;
  const batch = options.batch === undefined ? batchOf(model, chosen.value, own, view) : options.batch;
  return { candidates, chosen, ending, scores, batch, ...readingOf(scores, ending, chosen.value) };
}

/**
 * Returns the outputs of a model that could be class scores, with their number of values per image.
 *
 * @example const [{ name }] = classOutputs(await loadOnnx(bytes));
 */
export function classOutputs(model: OnnxModel): readonly OutputCandidate[] {
  checkArgument('classOutputs', 'the model', model, onnxModel);
  checkImageInput(model);
  const batch = ownBatch(model);
  return outputCandidates(model, viewOf(model, batch), batch);
}

/** @throws OnnxError unless the model has exactly one input, an image */
export function checkImageInput(model: OnnxModel): void {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || (input.shape && input.shape.length !== 4))
    throw new OnnxError(
      `onnx: a classifier takes one input [N, C, H, W]; this model has ${model.inputs.map(({ name, shape }) => `${name} [${shape ?? '…'}]`).join(', ') || 'none'}`,
    );
  if (!isFloat(input.type) && !model.lookup.isOnlyCast(input.name))
    throw new UnsupportedError(
      `onnx: input ${quote(input.name)} is ${input.type} and is used as integers; supported are integer inputs that the model casts to floating point first`,
    );
}

const isChannels = (extent: unknown): boolean => extent === 1 || extent === 3;

/** Returns the axis order of a model's input that its declared shape suggests. */
export function layoutOf({ inputs: [{ shape }] }: OnnxModel): 'nchw' | 'nhwc' {
  return shape && isChannels(shape[3]) && !isChannels(shape[1]) ? 'nhwc' : 'nchw';
}

function named(output: string, candidates: readonly OutputCandidate[], model: OnnxModel): OutputCandidate {
  const found = candidates.find(({ name }) => name === output);
  if (found) return found;
  const names = model.outputs.map(({ name }) => name);
  if (!names.includes(output)) throw new OnnxError(unknownName('onnx', 'output', output, names));
  throw new OnnxError(`onnx: output ${quote(output)} does not have the shape of class scores, [N, classes]`);
}

/** Returns the declared batch size of a model, or 1 if it is free. */
function ownBatch({ inputs: [{ shape }] }: OnnxModel): number {
  return typeof shape?.[0] === 'number' ? Math.max(1, shape[0]) : 1;
}

/** Image side used for shape inference if the model does not declare one. */
const SIDE = 224;

function viewOf(model: OnnxModel, batch: number): GraphView {
  const { fixed } = model.weights;
  const [input] = model.inputs;
  const shape = filledShape(input, batch, SIDE, true);
  const pass = shape && new ShapePass(fixed, model.inputs, new Map([[input.name, shape]]), model.weights.shapes());
  if (pass) for (const node of model.nodes) pass.run(node);
  return { maker: (name) => model.lookup.maker(name), constant: (name) => fixed.get(name), shape: (name) => pass?.shape(name) };
}

/** Returns the batch size of the model if a larger batch does not give more rows of output; otherwise null. */
function batchOf(model: OnnxModel, output: string, own: number, view: GraphView): number | null {
  if (model.batch !== null) return model.batch;
  const single = view.shape(output);
  if (!single) return null;
  const more = viewOf(model, own + 1).shape(output);
  const grows = more && single[0] === own && more[0] === own + 1 && more.slice(1).join() === single.slice(1).join();
  return grows ? null : own;
}

/** Returns the value with the scores, and the function that converts it to probabilities. */
function readingOf(scores: Scores, ending: Ending, output: string): { value: string; transform: Transform } {
  const exclusive = ending.kind === 'softmax' || ending.kind === 'log-softmax';
  switch (scores) {
    case 'softmax':
      return exclusive ? { value: ending.scores, transform: 'softmax' } : { value: output, transform: 'none' };
    case 'log-softmax':
      return { value: exclusive ? ending.scores : output, transform: 'softmax' };
    case 'sigmoid':
      if (ending.kind !== 'sigmoid') return { value: output, transform: 'none' };
      return { value: ending.scores, transform: ending.applied ? 'none' : 'sigmoid' };
    case 'none':
      return { value: ending.kind === 'none' ? ending.scores : output, transform: 'softmax' };
    default:
      return { value: ending.kind === 'none' ? ending.scores : output, transform: 'sigmoid' };
  }
}
