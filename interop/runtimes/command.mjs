// For runtimes with a command line: `command.mjs THREADS` prints the result of training.
import * as zfnet from '../../dist/index.js';
import { train } from './train.mjs';

console.log(JSON.stringify(await train(zfnet, { threads: Number(process.argv.at(-1)) || 1 })));
