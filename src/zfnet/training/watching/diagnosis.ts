/** Diagnosis of training problems: the operation that produced a NaN, an exploding loss, dead filters and dominating filters. */
import { filterRms, livingMedian, standingOut } from '../../../analysis/standing_out.js';
import { checkArgument } from '../../../backend/validate.js';
import type { Network } from '../../../nn/index.js';
import { aTensor, checkModel, network } from '../../../nn/rules.js';
import { layersInRow } from '../../../nn/sequential.js';
import { crossEntropy, NonFiniteError, noGrad, setNanCheck, setRandomState, type Tensor, ZfnetError } from '../../../tensor/index.js';
import type { ZfNet } from '../../model/model.js';
import { firstNonFinite, type TrainingState } from '../training_state.js';

/**
 * Thrown when training cannot continue: a loss or a weight is NaN or infinite, images are lost, memory does not suffice, or a file cannot
 * be written. The last checkpoint is from before the failure.
 */
export class TrainingError extends ZfnetError {
  override name = 'TrainingError';
  constructor(
    message: string,
    /** Epoch and step of the failure, both counted from 1. */
    readonly at: { epoch: number; step: number },
    /** Layer and operation that produced the first NaN or infinity, as far as known. */
    readonly culprit: { layer?: string; op?: string },
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** Origin of the first NaN or infinity. */
export interface Culprit {
  layer?: string;
  op?: string;
  /** Description for an error message. */
  text: string;
}

/** A part of a batch, and the state of the random generators before it. */
export interface FailedPart {
  images: Tensor;
  labels: Tensor;
  random: TrainingState['random'];
}

/**
 * Finds the operation that produced the first NaN or infinity: runs a batch again with the same weights and dropout masks, layer by layer,
 * and checks the output of every operation.
 *
 * @param update name of the operation that updates the weights, such as `sgd`
 * @param part the batch; absent if the weights have been updated since
 */
export async function findNonFinite(model: Network, update: string, part?: FailedPart): Promise<Culprit> {
  const named = model.namedParameters();
  const values = await Promise.all(named.map(([, tensor]) => tensor.data()));
  const parameter = firstNonFinite(Object.fromEntries(named.map(([name, { shape }], i) => [name, { shape, data: values[i] }])));
  if (parameter)
    return { layer: parameter.split('.')[0], op: update, text: `the previous step made ${parameter} NaN or infinite (op ${update})` };
  if (!part) return { text: 'the operation is not known, because the next step had begun before the loss was read' };
  setRandomState(part.random);
  setNanCheck(true);
  try {
    const found = await firstBadLayer(model, part);
    return found ?? { text: 'a second forward pass of the batch has finite values, so the backward pass produced it' };
  } finally {
    setNanCheck(false);
    setRandomState(part.random);
  }
}

/** Runs the layers one by one, with the check for NaN switched on. Returns the first one that fails, or null. */
async function firstBadLayer(model: Network, { images, labels }: FailedPart): Promise<Culprit | null> {
  let value = images;
  const layers = [
    ...layersInRow(model).map(([name, layer]) => ({ name, run: (x: Tensor) => layer.forward(x) })),
    { name: 'loss', run: (x: Tensor) => crossEntropy(x, labels) },
  ];
  for (const { name, run } of layers) {
    try {
      const next = noGrad(() => run(value));
      // A backend that queues its work reports the error here.
      await next.backend.synchronize();
      if (value !== images && value !== next) value.dispose();
      value = next;
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      const { op, count, total } = error;
      return { layer: name, op, text: `op ${op} in layer ${name} produced the first one (${count} of ${total} values)` };
    }
  }
  value.dispose();
  return null;
}

/**
 * Dead filters of the first convolution: those whose maps are nowhere above zero in a batch. A lower learning rate and the limit on the
 * filters' root mean square help against them.
 *
 * @example const { layer, maps } = await deadFilters(model, images);
 * @param images input of the network, [N, C, H, W]
 * @returns the indices of the dead maps, and the number `of` all maps
 */
export async function deadFilters(model: ZfNet, images: Tensor): Promise<{ layer: string; maps: number[]; of: number }> {
  checkModel('deadFilters', model);
  checkArgument('deadFilters', 'images', images, aTensor);
  const layer = model.featureLayer(model.layerNames()[0]);
  const response = noGrad(() => model.activations(images, [layer])[layer]);
  const [n, of, height, width] = response.shape;
  const values = await response.data();
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

/** Dominating filters of one layer, as `dominatingFilters` returns. */
export interface DominatingFilters {
  /** Name of the convolution layer. */
  layer: string;
  /** Indices of the dominating filters, in rising order. */
  maps: number[];
  /** Number of filters of the layer. */
  of: number;
  /** Root mean square of the weights: the median over the filters that are not zero, and the largest. */
  median: number;
  /** Largest root mean square of a filter of the layer. */
  largest: number;
}

/**
 * Dominating filters: per layer, the convolution filters whose root mean square exceeds four times the median. The paper observed this in
 * its first layer and therefore limits the root mean square of each filter to 0.1 (section 3.1).
 *
 * @example const [first] = await dominatingFilters(model);
 */
export async function dominatingFilters(model: ZfNet): Promise<DominatingFilters[]> {
  checkArgument('dominatingFilters', 'model', model, network);
  const convolutions = model.namedParameters().filter(([, { rank }]) => rank === 4);
  const values = await Promise.all(convolutions.map(([, weight]) => weight.data()));
  return convolutions.flatMap(([name, { shape }], i) => {
    const of = shape[0];
    const sizes = filterRms(values[i], of);
    // Weights that are NaN or infinite end training when the checkpoint is written.
    if (!sizes.every(Number.isFinite)) return [];
    const { dominating: maps } = standingOut(sizes);
    if (maps.length === 0) return [];
    return [{ layer: name.split('.')[0], maps, of, median: livingMedian(sizes), largest: Math.max(...sizes) }];
  });
}

/**
 * Detects an exploding loss before it becomes infinite. It compares two exponential moving averages of the loss: the fast one must exceed
 * both three times the lowest value of the slow one and twice the loss of uniform guessing, log(classes).
 */
export class LossWatch {
  private short: number | null = null;
  private long = 0;
  private lowest = Number.POSITIVE_INFINITY;
  private readonly guessing: number;

  constructor(classes: number) {
    this.guessing = Math.log(Math.max(classes, 2));
  }

  /** Adds the loss of the next step. Returns a warning if the loss explodes, else null. */
  see(loss: number): string | null {
    const [few, many] = [0.2, 0.02];
    this.short = this.short === null ? loss : this.short + few * (loss - this.short);
    this.long = this.lowest === Number.POSITIVE_INFINITY ? loss : this.long + many * (loss - this.long);
    this.lowest = Math.min(this.lowest, this.long);
    if (!(this.short > 2 * this.guessing && this.short > 3 * this.lowest)) return null;
    return `the loss explodes: it is ${this.short.toPrecision(3)} over the last steps, was ${this.lowest.toPrecision(3)}, and uniform guessing gives ${this.guessing.toPrecision(3)}; it may soon be NaN. Stop, and resume from a checkpoint with a lower learning rate, or train anew with a limit on the filters' root mean square`;
  }
}
