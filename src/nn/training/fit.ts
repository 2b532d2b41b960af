/** `fit`: trains any network on batches. */
import { checkArgument, checkFields, checkOptions } from '../../backend/validate.js';
import { crossEntropy, manualSeed, ShapeError, type Tensor, ValueError } from '../../tensor/index.js';
import { backendOf } from '../backend_of.js';
import type { Module } from '../module.js';
import type { Schedule, ScheduleInterval } from '../optim/index.js';
import { aModule } from '../rules.js';
import { yieldToEvents } from '../yield_to_events.js';
import { batchesOf, checkRepeatable, dataRule, type FitBatch, type FitData, grouped, type PlacedBatch, place } from './batches.js';
import { CALLBACK_RULES, FIT_RULES, type FitEpoch, type FitSettings, type FitStep, NonFiniteLossError } from './fit_settings.js';
import { measure } from './measure.js';
import { rememberModes } from './modes.js';
import { defaultLag, type LossFunction, type NonFiniteEvent, Stepper, type StepSettings } from './stepper.js';

/**
 * Trains a network: for every batch a forward pass, the loss, a backward pass and an update, for a number of epochs.
 *
 * ```ts
 * const model = new Sequential([new Flatten(), new Linear(4, 2)]);
 * const optimizer = new SGD(model.parameters(), { lr: 0.1 });
 * const data = [{ images: tensor([[1, 2, 3, 4], [4, 3, 2, 1]]), labels: [0, 1] }];
 * const history = await fit(model, data, { optimizer, epochs: 5 });   // [{ epoch: 1, step: 1, lr: 0.1, loss: … }, …]
 * ```
 *
 * The computation runs on the backend of the model's parameters; batches of another backend are copied there. The network is in training
 * mode during the steps and in evaluation mode during validation; its mode is restored at the end. Memory stays flat: `fit` frees
 * everything that it computes, and leaves the tensors of the batches to the caller. On a backend that queues its work, a loss is read
 * while the next step already runs; the results are the same.
 *
 * @param model any module
 * @param data batches `{ images, labels }`: an array or another iterable that can be iterated once per epoch, or a function from the number
 *   of the epoch (from 1) to an iterable or async iterable. `labels` is a tensor, or an array of classes
 * @returns one entry per finished epoch
 * @throws NonFiniteError if a loss is NaN or infinite, unless `callbacks.onNonFinite` skips the step
 * @throws ValueError for data that can be iterated only once with several epochs, and for an optimiser of other parameters
 */
export async function fit(model: Module, data: FitData, settings: FitSettings): Promise<FitEpoch[]> {
  checkArgument('fit', 'the model', model, aModule);
  checkArgument('fit', 'data', data, dataRule);
  checkFields('fit', settings, FIT_RULES, ['optimizer', 'epochs']);
  checkOptions('fit: callbacks', settings.callbacks, CALLBACK_RULES);
  checkRepeatable('data', data, settings.epochs);
  if (settings.validation) checkRepeatable('validation', settings.validation, settings.epochs);
  checkParameters(model, settings);
  return await new Fit(model, data, settings).run();
}

function checkParameters(model: Module, { optimizer }: FitSettings): void {
  const own = new Set(model.parameters());
  if (optimizer.groups.some(({ params }) => params.some((each) => own.has(each)))) return;
  throw new ValueError(
    'fit: the optimiser has no parameter of the model; create it from model.parameters() after the model has been moved or loaded',
  );
}

/** The loss of the settings, checked to be one element. */
function checkedLoss(given: LossFunction | undefined): LossFunction {
  if (!given) return crossEntropy;
  return (output, labels) => {
    const loss: Tensor = given(output, labels);
    if (loss?.size !== 1)
      throw new ShapeError(`fit: the loss has shape [${loss?.shape}], expected one element; reduce it with mean() or sum()`);
    return loss;
  };
}

/** One call of `fit`. */
class Fit {
  private readonly history: FitEpoch[] = [];
  private readonly loop: StepSettings;
  private readonly stepper: Stepper;
  private readonly schedules: readonly Schedule[];
  private step = 0;
  private stopped = false;
  private sums = { loss: 0, examples: 0, skipped: 0 };

  constructor(
    private readonly model: Module,
    private readonly data: FitData,
    private readonly settings: FitSettings,
  ) {
    const { optimizer, schedule = [], clipGradNorm, callbacks } = settings;
    const backend = backendOf(model);
    this.schedules = 'step' in schedule ? [schedule] : schedule;
    this.loop = {
      model,
      optimizer,
      loss: checkedLoss(settings.loss),
      backend,
      // A step can only be skipped if its loss is known before the update.
      lag: callbacks?.onNonFinite ? 0 : defaultLag(backend),
      clipGradNorm,
    };
    this.stepper = new Stepper(this.loop);
  }

