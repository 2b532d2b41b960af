/**
 * Reads and decodes images in threads of their own. An engine's step keeps the main thread for seconds, and whatever takes
 * several turns there (opening, reading, unpacking, decoding) would stand still meanwhile; a worker goes through what it was
 * asked for, one image after the other, and the pixels are handed over without copying.
 *
 * Each image depends on its place and size alone, so it does not matter which worker reads it, nor how many there are. How much
 * is asked for at once, and so how much memory is held, is the caller's to bound.
 */
import type { Worker } from 'node:worker_threads';
import type { Image, OpenOptions, Warnings } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import type { ReadImageOptions } from './image.js';
import { type ImageReader, LocalReader, type Place } from './reader.js';

/** What a worker is told when it starts. */
export interface WorkerStart {
  /** The program that the main thread runs: packages may have to be looked up from there. */
  program: string | undefined;
}

export interface WorkerRequest {
  id: number;
  place: Place;
  options: ReadImageOptions;
}

export type WorkerAnswer = { id: number } & ({ image: Image } | { error: string; file: string | undefined });

/** Workers without work end after so long, and start again when there is some. */
const IDLE_MS = 10_000;

interface Job {
  readonly place: Place;
  readonly options: ReadImageOptions;
  resolve(image: Image): void;
  reject(error: unknown): void;
}

interface Member {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
  /** It was told to end. */
  dismissed: boolean;
}

/** What reads the images of a data set, as `workers` asks. */
export function readerFor({ workers = 0 }: OpenOptions, warnings: Warnings): ImageReader {
  return workers > 0 ? new WorkerReader(workers, (message) => warnings.add(message)) : new LocalReader();
}

export class WorkerReader implements ImageReader {
  private readonly local = new LocalReader();
  private members: Promise<Member[]> | null = null;
  private failed = false;
  private next = 0;
  /** Images asked for that are not there yet. */
  private expected = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;

  /** @param onWarning told once if workers cannot be had; images are then read in this thread */
  constructor(
    private readonly count: number,
    private readonly onWarning: (message: string) => void,
  ) {}

  async read(place: Place, options: ReadImageOptions): Promise<Image> {
    if (this.failed) return this.local.read(place, options);
    clearTimeout(this.idle);
    this.expected++;
    try {
      this.members ??= this.start();
      const members = await this.members;
      // Workers may have failed, then or since.
      return await (this.failed ? this.local.read(place, options) : this.ask(members, place, options));
    } finally {
      this.expected--;
      if (this.expected === 0 && this.members) this.dismissWhenIdle(this.members);
    }
  }

  /** Asks the worker that has least to do. */
  private ask(members: readonly Member[], place: Place, options: ReadImageOptions): Promise<Image> {
    const { worker, jobs } = members.reduce((least, each) => (each.jobs.size < least.jobs.size ? each : least));
    return new Promise((resolve, reject) => {
      const id = this.next++;
      jobs.set(id, { place, options, resolve, reject });
      // A worker keeps the program alive only while something is expected of it.
      if (jobs.size === 1) worker.ref();
      worker.postMessage({ id, place, options } satisfies WorkerRequest);
    });
  }

  private async start(): Promise<Member[]> {
    try {
      const { Worker } = await import('node:worker_threads');
      const workerData: WorkerStart = { program: process.argv[1] };
      // In the repository itself the worker is TypeScript still.
      const source = import.meta.url.endsWith('.ts');
      const url = new URL(source ? './image_worker.ts' : './image_worker.js', import.meta.url);
      const program = source ? `import('tsx/esm/api').then((tsx) => { tsx.register(); return import('${url}'); })` : url;
      // Flags of the main thread, such as loaders of TypeScript, are of no use to the worker.
      const how = { workerData, eval: source, execArgv: [] };
      return Array.from({ length: this.count }, () => this.join(new Worker(program, how)));
    } catch (error) {
      this.fail(reasonOf(error));
      return [];
    }
  }

  private join(worker: Worker): Member {
    const member: Member = { worker, jobs: new Map(), dismissed: false };
    worker.unref();
    worker.on('message', (answer: WorkerAnswer) => {
      const job = member.jobs.get(answer.id);
      member.jobs.delete(answer.id);
      if (member.jobs.size === 0) worker.unref();
      if ('image' in answer) job?.resolve(answer.image);
      else job?.reject(new DataError(answer.error, answer.file));
    });
    const lost = (reason: string) => {
      if (member.dismissed) return;
      this.fail(reason);
      // What it still had to do is done here.
      for (const { place, options, resolve, reject } of member.jobs.values()) this.local.read(place, options).then(resolve, reject);
      member.jobs.clear();
    };
    worker.on('error', (error) => lost(reasonOf(error)));
    worker.on('exit', (code) => lost(`a worker ended with status ${code}`));
    return member;
  }

  /** From now on this thread reads. */
  private fail(reason: string): void {
    if (this.failed) return;
    this.failed = true;
    this.onWarning(`images are read without workers, so the engine may have to wait for them: ${reason}`);
  }

  private dismissWhenIdle(members: Promise<Member[]>): void {
    this.idle = setTimeout(async () => {
      this.members = null;
      for (const member of await members) {
        member.dismissed = true;
        void member.worker.terminate();
      }
    }, IDLE_MS);
    this.idle.unref?.();
  }
}
