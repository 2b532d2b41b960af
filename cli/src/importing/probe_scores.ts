/** Evaluates an imported classifier on a few synthetic images, to confirm how its output becomes probabilities and that batches work. */
import { FormatError, noGrad, type Tensor, tensor } from 'zfnet';
import type { OnnxClassifier, Scores } from 'zfnet/onnx';
import { UsageError } from '../command.js';
import type { Pixels } from './conventions.js';

export interface Probe {
  scores: Scores;
  classes: number;
  /** Batch size to use if larger batches change the results; null if there is no restriction or the network states its own. */
  batch: number | null;
  /** Messages about the choices that were made. */
  notes: string[];
}

interface ProbeOptions {
  channels: number;
  inputSize: number;
  pixels: Pixels;
  /** Value of `--scores`. */
  asked: Scores | undefined;
}

const IMAGES = 4;
/** Tolerance of comparisons; half precision rounds probabilities by about 0.001. */
const CLOSE = 0.01;
const SUM_CLOSE = 0.01;

/**
 * Determines the kind of scores, the number of classes and the batch size of a classifier.
 *
 * @throws FormatError if the output contradicts the graph or `--scores`
 * @throws UsageError if the kind of scores cannot be determined and `--scores` is needed
 */
export async function probeScores(network: OnnxClassifier, options: ProbeOptions, file: string): Promise<Probe> {
  const images = madeUpImages(options);
  try {
    const raw = await rowsOf(noGrad(() => network.rawOutput(images)));
    const [first] = raw;
    if (!first || first.length === 0) throw new FormatError(`${file}: output '${network.output}' is empty, expected one score per class`);
    if (raw.some((row) => row.some((value) => Number.isNaN(value))))
      throw new FormatError(`${file}: output '${network.output}' is NaN for a synthetic image; the weights are damaged or too large`);
    const { scores, notes } = await reading(network, options.asked, raw, images, file);
    if (first.length === 1 && scores !== 'sigmoid' && scores !== 'sigmoid-logits') throw oneNumber(network, file);
    const batch = network.batch === null && (await mixesImages(network, images, raw)) ? 1 : null;
    if (scores === 'sigmoid' || scores === 'sigmoid-logits')
      notes.push(
        first.length === 1
          ? 'one score with a sigmoid: there are two classes, and the score is the probability of the second'
          : 'sigmoid: the probabilities of the classes are independent and do not sum to 100 %',
      );
    return { scores, classes: first.length === 1 ? 2 : first.length, batch, notes };
  } finally {
    images.dispose();
  }
}

const oneNumber = ({ output }: OnnxClassifier, file: string): UsageError =>
  new UsageError(
    `${file}: output '${output}' is one score per image without a sigmoid; if it is the score of the second of two classes, add --scores sigmoid`,
  );

/** Returns deterministic noise images in the range of normalised pixels. */
function madeUpImages({ channels, inputSize, pixels }: ProbeOptions): Tensor {
  const plane = inputSize * inputSize;
  const data = new Float32Array(IMAGES * channels * plane);
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const channel = Math.floor(i / plane) % channels;
    // The images also differ in brightness, so that their scores differ.
    const image = Math.floor(i / (channels * plane));
    const pixel = Math.floor(((state >>> 8) / 2 ** 24) * 64) + image * 63;
    data[i] = (pixel - pixels.mean[channel]) / pixels.deviation[channel];
  }
  return tensor(data, [IMAGES, channels, inputSize, inputSize]);
}

async function rowsOf(output: Tensor): Promise<number[][]> {
  const [rows, columns] = output.shape;
  const data = Array.from(await output.data());
  output.dispose();
  return Array.from({ length: rows }, (_, row) => data.slice(row * columns, (row + 1) * columns));
}

/** Determines the kind of scores from the last operations of the graph and from the values of the output. */
async function reading(
  network: OnnxClassifier,
  asked: Scores | undefined,
  raw: readonly number[][],
  images: Tensor,
  file: string,
): Promise<Pick<Probe, 'scores' | 'notes'>> {
  const { scores, graphScores } = network;
  const unit = raw.every((row) => row.every((value) => value >= -1e-6 && value <= 1 + CLOSE));
  const sums = unit && raw.every((row) => Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < SUM_CLOSE);
  if (asked === 'softmax' && graphScores !== 'softmax' && graphScores !== 'log-softmax')
    return sums
      ? { scores: 'softmax', notes: [] }
      : { scores: 'none', notes: ['the scores are not probabilities: a softmax is applied to them'] };
  if (asked === 'sigmoid' && graphScores !== 'sigmoid')
    return unit
      ? { scores: 'sigmoid', notes: [] }
      : { scores: 'sigmoid-logits', notes: ['the scores are not probabilities: a sigmoid is applied to them'] };
  if (asked !== undefined) return { scores: asked, notes: [] };
  if (scores !== 'none') {
    await confirm(network, raw, images, file);
    return { scores, notes: [] };
  }
  const several = raw[0].length > 1;
  if (several && sums) return { scores: 'softmax', notes: ['the scores are probabilities, because they sum to 1'] };
  if (several && unit && !network.endsInWeights)
    throw new UsageError(
      `${file}: output '${network.output}' lies between 0 and 1 and does not sum to 1; specify its kind: --scores sigmoid (a probability for each class) or --scores none (scores before a softmax)`,
    );
  return { scores, notes: [] };
}

/** Throws if the output differs from the probabilities that the last operations of the graph suggest. */
async function confirm(network: OnnxClassifier, raw: readonly number[][], images: Tensor, file: string): Promise<void> {
  const rows = await rowsOf(
    noGrad(() => {
      const scores = network.forward(images);
      const probabilities = network.probabilities(scores);
      scores.dispose();
      return probabilities;
    }),
  );
  const given = raw.map((row) => (network.scores === 'log-softmax' ? row.map(Math.exp) : row));
  const offset = rows[0].length - given[0].length;
  const agrees = given.every((row, i) => row.every((value, k) => Math.abs(value - rows[i][k + offset]) < CLOSE));
  if (!agrees)
    throw new FormatError(
      `${file}: output '${network.output}' ends in a ${network.scores}, but its values are not those of a ${network.scores}; specify its kind: --scores softmax, sigmoid, log-softmax or none`,
    );
}

/** Whether the scores of an image change in a batch, so that the network must be evaluated one image at a time. */
async function mixesImages(network: OnnxClassifier, images: Tensor, raw: readonly number[][]): Promise<boolean> {
  const [, ...rest] = images.shape;
  for (const place of [0, IMAGES - 1]) {
    const single = images.slice([place, 0, 0, 0], [place + 1, ...rest]);
    const [alone] = await rowsOf(noGrad(() => network.rawOutput(single)));
    single.dispose();
    const largest = raw[place].reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    if (alone?.length !== raw[place].length || alone.some((value, k) => Math.abs(value - raw[place][k]) > CLOSE * largest)) return true;
  }
  return false;
}
