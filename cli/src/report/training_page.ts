/** Writes `report/training.html`, the page with the curves of a run, repeatedly during training. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { EpochMetrics, RunConfig } from 'zfnet';
import { type TrainingPageInput, trainingPage } from 'zfnet/report';
import type { FolderStore } from '../run/run_folder.js';
import type { Reporter } from '../terminal/reporter.js';

const TRAINING_PAGE = 'report/training.html';

/** Largest number of points of the loss curve; beyond it, neighbouring points are averaged. */
const MOST_POINTS = 400;

/** Mean losses over blocks of steps. The block length doubles whenever there are `MOST_POINTS` points. */
class StepLosses {
  readonly points: { x: number; y: number }[] = [];
  private length = 1;
  private sum = 0;
  private steps = 0;

  /**
   * Adds the loss of a step.
   *
   * @param x finished epochs, including the fraction of the current one
   */
  add(x: number, loss: number): void {
    this.sum += loss;
    if (++this.steps < this.length) return;
    this.points.push({ x, y: this.sum / this.steps });
    this.sum = 0;
    this.steps = 0;
    if (this.points.length < MOST_POINTS) return;
    const pairs = Array.from({ length: MOST_POINTS / 2 }, (_, i) => [this.points[2 * i], this.points[2 * i + 1]]);
    this.points.splice(0, MOST_POINTS, ...pairs.map(([a, b]) => ({ x: b.x, y: (a.y + b.y) / 2 })));
    this.length *= 2;
  }
}

/** Writes the page after each epoch and every few minutes within one, without blocking the training. */
export class TrainingPageWriter {
  private config: RunConfig | null = null;
  private readonly metrics: EpochMetrics[] = [];
  private readonly losses = new StepLosses();
  private readonly warnings: string[] = [];
  private writtenAt = Number.NEGATIVE_INFINITY;
  private writing: Promise<void> = Promise.resolve();
  private failed = false;

  constructor(
    private readonly store: FolderStore,
    private readonly minutes: number,
    private readonly reporter: Reporter,
  ) {}

  /**
   * Writes the first page.
   *
   * @param metrics metrics of the epochs before this process, if the run was resumed
   */
  start(config: RunConfig, metrics: readonly EpochMetrics[]): void {
    this.config = config;
    this.metrics.push(...metrics);
    this.reporter.say(`training curves: ${pathToFileURL(resolve(this.store.folder, TRAINING_PAGE)).href}`);
    this.write('training');
  }

  /**
   * Adds a training step.
   *
   * @param done finished fraction of the epoch, 0 to 1
   */
  step(epoch: number, done: number, loss: number): void {
    this.losses.add(epoch - 1 + done, loss);
    if (performance.now() - this.writtenAt >= this.minutes * 60_000) this.write('training');
  }

  epoch(metrics: EpochMetrics): void {
    this.metrics.push(metrics);
    this.write('training');
  }

  warning(message: string): void {
    this.warnings.push(message);
  }

  /** Writes the page for the last time and waits until it is written. */
  async end(status: TrainingPageInput['status']): Promise<void> {
    if (this.config) this.write(status);
    await this.writing;
  }

  private write(status: TrainingPageInput['status']): void {
    const { config, metrics, warnings, store } = this;
    if (!config) return;
    this.writtenAt = performance.now();
    const page = trainingPage({ run: store.folder, config, metrics, warnings, status, steps: this.losses.points, now: new Date() });
    // Pages are written one after the other. A page that cannot be written causes a warning and does not stop the training.
    this.writing = this.writing
      .then(async () => store.write(TRAINING_PAGE, new TextEncoder().encode(await page)))
      .catch((error: Error) => {
        if (!this.failed) this.reporter.warn(error.message);
        this.failed = true;
      });
  }
}
