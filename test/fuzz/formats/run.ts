/** The files of a run: a small one is trained, then its checkpoint, its configuration or its metrics are changed. */
import { createHash } from 'node:crypto';
import { init, noGrad, type Tensor, tensor } from '../../../src/index.js';
import { learningCurves } from '../../../src/report/charts/learning_curves.js';
import { trainingPage } from '../../../src/report/page/training_page.js';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  MemoryStore,
  openRun,
  PATHS,
  type RunConfig,
  readMetrics,
  type TrainedRun,
  train,
} from '../../../src/zfnet/index.js';
import { bars, tinyJob, tinyNet } from '../../zfnet/support.js';
import { expectThat, type Files, type Format, sameBits } from '../format.js';
import { mutateJson, mutateValue } from '../mutate_json.js';
import type { Random } from '../random.js';
import { mutateSafetensors } from './safetensors.js';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The files of a run of two epochs, trained on one thread in about a second. */
async function trainedFiles(): Promise<Files> {
  await init({ threads: 1 });
  const store = new MemoryStore();
  await train(tinyJob({ store, dataset: bars({ train: 8, val: 4 }), options: { epochs: 2, batchSize: 4, seed: 5 } }));
  return Object.fromEntries(store.files);
}

function storeOf(files: Files): MemoryStore {
  const store = new MemoryStore();
  for (const [path, bytes] of Object.entries(files)) store.files.set(path, bytes);
  return store;
}

/** A digest of the weights, the mean image and the classes of a loaded network. */
function contentOf({ model, preprocess, classes }: Pick<TrainedRun, 'model' | 'preprocess' | 'classes'>): string {
  const hash = createHash('sha256');
  for (const [name, value] of model.namedParameters()) hash.update(`${name} ${value.shape}`).update(value.dataSync());
  return hash
    .update(preprocess.mean)
    .update(JSON.stringify([model.architecture, preprocess.options, classes]))
    .digest('hex');
}

function checkOutputs(model: { inputShape: readonly number[]; forward(x: Tensor): Tensor }): void {
  const shape = [...model.inputShape];
  const x = tensor(new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(0.5), shape);
  const y = noGrad(() => model.forward(x));
  expectThat(y.dataSync().every(Number.isFinite), () => 'a network that was accepted computes NaN or infinite outputs');
  x.dispose();
  y.dispose();
}

/**
 * Bytes of a checkpoint are changed. Its checksum must detect every change of a value, so accepted files must be equal to the written
 * one.
 */
export const checkpoint: Format = {
  async open() {
    const files = await trainedFiles();
    const others = Object.keys(files).filter((path) => path.endsWith('.safetensors'));
    const original = (await openRun(storeOf(files))) as TrainedRun;
    const expected = contentOf(original);
    const [[, weight]] = original.model.namedParameters();
    expectThat(sameBits(weight.dataSync(), weight.dataSync()), () => 'weights change while they are read');
    return {
      make: (random) => ({
        ...files,
        [PATHS.best]: mutateSafetensors(
          files[PATHS.best],
          random,
          others.map((path) => files[path]),
        ),
      }),
      async attempt(changed) {
        const run = (await openRun(storeOf(changed))) as TrainedRun;
        try {
          // A splice may have put another whole checkpoint of the run in this one's place.
          const whole = others.some((path) => sameBits(files[path], changed[PATHS.best]));
          expectThat(whole || contentOf(run) === expected, () => 'a damaged checkpoint was accepted, and its contents are others');
        } finally {
          run.model.dispose();
        }
      },
    };
  },
};

/** The JSON in a checkpoint's metadata is changed and the checkpoint is written again with a valid checksum; then training resumes. */
export const trainingState: Format = {
  async open() {
    const files = await trainedFiles();
    const whole = decodeCheckpoint(files[PATHS.last], PATHS.last);
    const dataset = bars({ train: 8, val: 4 });
    return {
      make(random) {
        const info = random.chance(0.7)
          ? { ...whole.info, training: mutateValue(whole.info.training, random) }
          : (mutateValue(whole.info, random) as Record<string, unknown>);
        return { ...files, [PATHS.last]: encodeCheckpoint({ ...whole, info }) };
      },
      async attempt(changed) {
        const run = (await openRun(storeOf(changed), { checkpoint: PATHS.last })) as TrainedRun;
        checkOutputs(run.model);
        run.model.dispose();
        const job = { model: tinyNet({ seed: 5 }), dataset, store: storeOf(changed), resume: true, options: { epochs: 3 } };
        try {
          const { metrics } = await train(job);
          const epochs = metrics.map(({ epoch }) => epoch);
          expectThat(
            metrics.every(({ trainLoss, trainTop1Error }) => Number.isFinite(trainLoss) && trainTop1Error >= 0 && trainTop1Error <= 1),
            () => `the metrics of the resumed run are no losses and errors: ${JSON.stringify(metrics)}`,
          );
          expectThat(new Set(epochs).size === epochs.length, () => `the resumed run has the epochs ${epochs}`);
        } finally {
          job.model.dispose();
        }
      },
    };
  },
};

/** `config.json` is changed; the run is opened, and then resumed with the changed configuration. */
export const config: Format = {
  async open() {
    const files = await trainedFiles();
    const original = text(files[PATHS.config]);
    const dataset = bars({ train: 8, val: 4 });
    return {
      make: (random) => ({ ...files, [PATHS.config]: mutateJson(original, random) }),
      async attempt(changed) {
        const run = (await openRun(storeOf(changed))) as TrainedRun;
        run.model.dispose();
        const { classes, source } = run.config.data;
        expectThat(Array.isArray(classes) && typeof source === 'string', () => 'the configuration was accepted without classes or source');
        const model = tinyNet({ seed: 5 });
        try {
          // Billions of epochs are a valid configuration, so training is asked to stop after a second.
          await train({ model, dataset, store: storeOf(changed), resume: true, signal: AbortSignal.timeout(1000) });
        } finally {
          model.dispose();
        }
      },
    };
  },
};

const NUMBERS = ['epoch', 'step', 'lr', 'trainLoss', 'trainTop1Error', 'imagesPerSecond'] as const;

/** `metrics.jsonl` is changed; it is read, drawn as curves and written to the page that shows training. */
export const metrics: Format = {
  async open() {
    const files = await trainedFiles();
    const lines = text(files[PATHS.metrics]).trim().split('\n');
    const runConfig = JSON.parse(text(files[PATHS.config])) as RunConfig;
    const make = (random: Random): Files => {
      const changed = lines.map((line) => (random.chance(0.6) ? Buffer.from(mutateJson(line, random, lines)) : Buffer.from(line)));
      return {
        [PATHS.metrics]: Uint8Array.from(Buffer.concat(changed.flatMap((line) => [line, Buffer.from(random.chance(0.95) ? '\n' : '')]))),
      };
    };
    return {
      make,
      async attempt(changed) {
        const found = await readMetrics(storeOf(changed));
        for (const line of found)
          expectThat(
            typeof line === 'object' && line !== null && NUMBERS.every((key) => Number.isFinite(line[key])),
            () => `a line was accepted as metrics: ${JSON.stringify(line)?.slice(0, 200)}`,
          );
        learningCurves({ metrics: found, classes: 3 });
        const page = { run: 'run', config: runConfig, metrics: found, steps: [], status: 'done', warnings: [], now: new Date(0) } as const;
        await trainingPage(page);
      },
    };
  },
};
