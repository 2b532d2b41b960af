/** Finding out what goes wrong: the operation that made a NaN, a loss on its way there, filters that never respond or outgrow the rest. */
import { checkArgument } from '../../backend/validate.js';
import type { Network } from '../../nn/index.js';
import { aTensor, checkModel, network } from '../../nn/rules.js';
import { crossEntropy, NonFiniteError, noGrad, setNanCheck, setRandomState, type Tensor, ZfnetError } from '../../tensor/index.js';
import type { ZfNet } from '../model/model.js';
import { firstNonFinite, type TrainingState } from './training_state.js';

/** Training cannot go on: its numbers went bad, or what it needs is gone. The last checkpoint is from before that. */
export class TrainingError extends ZfnetError {
  override name = 'TrainingError';
  constructor(
    message: string,
    /** Where it happened: epoch from 1, step from 1. */
    readonly at: { epoch: number; step: number },
    /** The layer and the operation that made the first NaN or infinity, as far as known. */
    readonly culprit: { layer?: string; op?: string },
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

export interface Culprit {
  layer?: string;
  op?: string;
  /** As a part of a sentence. */
  text: string;
}

/**
 * Runs a batch again from the same weights and the same dropout, layer by layer, looking at every operation's output.
 *
 * @param random the generators' state from before the batch
 */
export function findNonFinite(model: Network, images: Tensor, labels: Tensor, random: TrainingState['random']): Culprit {
  const parameter = firstNonFinite(
    Object.fromEntries(model.namedParameters().map(([name, tensor]) => [name, { shape: tensor.shape, data: tensor.dataSync() }])),
  );
  if (parameter) return { layer: parameter.split('.')[0], op: 'sgd', text: `the step before made ${parameter} infinite or NaN (op sgd)` };
  let layer = 'input';
  setRandomState(random);
  setNanCheck(true);
  try {
    noGrad(() => {
      let value = images;
      for (layer of model.layerNames()) value = model.layer(layer).forward(value);
      layer = 'loss';
      crossEntropy(value, labels);
    });
    return { text: 'running the batch again gave finite numbers, so it was made on the way back' };
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const { op, count, total } = error;
    return { layer, op, text: `op ${op} in layer ${layer} made the first one (${count} of ${total} values)` };
  } finally {
    setNanCheck(false);
    setRandomState(random);
  }
}

/**
 * The maps of the first convolution that respond nowhere in a batch: dead filters. The paper's remedies are lower rates and
 * the limit on the filters' size.
 *
 * @param images [N, C, H, W]
 */
export function deadFilters(model: ZfNet, images: Tensor): { layer: string; maps: number[]; of: number } {
  checkModel('deadFilters', model);
  checkArgument('deadFilters', 'images', images, aTensor);
  const layer = model.featureLayer(model.layerNames()[0]);
  const response = noGrad(() => model.activations(images, [layer])[layer]);
  const [n, of, height, width] = response.shape;
  const values = response.dataSync();
  response.dispose();
  const plane = height * width;
  const dead: number[] = [];
  for (let map = 0; map < of; map++) {
    let alive = false;
    for (let i = 0; i < n && !alive; i++) {
      const start = (i * of + map) * plane;
      for (let p = start; p < start + plane && !alive; p++) alive = values[p] > 0;
    }
    if (!alive) dead.push(map);
  }
  return { layer: model.layerNames()[0], maps: dead, of };
}

/** A filter this many times as large as the median of its layer dominates. */
const DOMINATING = 4;

export interface DominatingFilters {
  layer: string;
  maps: number[];
  /** Filters of the layer in all. */
  of: number;
  /** Root mean squares: of the median filter, and of the largest. */
  median: number;
  largest: number;
}

/**
 * The layers in which a few convolution filters have grown far beyond the others. The paper met this in its first layer and
 * holds filters to a root mean square of 0.1 for it (section 3.1).
 */
export function dominatingFilters(model: ZfNet): DominatingFilters[] {
  checkArgument('dominatingFilters', 'model', model, network);
  return model.namedParameters().flatMap(([name, weight]) => {
    if (weight.rank !== 4) return [];
    const of = weight.shape[0];
    const sizes = filterRms(weight.dataSync(), of);
    const sorted = [...sizes].sort((a, b) => a - b);
    const [median, largest] = [sorted[Math.floor(of / 2)], sorted[of - 1]];
    const maps = sizes.flatMap((rms, map) => (rms > DOMINATING * median ? [map] : []));
    return maps.length > 0 ? [{ layer: name.split('.')[0], maps, of, median, largest }] : [];
  });
}

function filterRms(weights: ArrayLike<number>, filters: number): number[] {
  const size = weights.length / filters;
  return Array.from({ length: filters }, (_, map) => {
    let sum = 0;
    for (let i = map * size; i < (map + 1) * size; i++) sum += weights[i] ** 2;
    return Math.sqrt(sum / size);
  });
}

/**
 * Sees a loss explode before it is infinite. Two running means are compared, one over a few steps and one over many: the short
 * one far above the lowest that the long one has been, and worse than the answers of somebody who guesses.
 */
export class LossWatch {
  private short: number | null = null;
  private long = 0;
  private lowest = Number.POSITIVE_INFINITY;
  private readonly guessing: number;

  constructor(classes: number) {
    this.guessing = Math.log(Math.max(classes, 2));
  }

  /** The loss of the next step; returns what to say about it, or null. */
  see(loss: number): string | null {
    const [few, many] = [0.2, 0.02];
    this.short = this.short === null ? loss : this.short + few * (loss - this.short);
    this.long = this.lowest === Number.POSITIVE_INFINITY ? loss : this.long + many * (loss - this.long);
    this.lowest = Math.min(this.lowest, this.long);
    if (!(this.short > 2 * this.guessing && this.short > 3 * this.lowest)) return null;
    return `the loss explodes: it is ${this.short.toPrecision(3)} over the last steps, was ${this.lowest.toPrecision(3)}, and guessing gives ${this.guessing.toPrecision(3)}; it may soon be NaN. Stop, and go on from a checkpoint with a lower learning rate or a limit on the filters' size`;
  }
}
