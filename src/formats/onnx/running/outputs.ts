/** Chooses the output with the class scores among the outputs of a model. */
import { arrayOf, checkArgument, firstNames, objectWith, quote, text } from '../../../backend/validate.js';
import { OnnxError } from '../errors.js';
import { type Node, neededFor } from '../graph/nodes.js';
import type { OnnxModel } from './model.js';
import { classCount, endingOf, type GraphView } from './scores.js';

/** An output that can be class scores. */
export interface OutputCandidate {
  /** Name of the output. */
  name: string;
  /** Name of the value with the scores: the output itself, or the input of the `ArgMax` that computes it. */
  value: string;
  /** Number of values per image; null if the shape is unknown. */
  count: number | null;
}

/** Maximum number of outputs that are compared. */
const MOST_COMPARED = 32;

export function outputCandidates(model: OnnxModel, view: GraphView, batch: number): OutputCandidate[] {
  const all = model.outputs.map(({ name }) => ({ name, value: name, count: classCount(view, name, batch) }));
  const candidates = all.filter(({ count }) => count !== 0);
  if (candidates.length > 0) return candidates;
  return all.flatMap(({ name }) => {
    const value = scoresBefore(name, view);
    return value === null ? [] : [{ name, value, count: classCount(view, value, batch) }];
  });
}

/** Returns the input of the `ArgMax` that computes an output (possibly followed by a cast), or null. */
function scoresBefore(name: string, view: GraphView): string | null {
  const cast = view.maker(name);
  const node = cast?.type === 'Cast' ? view.maker(cast.inputs[0]) : cast;
  return node?.type === 'ArgMax' ? node.inputs[0] : null;
}

/**
 * Chooses the output with the class scores: the only candidate, the only one that ends in a softmax or sigmoid, or the first one if no
 * other depends on more nodes.
 *
 * @throws OnnxError naming the candidates if the choice is ambiguous
 */
export function chooseOutput(candidates: readonly OutputCandidate[], view: GraphView, nodes: readonly Node[]): OutputCandidate {
  const [first] = candidates;
  if (!first) throw new OnnxError('onnx: no output of this model has the shape of class scores, [N, classes]');
  if (candidates.length === 1) return first;
  if (candidates.length <= MOST_COMPARED) {
    const ended = candidates.filter(({ value }) => endingOf(view, value).kind !== 'none');
    if (ended.length === 1) return ended[0];
    const depths = candidates.map(({ value }) => neededFor([value], nodes).length);
    if (depths[0] === Math.max(...depths)) return first;
  }
  throw new OnnxError(
    `onnx: several outputs could be class scores: ${listOutputs(candidates)}; choose one with --output NAME, or in the library with new OnnxClassifier(model, { output })`,
  );
}

/** Formats candidates for messages: `'prob' (5 values), 'embedding' (7 values)`. */
export function listOutputs(candidates: readonly OutputCandidate[]): string {
  checkArgument('listOutputs', 'candidates', candidates, arrayOf(objectWith('an output { name, count }', { name: text })));
  return firstNames(
    candidates.map(({ name, count }) => `${quote(name)}${count === null ? '' : ` (${count} values)`}`),
    20,
  );
}
