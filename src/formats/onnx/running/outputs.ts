/** Which output of a model holds the class scores, where it has several. */
import { arrayOf, checkArgument, objectWith, quote, text } from '../../../backend/validate.js';
import { OnnxError } from '../errors.js';
import { type Node, neededFor } from '../graph/nodes.js';
import type { OnnxModel } from './model.js';
import { classCount, endingOf, type GraphView } from './scores.js';

/** An output that can be class scores. */
export interface OutputCandidate {
  /** As the model calls it. */
  name: string;
  /** The value that holds the scores: for an output of `ArgMax`, its input. */
  value: string;
  /** Numbers for each image; null where the shape is not known. */
  count: number | null;
}

/** More outputs than this are not compared. */
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

/** The input of the `ArgMax` that makes an output, behind a cast of its type. */
function scoresBefore(name: string, view: GraphView): string | null {
  const cast = view.maker(name);
  const node = cast?.type === 'Cast' ? view.maker(cast.inputs[0]) : cast;
  return node?.type === 'ArgMax' ? node.inputs[0] : null;
}

/**
 * The output with the class scores: the only one that can be, the only one that ends in a softmax or sigmoid, or the first where
 * the others branch off earlier.
 *
 * @throws OnnxError naming the outputs where none of this tells
 */
export function chooseOutput(candidates: readonly OutputCandidate[], view: GraphView, nodes: readonly Node[]): OutputCandidate {
  const [first] = candidates;
  if (!first) throw new OnnxError('onnx: no output of this model is a row of class scores for each image: [N, classes]');
  if (candidates.length === 1) return first;
  if (candidates.length <= MOST_COMPARED) {
    const ended = candidates.filter(({ value }) => endingOf(view, value).kind !== 'none');
    if (ended.length === 1) return ended[0];
    const depths = candidates.map(({ value }) => neededFor([value], nodes).length);
    if (depths[0] === Math.max(...depths)) return first;
  }
  throw new OnnxError(
    `onnx: several outputs could be class scores: ${listOutputs(candidates)}; say which: --output NAME, or in the library new OnnxClassifier(model, { output })`,
  );
}

/** `'prob' (5 numbers), 'embedding' (7 numbers)` */
export function listOutputs(candidates: readonly OutputCandidate[]): string {
  checkArgument('listOutputs', 'candidates', candidates, arrayOf(objectWith('an output { name, count }', { name: text })));
  const shown = candidates.slice(0, 20).map(({ name, count }) => `${quote(name)}${count === null ? '' : ` (${count} numbers)`}`);
  return `${shown.join(', ')}${candidates.length > 20 ? `, … ${candidates.length} in all` : ''}`;
}
