/** Measures the time of a new process from import to its first result; prints one JSON line. Times are in milliseconds. */
import { init, noGrad, randn, zfnet } from '../../dist/index.js';

const started = performance.now();
await init();
const initMs = performance.now() - started;

// A network of a few thousand weights, as in a first experiment.
const model = zfnet('small', { classes: 10, width: 0.05, channels: 1 }).eval();
const x = randn([1, 1, 28, 28]);
const before = performance.now();
const y = noGrad(() => model.forward(x));
await y.data();
console.log(JSON.stringify({ initMs, firstForwardMs: performance.now() - before }));
process.exit();
