/** Watches training for signs of trouble and warns: exploding losses, dead and dominating filters, images that cannot be read. */
import type { DataError } from '../../../data/errors.js';
import { type Batch, readBatches } from '../../../data/read_batches.js';
import { samplePlaces } from '../../../data/subset.js';
import { imagesToTensor } from '../../input/images_to_tensor.js';
import { rowsOf, type Session } from '../session.js';
import { deadFilters, dominatingFilters, LossWatch } from './diagnosis.js';

/** Number of images by which dead filters are recognised. */
const SAMPLE = 64;

/** Warns about problems of a training run. */
export class Watch {
  /** Number of dead filters at the last check. */
  private dead = 0;
  /** Warnings already shown. */
  private readonly warned = new Set<string>();
  private readonly losses: LossWatch;

  constructor(private readonly session: Session) {
    this.losses = new LossWatch(session.config.architecture.classes);
  }

  /** Looks at the loss of a step that has just been counted. */
  loss(value: number, lr: number): void {
    const { epoch, step } = this.session.progress;
    const exploding = this.losses.see(value);
    if (exploding) this.warnOnce('loss', `epoch ${epoch + 1}, step ${step}: ${exploding} (the rate is ${lr})`);
  }

  /** Handles an image that cannot be read: throws if it counts as lost, otherwise warns. */
  readonly onBroken = (error: DataError): void => {
    if (this.session.job.isLost?.(error)) throw error;
    this.warnOnce(error.message, `left out: ${error.message}`);
  };

  /** Looks at the filters after an epoch. */
  async filters(): Promise<void> {
    await this.deadFilters();
    const { job, config } = this.session;
    const { maxFilterRms } = config.training;
    for (const { layer, maps, of, median, largest } of await dominatingFilters(job.model)) {
      const remedy =
        maxFilterRms === null
          ? 'limit the root mean square of each filter to 0.1 (maxFilterRms, --max-filter-rms)'
          : `the limit of ${maxFilterRms} is active; a lower one would restrict them further`;
      this.warnOnce(
        `dominating ${layer}`,
        `${layer}: ${maps.length} of ${of} filters (${some(maps)}) dominate: their root mean square reaches ${largest.toPrecision(2)}, that of the others ${median.toPrecision(2)}. The paper's remedy (section 3.1): ${remedy}`,
      );
    }
  }

  /** Warns if more filters than before respond to none of 64 randomly sampled images (validation images if there are any). */
  private async deadFilters(): Promise<void> {
    const { splits } = this.session.job.dataset;
    const split = splits.val && splits.val.length > 0 ? splits.val : splits.train;
    const order = samplePlaces(split.length, SAMPLE);
    const reading = { batchSize: rowsOf(this.session), onBroken: this.onBroken };
    let found: Awaited<ReturnType<typeof deadFilters>> | null = null;
    let seen = 0;
    for await (const batch of readBatches(split, order, reading)) {
      if (batch.examples.length === 0) continue;
      const { layer, maps, of } = await this.deadIn(batch);
      const silent: readonly number[] = found?.maps ?? maps;
      found = { layer, of, maps: silent.filter((map) => maps.includes(map)) };
      seen += batch.examples.length;
    }
    if (!found) return;
    const { layer, maps, of } = found;
    if (maps.length > this.dead)
      this.session.job.onWarning?.(
        `${layer}: ${maps.length} of ${of} filters respond to none of ${seen} images (${some(maps)}); a lower learning rate may keep them alive`,
      );
    this.dead = maps.length;
  }

  private async deadIn({ examples }: Batch): ReturnType<typeof deadFilters> {
    const { preprocess, backend, job } = this.session;
    const images = imagesToTensor(
      preprocess,
      examples.map(({ image }) => image),
      { backend },
    );
    try {
      return await deadFilters(job.model, images);
    } finally {
      images.dispose();
    }
  }

  private warnOnce(what: string, message: string): void {
    if (this.warned.has(what)) return;
    this.warned.add(what);
    this.session.job.onWarning?.(message);
  }
}

const some = (maps: readonly number[]): string => `${maps.slice(0, 8).join(', ')}${maps.length > 8 ? ', …' : ''}`;
