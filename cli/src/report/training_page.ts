/** Keeps `report/training.html` of a run up to date while it trains. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { EpochMetrics, RunConfig } from 'zfnet';
import { type TrainingPageInput, trainingPage } from 'zfnet/report';
import type { FolderStore } from '../run/run_folder.js';
import type { Reporter } from '../terminal/reporter.js';

const TRAINING_PAGE = 'report/training.html';

/** Points of the loss between epochs; with more, neighbours become one. */
const MOST_POINTS = 400;

/** Means over runs of steps, each as long as the others, so that there are never too many. */
class StepLosses {
  readonly points: { x: number; y: number }[] = [];
  private length = 1;
  private sum = 0;
  private steps = 0;

  /** @param x epochs done, with the part of the one under way */
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

/** Told what happens, it writes the page at each epoch and every few minutes within one, beside the training. */
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

  /** @param metrics of the epochs that an earlier process did */
  start(config: RunConfig, metrics: readonly EpochMetrics[]): void {
    this.config = config;
    this.metrics.push(...metrics);
    this.reporter.say(`curves, while it trains: ${pathToFileURL(resolve(this.store.folder, TRAINING_PAGE)).href}`);
    this.write('training');
  }

  /** @param done share of the epoch, 0 to 1 */
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

  /** Writes the page a last time and waits for it. */
  async end(status: TrainingPageInput['status']): Promise<void> {
    if (this.config) this.write(status);
    await this.writing;
  }

  private write(status: TrainingPageInput['status']): void {
    const { config, metrics, warnings, store } = this;
    if (!config) return;
    this.writtenAt = performance.now();
    const page = trainingPage({ run: store.folder, config, metrics, warnings, status, steps: this.losses.points, now: new Date() });
    // One after the other; a page that cannot be written is no reason to stop training.
    this.writing = this.writing
      .then(async () => store.write(TRAINING_PAGE, new TextEncoder().encode(await page)))
      .catch((error: Error) => {
        if (!this.failed) this.reporter.warn(error.message);
        this.failed = true;
      });
  }
}
