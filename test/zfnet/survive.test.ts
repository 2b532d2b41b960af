/** Causes from outside that end training: a full disk, a deleted image, too little memory. The files that were saved stay intact. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../../src/data/errors.js';
import { decodeCheckpoint } from '../../src/formats/checkpoint.js';
import { OutOfMemoryError } from '../../src/tensor/index.js';
import { MemoryStore, PATHS, TrainingError, train } from '../../src/zfnet/index.js';
import { bars, tinyJob, tinyNet, useReferenceBackend, weightsOf } from './support.js';

beforeEach(useReferenceBackend);

const OPTIONS = { epochs: 2 };

async function straight(): Promise<Record<string, string>> {
  const job = tinyJob({ options: OPTIONS });
  await train(job);
  return weightsOf(job.model);
}

async function resumed(store: MemoryStore): Promise<Record<string, string>> {
  const job = tinyJob({ store, model: tinyNet({ seed: 99 }), resume: true, options: OPTIONS });
  await train(job);
  return weightsOf(job.model);
}

/** A store whose disk is full from a given write on. Like a folder, it leaves existing files unchanged. */
class FullStore extends MemoryStore {
  constructor(private room: number) {
    super();
  }

  override async write(path: string, bytes: Uint8Array): Promise<void> {
    this.take(path);
    await super.write(path, bytes);
  }

  override async append(path: string, line: string): Promise<void> {
    this.take(path);
    await super.append(path, line);
  }

  /** Frees space on the disk. */
  free(): void {
    this.room = Number.POSITIVE_INFINITY;
  }

  private take(path: string): void {
    if (--this.room < 0) throw new Error(`${path} cannot be written: the disk is full`);
  }
}

describe('a full disk', () => {
  // Writes: config, last; then an epoch's line, its checkpoint, best, last, with last within the epoch after steps 3 and 9.
  it.each([3, 4, 5, 6, 7, 8])('at write %i ends training with an error that names the last checkpoint, and loses nothing', async (room) => {
    const store = new FullStore(room);
    const failed = await train(tinyJob({ store, options: OPTIONS, checkpointSteps: 3 })).catch((thrown) => thrown);
    expect(failed).toBeInstanceOf(TrainingError);
    expect(failed.message).toMatch(/^train: epoch [12], .*cannot be written: the disk is full\. last\.safetensors is whole: it holds step/);
    const { step } = decodeCheckpoint((await store.read(PATHS.last))!, 'last').info.training as { step: number };
    expect(failed.message).toContain(`it holds step ${step},`);
    store.free();
    expect(await resumed(store)).toEqual(await straight());
  });
});

describe('an image', () => {
  /** Bars of which one, or all, can no longer be read once so many have been. */
  function vanishing(after: number, which: 'one' | 'all' = 'one') {
    const dataset = bars();
    const { train: split } = dataset.splits;
    let reads = 0;
    const get = async (index: number) => {
      if (++reads > after && (which === 'all' || index === 4)) throw new DataError('bars/4.png: Input file is missing', 'bars/4.png');
      return await split.get(index);
    };
    return { ...dataset, splits: { ...dataset.splits, train: { ...split, get } } };
  }
  const isLost = ({ file }: DataError) => file !== undefined;

  it('that is deleted during a run ends it with an error that names it; once restored, the run resumes to the same bits', async () => {
    const store = new MemoryStore();
    // 24 reads for the mean, 24 in the first epoch.
    const failed = await train(tinyJob({ store, options: OPTIONS, dataset: vanishing(48), isLost, readAhead: 0 })).catch(
      (thrown) => thrown,
    );
    expect(failed).toBeInstanceOf(TrainingError);
    expect(failed.message).toMatch(
      /^train: epoch 2, .*images are lost: bars\/4\.png.* it holds step 6, after 1 epoch\. Restore them and resume/,
    );
    expect(await resumed(store)).toEqual(await straight());
  });

  it('that was never readable is omitted; a split without readable images is an error', async () => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    expect((await train(tinyJob({ dataset: bars({ broken: [3] }), isLost, onWarning, options: { epochs: 1 } }))).status).toBe('done');
    expect(warnings.join()).toContain('left out: image 3 is broken');
    const none = train(tinyJob({ dataset: vanishing(24, 'all') }));
    await expect(none).rejects.toThrow(/epoch 1, .*none of the last 24 images can be read.* it holds step 0, .*Restore them/);
  });
});

describe('memory that does not suffice', () => {
  it('is reported with a size of parts that may fit', async () => {
    const model = tinyNet();
    model.forward = () => {
      throw new OutOfMemoryError(1000, 2000, 2500, 'conv2d');
    };
    const failed = await train(tinyJob({ model })).catch((thrown) => thrown);
    expect(failed).toBeInstanceOf(TrainingError);
    expect(failed.message).toMatch(/conv2d: out of memory.* microBatch 2 \(--micro-batch\) sums the gradients of a mini-batch of 4 over/);
    expect(failed.cause).toBeInstanceOf(OutOfMemoryError);
  });
});
