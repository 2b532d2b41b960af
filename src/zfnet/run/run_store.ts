/** Storage for the files of a run: the interface, an implementation in memory, and the paths. The command line stores them in a folder. */
import { checkArgument, text } from '../../backend/validate.js';
import { bytes as bytesRule } from '../../data/rules.js';
import { runStore } from '../rules.js';

/** Files by relative path with forward slashes: `config.json`, `checkpoints/epoch-0001.safetensors`. */
export interface RunStore {
  /** Content of a file, or null if there is no such file. */
  read(path: string): Promise<Uint8Array | null>;
  /** Writes or replaces a file atomically: a reader sees either the old or the new content, never a part. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Appends a line and a line break to a file. */
  append(path: string, line: string): Promise<void>;
  /** Paths of all files, in any order. */
  list(): Promise<string[]>;
}

/**
 * A store in memory, for tests and for runtimes without files.
 *
 * @example
 * const store = new MemoryStore();
 * await train({ model, dataset, store, options: { epochs: 1 } });
 */
export class MemoryStore implements RunStore {
  /** Contents by path relative to the run, such as `checkpoints/epoch-0001.safetensors`. */
  readonly files = new Map<string, Uint8Array>();

  async read(path: string): Promise<Uint8Array | null> {
    checkArgument('MemoryStore.read', 'path', path, text);
    return this.files.get(path)?.slice() ?? null;
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    checkArgument('MemoryStore.write', 'path', path, text);
    checkArgument('MemoryStore.write', 'bytes', bytes, bytesRule);
    this.files.set(path, bytes.slice());
  }

  async append(path: string, line: string): Promise<void> {
    checkArgument('MemoryStore.append', 'path', path, text);
    checkArgument('MemoryStore.append', 'line', line, text);
    const before = this.files.get(path) ?? new Uint8Array();
    const added = new TextEncoder().encode(`${line}\n`);
    const both = new Uint8Array(before.length + added.length);
    both.set(before);
    both.set(added, before.length);
    this.files.set(path, both);
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()];
  }
}

/** Paths of the files of a run. */
export const PATHS = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  last: 'last.safetensors',
  best: 'best.safetensors',
  /** The model of an imported network, which has no checkpoints. */
  imported: 'model.onnx',
  /** @param epoch from 1 */
  epoch: (epoch: number): string => `checkpoints/epoch-${String(epoch).padStart(4, '0')}.safetensors`,
} as const;

/** Content of a text file, or null if there is no such file. */
export async function readText(store: RunStore, path: string): Promise<string | null> {
  const bytes = await store.read(path);
  return bytes && new TextDecoder().decode(bytes);
}

/** Writes or replaces a text file. */
export const writeText = (store: RunStore, path: string, text: string): Promise<void> => store.write(path, new TextEncoder().encode(text));

/**
 * The checkpoints of the epochs of a run, in order.
 *
 * @example const [{ epoch, path }] = await epochCheckpoints(store);
 */
export async function epochCheckpoints(store: RunStore): Promise<{ epoch: number; path: string }[]> {
  checkArgument('epochCheckpoints', 'store', store, runStore);
  const paths = await store.list();
  return paths
    .flatMap((path) => {
      const epoch = Number(/^checkpoints\/epoch-(\d+)\.safetensors$/.exec(path)?.[1]);
      return Number.isNaN(epoch) ? [] : [{ epoch, path }];
    })
    .sort((a, b) => a.epoch - b.epoch);
}
