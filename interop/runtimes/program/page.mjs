// A page: runs the program on its main thread or, with `?worker`, in a worker, and posts the result to the server that it came from.
import { run } from './program.mjs';

const query = new URLSearchParams(location.search);
const options = JSON.parse(query.get('options'));

const inWorker = () =>
  new Promise((resolve, reject) => {
    const worker = new Worker('/worker.mjs', { type: 'module' });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(options);
  });

const result = await (query.has('worker') ? inWorker() : run(options)).catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch('/result', { method: 'POST', body: JSON.stringify({ agent: navigator.userAgent, ...result }) });
