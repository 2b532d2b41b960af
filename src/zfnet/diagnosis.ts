/** Finding out what went wrong: the operation that made a NaN, and filters that never respond. */
import { crossEntropy, NonFiniteError, noGrad, setNanCheck, setRandomState, type Tensor, ZfnetError } from '../tensor/index.js';
import type { ZfNet } from './model.js';
import { firstNonFinite, type TrainingState } from './training_state.js';

/** Training stopped since its numbers went bad. The last checkpoint is from before that. */
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
export function findNonFinite(model: ZfNet, images: Tensor, labels: Tensor, random: TrainingState['random']): Culprit {
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
