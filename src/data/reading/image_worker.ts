/** The program of a worker thread: reads the requested images in order and transfers their pixels. See `worker_reader.ts`. */
import type { MessagePort, Transferable } from 'node:worker_threads';
import { nodeProcess } from '../../backend/node_module.js';
import { DataError, reasonOf } from '../errors.js';
import { LocalReader } from './reader.js';
import type { WorkerAnswer, WorkerRequest, WorkerStart } from './worker_reader.js';

async function serve(port: MessagePort, { program }: WorkerStart): Promise<void> {
  if (program !== undefined && nodeProcess) nodeProcess.argv[1] = program;
  const reader = new LocalReader();
  let before = Promise.resolve();
  port.on('message', (request: WorkerRequest) => {
    before = before.then(async () => {
      const answer = await answerTo(reader, request);
      port.postMessage(answer, 'image' in answer ? [answer.image.data.buffer as Transferable] : []);
    });
  });
}

async function answerTo(reader: LocalReader, { id, place, options }: WorkerRequest): Promise<WorkerAnswer> {
  try {
    const image = await reader.read(place, options);
    // Not every runtime can transfer a buffer that a native codec allocated. The copy takes microseconds.
    return { id, image: { ...image, data: image.data.slice() } };
  } catch (error) {
    return { id, error: reasonOf(error), file: error instanceof DataError ? error.file : place.file };
  }
}

void import('node:worker_threads').then(({ parentPort, workerData }) => parentPort && serve(parentPort, workerData));
