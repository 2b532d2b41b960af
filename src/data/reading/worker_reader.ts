/**
 * Reads and decodes images in worker threads. A training step can block the main thread for seconds, and asynchronous work there
 * (opening, reading, decompressing, decoding) would make no progress meanwhile. A worker processes its requests one after the other
 * and transfers the pixels without copying them.
 *
 * An image depends only on its location and size, so the result does not depend on which worker reads it, or on the number of
 * workers. The caller limits the number of concurrent requests, and with it the memory in use.
 */
import type { Worker } from 'node:worker_threads';
import { neededNodeModule, nodeProcess } from '../../backend/node_module.js';
import type { Image, OpenOptions, Warnings } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import type { ReadImageOptions } from './image.js';
import { type ImageReader, LocalReader, type Place } from './reader.js';

/** The `workerData` that a worker receives when it starts. */
export interface WorkerStart {
  /** Path of the main program, from which optional packages are resolved. */
  program: string | undefined;
}

export interface WorkerRequest {
  id: number;
  place: Place;
  options: ReadImageOptions;
}

export type WorkerAnswer = { id: number } & ({ image: Image } | { error: string; file: string | undefined });

/** Idle time in milliseconds after which workers end. The next request starts them again. */
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
  /** Whether the worker was terminated on purpose. */
  dismissed: boolean;
}

/** Creates the image reader for the option `workers`. */
export function readerFor({ workers = 0 }: OpenOptions, warnings: Warnings): ImageReader {
  return workers > 0 ? new WorkerReader(workers, (message) => warnings.add(message)) : new LocalReader();
}

/** Reads images in up to `count` worker threads; falls back to the calling thread if they fail. */
export class WorkerReader implements ImageReader {
  private readonly local = new LocalReader();
  private members: Promise<Member[]> | null = null;
  private failed = false;
  private next = 0;
  /** Number of unfinished requests. */
  private expected = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;

  /** @param onWarning called once if workers cannot be started or fail; images are then read in this thread */
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
      // The workers may have failed while this call was waiting for them.
      return await (this.failed ? this.local.read(place, options) : this.ask(members, place, options));
    } finally {
      this.expected--;
      if (this.expected === 0 && this.members) this.dismissWhenIdle(this.members);
    }
  }

  /** Sends the request to the worker with the fewest unfinished requests. */
  private ask(members: readonly Member[], place: Place, options: ReadImageOptions): Promise<Image> {
    const { worker, jobs } = members.reduce((least, each) => (each.jobs.size < least.jobs.size ? each : least));
    return new Promise((resolve, reject) => {
      const id = this.next++;
      jobs.set(id, { place, options, resolve, reject });
      // A worker keeps the process alive only while it has unfinished requests.
      if (jobs.size === 1) worker.ref();
      worker.postMessage({ id, place, options } satisfies WorkerRequest);
    });
  }

  private async start(): Promise<Member[]> {
    try {
      const { Worker } = await neededNodeModule('node:worker_threads');
      const workerData: WorkerStart = { program: nodeProcess?.argv[1] };
      // In the repository (not the published package) the worker is a TypeScript file, which needs tsx.
      const source = import.meta.url.endsWith('.ts');
      // The name is computed, so that bundlers do not look for both files.
      const url = new URL(`./image_worker.${source ? 'ts' : 'js'}`, String(import.meta.url));
      const program = source ? `import('tsx/esm/api').then((tsx) => { tsx.register(); return import('${url}'); })` : url;
      // Do not pass on the Node flags of the main thread, such as TypeScript loaders.
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
      // Read the images of its unfinished requests in this thread.
      for (const { place, options, resolve, reject } of member.jobs.values()) this.local.read(place, options).then(resolve, reject);
      member.jobs.clear();
    };
    worker.on('error', (error) => lost(reasonOf(error)));
    worker.on('exit', (code) => lost(`a worker ended with status ${code}`));
    return member;
  }

  /** Switches to reading in this thread, and warns once. */
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
