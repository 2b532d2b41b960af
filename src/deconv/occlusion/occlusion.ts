/**
 * Occlusion sensitivity: a grey square slides over the image, and the network predicts again at each position (Zeiler & Fergus 2013,
 * section 4.2 and Fig. 7).
 */

import { answerLayer, probabilitiesOf } from '../../analysis/probabilities.js';
import { abortSignal, boolean, checkArgument, checkFields, func, integer, type RulesFor, text } from '../../backend/validate.js';
import { evaluating } from '../../nn/evaluating.js';
import { type LayeredModel, topK } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import { noGrad, ShapeError, type Tensor, ValueError, zeros } from '../../tensor/index.js';
import type { Patch } from '../activations/receptive_fields.js';
import { strongestMaps } from '../activations/strongest_maps.js';
import { checkLayer, checkMap } from '../rules.js';
import { type ConeOptions, ReceptiveCone, type SweptBatch } from './cone.js';

/** Size and stride of the square. */
export interface OcclusionGrid {
  /** Side of the square in pixels. */
  square: number;
  /** Pixels from one position of the square to the next. */
  stride: number;
}

/** Options of an occlusion sweep. */
export interface SweepOptions extends OcclusionGrid {
  /** Network input under the square, [1, C, H, W]. Default 0, which is the mean image for inputs that had it subtracted. */
  grey?: Tensor;
  /** Class whose probability is recorded. Default: the most probable class of the image without the square. */
  label?: number;
  /** Positions per forward pass. Default 64. */
  batchSize?: number;
  /** Whether to recompute only the activations that the square affects, if the model allows it. Default true. The results are the same. */
  incremental?: boolean;
  /** Called with the number of steps that are done, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting it makes the sweep throw the signal's reason after the current batch of positions. */
  signal?: AbortSignal;
}

/** Options of `occlude`. */
export interface OcclusionOptions extends SweepOptions {
  /** Layer of the map whose activation is recorded; as `ProjectOptions.layer`. */
  layer: string;
  /** Default: the map with the strongest activation in the image without the square. */
  map?: number;
}

/** Prediction of the network for one image. */
export interface OcclusionAnswer {
  /** Probability of the recorded class. */
  probability: number;
  /** The most probable class. */
  label: number;
  /** Sum of the map's activations. */
  activation: number;
}

/** Predictions for every position of the square. */
export interface ProbabilitySweep {
  /** [y, x] of the square's top left corner, row by row. */
  places: [number, number][];
  /** Number of positions [down, across]. */
  grid: [number, number];
  /** Class whose probability is recorded. */
  label: number;
  /** Prediction for the image without the square. */
  clean: Pick<OcclusionAnswer, 'probability' | 'label'>;
  /** Probability of the class, per position. */
  probability: number[];
  /** Most probable class, per position. */
  labels: number[];
  /** Whether only affected activations were recomputed; false if the model does not allow it. */
  incremental: boolean;
}

/** Result of `occlude`. */
export interface Occlusion extends ProbabilitySweep {
  /** Name of the layer whose map was observed. */
  layer: string;
  /** Index of the observed map: the requested one, or the one with the strongest activation in the image without the square. */
  map: number;
  /** The map with the strongest activation in the image as it is: `map`, if no other exceeds it; null if none is above zero. */
  strongest: number | null;
  clean: OcclusionAnswer;
  /** Sum of the map's activations, per position. */
  activation: number[];
}

const BATCH = 64;

const GRID: RulesFor<OcclusionGrid> = { square: integer(1), stride: integer(1) };

/** @internal Rules for the options that every sweep has. */
export const SWEEP: RulesFor<SweepOptions> = {
  ...GRID,
  grey: aTensor,
  label: integer(),
  batchSize: integer(1),
  incremental: boolean,
  onProgress: func,
  signal: abortSignal,
};

