/** The inputs of the layers that are trained: crops of images, or the outputs of frozen layers for them. */
import type { Example, Split } from '../../data/dataset.js';
import { countErrors } from '../../nn/index.js';
import type { StepPart } from '../../nn/training/stepper.js';
import { fromHost, type Tensor } from '../../tensor/index.js';
import { examplesToTensor } from '../input/images_to_tensor.js';
import type { RecipeLoss } from './recipe/loss.js';
import type { Session } from './session.js';

/** The split to read for training. Images whose frozen outputs are cached are not read. */
export function trainingSource({ job, frozen, config }: Session): Split {
  const { train } = job.dataset.splits;
  return frozen && config.training.augment === 'none' ? frozen.skim(train) : train;
}

/** The parts of a mini-batch, made one by one and freed when the next one is asked for. Counts the errors of the outputs. */
export async function* trainingParts(
  session: Session,
  examples: readonly Example[],
  loss: RecipeLoss,
): AsyncGenerator<StepPart, void, undefined> {
  const { backend, config, progress } = session;
  const each = config.training.microBatch ?? examples.length;
  const classes = config.data.classes.length;
  for (let start = 0; start < examples.length; start += each) {
    const own = examples.slice(start, start + each);
    const truth = Int32Array.from(own, ({ label }) => label);
    const images = await inputsOf(session, own);
    const labels = fromHost(truth, [own.length], { backend });
    try {
      yield {
        images,
        labels,
        weight: loss.weightOf(own),
        onOutput(values) {
          progress.sums.errors += countErrors(values, truth, classes, 1);
        },
      };
    } finally {
      for (const tensor of [images, labels]) tensor.dispose();
    }
  }
}

async function inputsOf(session: Session, examples: readonly Example[]): Promise<Tensor> {
  const { job, config, frozen, preprocess, backend, progress } = session;
  const { seed, augment } = config.training;
  const sample = { augment, seed, epoch: progress.epoch + 1 };
  if (frozen) return await frozen.trainingOutputs(job.dataset.splits.train, examples, sample);
  return examplesToTensor(preprocess, examples, sample, backend);
}
