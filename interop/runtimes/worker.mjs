// Runs the whole engine in a worker of a page, which keeps the page responsive: a worker may wait for threads, the main thread may not.
import * as zfnet from '../../dist/index.js';
import { train } from './train.mjs';

// A rejected promise would not reach the page otherwise.
addEventListener('message', ({ data }) => void train(zfnet, data).then(postMessage, reportError));