const OPTIONS: RulesFor<OcclusionOptions> = { ...SWEEP, layer: text, map: integer() };

/**
 * Slides a square over an image and records at each position the probability of a class, the most probable class and the total activation
 * of one map. The results equal those of running every occluded image whole.
 *
 * @example const { probability, grid } = await occlude(model, image, { layer: 'conv5', square: 32, stride: 16 });
 * @param image input of the network, [1, C, H, W]
 * @throws ValueError for a square, a class or a map that does not fit, and for a layer that does not exist
 */
export async function occlude(model: LayeredModel, image: Tensor, options: OcclusionOptions): Promise<Occlusion> {
  checkModel('occlude', model);
  checkArgument('occlude', 'image', image, aTensor);
  checkFields('occlude', options, OPTIONS, ['square', 'stride', 'layer']);
  const { layer } = options;
  checkLayer('occlude', model, layer);
  checkOneImage(image);
  const feature = model.featureLayer(layer);
  const [first] = await strongestMaps(model, image, layer, 1);
  const map = options.map ?? first;
  if (map === undefined) throw new ValueError(`occlude: no map of layer ${layer} responds to this image; name a map`);
  const plane = await readPlane(model, image, feature, map);
  const isStrongest = first !== undefined && maximum(plane) === maximum(await readPlane(model, image, feature, first));
  const activation: number[] = [];
  const sweep = await sweepProbability(model, image, options, {
    name: feature,
    async take({ changes, outputs, windows }) {
      const own = noGrad(() => planeOf(outputs[feature], map));
      const values = await own.data();
      own.dispose();
      const size = values.length / changes.length;
      for (const [n, change] of changes.entries()) {
        const part = values.subarray(n * size, (n + 1) * size);
        activation[change] = windows ? sumWithWindow(plane, part, windows[n]) : sum(part);
      }
    },
  });
  return {
    ...sweep,
    layer,
    map,
    strongest: isStrongest ? map : (first ?? null),
    clean: { ...sweep.clean, activation: sum(plane.values) },
    activation,
  };
}

/** A layer whose outputs are read during a sweep. */
interface Watched {
  name: string;
  take(batch: SweptBatch): Promise<void>;
}

function checkOneImage({ rank, shape }: Tensor): void {
  if (rank !== 4 || shape[0] !== 1)
    throw new ShapeError(
      `occlude: image has shape [${shape}], expected one image: [1, C, H, W]${rank === 3 ? '; image.unsqueeze(0) gives it that shape' : ''}`,
    );
}

/** The sweep of `occlude`, which records the probabilities; outputs of the layer `watched` are passed to its `take`. */
export async function sweepProbability(
  model: LayeredModel,
  image: Tensor,
  options: SweepOptions,
  watched?: Watched,
): Promise<ProbabilitySweep> {
  const { batchSize = BATCH, incremental, onProgress, signal } = options;
  checkOneImage(image);
  if (options.grey && options.grey.shape.join() !== image.shape.join())
    throw new ShapeError(`occlude: grey has shape [${options.grey.shape}], expected the image's, [${image.shape}]`);
  const { places, grid } = squarePlaces(image.shape[2], image.shape[3], options);
  const last = answerLayer(model);
  const output = evaluating(model, () => noGrad(() => model.activations(image, [last])[last]));
  const [answer] = await answersOf(model, output);
  output.dispose();
  const label = options.label ?? topK(answer, 1)[0];
  if (!Number.isInteger(label) || label < 0 || label >= answer.length)
    throw new ValueError(`occlude: label is ${label}, the network has ${answer.length} classes (0 to ${answer.length - 1})`);

  const probability: number[] = [];
  const labels: number[] = [];
  const take = async (batch: SweptBatch) => {
    if (watched && batch.outputs[watched.name]) await watched.take(batch);
    if (!batch.outputs[last]) return;
    const rows = await answersOf(model, batch.outputs[last]);
    for (const [n, change] of batch.changes.entries()) {
      probability[change] = rows[n][label];
      labels[change] = topK(rows[n], 1)[0];
    }
  };
  const cone: ConeOptions = { watch: watched ? [...new Set([watched.name, last])] : [last], batchSize, incremental };
  const grey = options.grey?.detach() ?? zeros(image.shape, { dtype: image.dtype, backend: image.backend });
  const sweep = new ReceptiveCone(model, image, cone);
  try {
    const boxes = places.map(([y, x]): Patch => [y, x, y + options.square, x + options.square]);
    await sweep.sweep(grey, boxes, take, onProgress, signal);
  } finally {
    sweep.dispose();
    grey.dispose();
  }
  return {
    places,
    grid,
    label,
    clean: { probability: answer[label], label: topK(answer, 1)[0] },
    probability,
    labels,
    incremental: sweep.windowed.length > 0,
  };
}

