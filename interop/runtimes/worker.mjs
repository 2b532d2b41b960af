// The whole engine in a worker of a page, as pages should have it that must not stand still: it may sleep where the main thread may not.
import * as zfnet from '../../dist/index.js';
import { train } from './train.mjs';

// What goes wrong in a promise would not reach the page by itself.
addEventListener('message', ({ data }) => void train(zfnet, data).then(postMessage, reportError));