  async run(): Promise<FitEpoch[]> {
    const { optimizer, epochs, seed } = this.settings;
    const restoreModes = rememberModes(this.model);
    if (seed !== undefined) manualSeed(seed);
    optimizer.zeroGrad();
    try {
      for (let epoch = 1; epoch <= epochs && !this.ending; epoch++) {
        this.sums = { loss: 0, examples: 0, skipped: 0 };
        this.model.train();
        if (!(await this.trainEpoch(epoch)) || !(await this.finishEpoch(epoch))) break;
      }
    } finally {
      await this.stepper.abandon();
      optimizer.zeroGrad();
      restoreModes();
    }
    return this.history;
  }

  private get ending(): boolean {
    return this.stopped || this.settings.signal?.aborted === true;
  }

  /** Takes the steps of an epoch. Returns false if it was stopped before its end. */
  private async trainEpoch(epoch: number): Promise<boolean> {
    const { accumulate = 1 } = this.settings;
    for await (const group of grouped(batchesOf('data', this.data, epoch), accumulate)) {
      if (this.ending) break;
      await this.takeStep(group, epoch);
      await yieldToEvents();
      if (this.ending) break;
    }
    await this.stepper.flush();
    return !this.ending;
  }

  private async takeStep(group: readonly FitBatch[], epoch: number): Promise<void> {
    const { optimizer, epochs } = this.settings;
    const examples = group.reduce((sum, { images }) => sum + images.shape[0], 0);
    const report: FitStep = { epoch, epochs, step: ++this.step, loss: Number.NaN, examples, lr: optimizer.lr };
    const { skipped } = this.sums;
    await this.stepper.take({
      parts: this.placed(group),
      weight: examples,
      done: (lossSum) => this.measured(report, lossSum),
      onNonFinite: (event) => this.nonFinite(report, event),
    });
    if (this.sums.skipped === skipped) this.stepSchedules('step');
  }

  /** The batches on the model's backend. */
  private async *placed(group: readonly FitBatch[]): AsyncGenerator<PlacedBatch, void, undefined> {
    for (const batch of group) {
      const placed = await place(batch, this.loop.backend);
      try {
        yield placed;
      } finally {
        placed.release();
      }
    }
  }

  private async measured(report: FitStep, lossSum: number | null): Promise<void> {
    if (lossSum === null) {
      this.sums.skipped++;
      return;
    }
    this.sums.loss += lossSum;
    this.sums.examples += report.examples;
    const answer = await this.settings.callbacks?.onStep?.({ ...report, loss: lossSum / report.examples });
    if (answer === 'stop') this.stopped = true;
  }

  private async nonFinite(report: FitStep, { loss, cause }: NonFiniteEvent): Promise<'skip'> {
    const answer = await this.settings.callbacks?.onNonFinite?.({ ...report, loss });
    if (answer === 'stop') this.stopped = true;
    if (answer !== 'skip' && answer !== 'stop') throw new NonFiniteLossError(report, loss, report.lr, cause);
    return 'skip';
  }

  /** Validates, steps the epoch schedules and records the epoch. Returns false if the signal stopped validation. */
  private async finishEpoch(epoch: number): Promise<boolean> {
    const { optimizer, validation, signal, callbacks } = this.settings;
    const measured = validation && (await measure(this.model, batchesOf('validation', validation, epoch), { ...this.loop, signal }));
    if (measured === null) return false;
    const { loss, examples, skipped } = this.sums;
    const entry: FitEpoch = {
      epoch,
      step: this.step,
      lr: optimizer.lr,
      loss: loss / examples,
      ...(measured && { valLoss: measured.loss }),
      ...(measured?.top1Error !== undefined && { valTop1Error: measured.top1Error }),
      ...(skipped > 0 && { skipped }),
    };
    this.stepSchedules('epoch', entry.valLoss ?? entry.loss);
    this.history.push(entry);
    if ((await callbacks?.onEpoch?.({ ...entry })) === 'stop') this.stopped = true;
    return true;
  }

  private stepSchedules(interval: ScheduleInterval, measure?: number): void {
    for (const schedule of this.schedules) if ((schedule.interval ?? 'epoch') === interval) schedule.step(measure);
  }
}
