// The whole engine in a worker of a page, as pages should have it that must not stand still: it may sleep where the main thread may not.
import * as zfnet from '../../dist/index.js';
import { train } from './train.mjs';

addEventListener('message', async ({ data }) => postMessage(await train(zfnet, data)));
