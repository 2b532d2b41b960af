/** Every format that is fuzzed, its share of the inputs, and where it is. Each is loaded only in the processes that try it. */
import type { Format } from '../format.js';

interface Entry {
  readonly name: string;
  /** Share of the inputs, relative to those of the other formats. */
  readonly share: number;
  load(): Promise<Format>;
}

const entry = (name: string, share: number, load: () => Promise<Format>): Entry => ({ name, share, load });

export const FORMATS: readonly Entry[] = [
  entry('safetensors', 12, async () => (await import('./safetensors.js')).safetensors),
  entry('checkpoint', 10, async () => (await import('./run.js')).checkpoint),
  entry('training-state', 1.5, async () => (await import('./run.js')).trainingState),
  entry('config', 4, async () => (await import('./run.js')).config),
  entry('metrics', 4, async () => (await import('./run.js')).metrics),
  entry('onnx', 20, async () => (await import('./onnx.js')).models),
  entry('onnx-external', 5, async () => (await import('./onnx.js')).externalData),
  entry('idx', 8, async () => (await import('./pixels.js')).idx),
  entry('cifar10', 4, async () => (await import('./pixels.js')).cifar10),
  entry('parquet', 12, async () => (await import('./parquet.js')).parquet),
  entry('png', 10, async () => (await import('./images.js')).png),
  entry('images', 15, async () => (await import('./images.js')).images),
  entry('folder', 4, async () => (await import('./images.js')).folders),
  entry('class-list', 2, async () => (await import('./cli.js')).classLists),
  entry('parts-file', 3, async () => (await import('./cli.js')).partsFiles),
  entry('lock', 3, async () => (await import('./cli.js')).locks),
  entry('arguments', 3, async () => (await import('./cli.js')).commandLine),
];
