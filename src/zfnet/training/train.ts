/**
 * Training as in the paper (section 3.1): mini-batches, SGD with momentum, a limit on the root mean square of each filter, and a learning
 * rate that is lowered when the validation error stops falling. Every epoch appends a line to `metrics.jsonl` and writes a checkpoint.
 *
 * The result of a run depends only on its configuration. A run may be stopped or killed at any time and resumes from its last checkpoint
 * to the same bits.
 */
import { checkFields } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { StateError } from '../../nn/index.js';
import { ValueError } from '../../tensor/index.js';
import { checkLabels } from '../evaluation/class_probabilities.js';
import { readConfig } from '../run/run_config.js';
import { MemoryStore, PATHS } from '../run/run_store.js';
import { trainingOptions } from './recipe/training_options.js';
import { begun, resumed } from './start.js';
import { JOB, type TrainJob, type TrainResult } from './train_job.js';

export type { StepReport, TrainingListener, TrainJob, TrainResult } from './train_job.js';

/**
 * Trains a network, or resumes its training. The model has the trained weights afterwards.
 *
 * @example const { best } = await train({ model, dataset, store: new MemoryStore(), options: { epochs: 1 }, onEpoch: console.log });
 * @throws TrainingError if training cannot continue: the loss became NaN or infinite (the message names the operation), an image is lost,
 *   memory does not suffice, or the store cannot write a file. The last checkpoint is intact and from before the failure
 * @throws StateError if a run is resumed with another network or other data, or if the store contains a run and `resume` is false
 * @throws FormatError if the checkpoint to resume from is damaged
 */
export async function train(job: TrainJob): Promise<TrainResult> {
  checkFields('train', job, JOB, ['model', 'dataset']);
  trainingOptions(job.options);
  const store = job.store ?? new MemoryStore();
  const { dataset } = job;
  const split = dataset.splits.train;
  if (!split || split.length === 0) throw new ValueError(`train: ${dataset.name} has no training examples`);
  checkChannels(job);
  for (const each of [split, dataset.splits.val]) if (each) checkLabels(each.labels, dataset.classes);
  warnAboutClasses(job, split);
  const recorded = await readConfig(store);
  if (recorded && !job.resume) throw new StateError('train: the store contains a run already; resume it, or use another store');
  if (!recorded && job.resume) throw new StateError(`train: there is no run to resume: ${PATHS.config} is missing`);
  const trainer = recorded ? await resumed(job, store, recorded) : await begun(job, store);
  return trainer.run();
}

function checkChannels({ model, dataset }: TrainJob): void {
  const { channels, classes } = model.architecture;
  if (channels !== dataset.channels)
    throw new StateError(`train: the network takes ${channels} channels, the images of ${dataset.name} have ${dataset.channels}`);
  if (classes !== dataset.classes.length)
    throw new StateError(`train: the network has ${classes} classes, ${dataset.name} has ${dataset.classes.length}`);
}

function warnAboutClasses({ dataset, onWarning }: TrainJob, split: Split): void {
  const counts = new Int32Array(dataset.classes.length);
  for (const label of split.labels) counts[label]++;
  const missing = dataset.classes.filter((_, label) => counts[label] === 0);
  if (missing.length > 0)
    onWarning?.(
      `no training examples of ${missing.length === 1 ? 'class' : `${missing.length} classes:`} ${missing.slice(0, 8).join(', ')}${missing.length > 8 ? ', …' : ''}`,
    );
  if (dataset.classes.length === 1) onWarning?.(`there is only one class, ${dataset.classes[0]}: every prediction will be correct`);
}