/**
 * Positions of the square's top left corner: every `stride` pixels, and flush with the bottom and right edges, so that the whole image is
 * covered (unless the stride is larger than the square).
 *
 * @example const { places, grid } = squarePlaces(64, 64, { square: 16, stride: 8 });
 * @throws ValueError if the square is larger than the image
 */
export function squarePlaces(
  height: number,
  width: number,
  options: OcclusionGrid,
): { places: [number, number][]; grid: [number, number] } {
  for (const [name, value] of Object.entries({ height, width })) checkArgument('squarePlaces', name, value, integer(1, 2 ** 15));
  for (const name of ['square', 'stride'] as const) checkArgument('occlude', name, options?.[name], GRID[name]);
  const { square, stride } = options;
  if (square > height || square > width)
    throw new ValueError(`occlude: a square of ${square} pixels does not fit an image of ${height}×${width}`);
  const along = (extent: number) => {
    const count = Math.ceil((extent - square) / stride) + 1;
    return Array.from({ length: count }, (_, i) => Math.min(i * stride, extent - square));
  };
  const [down, across] = [along(height), along(width)];
  return { places: down.flatMap((y) => across.map((x): [number, number] => [y, x])), grid: [down.length, across.length] };
}

/** Probabilities of all classes, one array per image, from the output of the last layer. */
async function answersOf(model: LayeredModel, output: Tensor): Promise<Float64Array[]> {
  const probabilities = noGrad(() => probabilitiesOf(model, output));
  const values = Float64Array.from(await probabilities.data());
  const [rows, classes] = probabilities.shape;
  probabilities.dispose();
  return Array.from({ length: rows }, (_, row) => values.subarray(row * classes, (row + 1) * classes));
}

const maximum = ({ values }: Plane): number => Array.from(values).reduce((largest, value) => Math.max(largest, value));

/** One map of an image, row-major. */
interface Plane {
  values: ArrayLike<number>;
  width: number;
}

async function readPlane(model: LayeredModel, image: Tensor, feature: string, map: number): Promise<Plane> {
  const plane = evaluating(model, () =>
    noGrad(() => {
      const output = model.activations(image, [feature])[feature];
      checkMap('occlude', map, feature, output.shape[1]);
      return planeOf(output, map);
    }),
  );
  const values = await plane.data();
  plane.dispose();
  return { values, width: plane.shape[3] ?? 1 };
}

/** One map (or unit) of every image of a batch. */
const planeOf = (output: Tensor, map: number): Tensor =>
  output.slice(
    output.shape.map((_, axis) => (axis === 1 ? map : 0)),
    output.shape.map((extent, axis) => (axis === 1 ? map + 1 : extent)),
  );

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** Sum of a plane with the values of a window replaced. */
function sumWithWindow({ values, width }: Plane, own: ArrayLike<number>, [y0, x0, y1, x1]: Patch): number {
  const whole = Float64Array.from(values);
  let from = 0;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) whole[y * width + x] = own[from++];
  return sum(whole);
}
