// Runs the whole engine in a worker of a page, which keeps the page responsive: a worker may wait for threads, the main thread may not.
import { run } from './program.mjs';

// A rejected promise would not reach the page otherwise.
addEventListener('message', ({ data }) => void run(data).then(postMessage, reportError));
