// Trains a small network in a worker of a page, and posts a line per epoch.
import { backendInfo, Conv2d, Flatten, init, Linear, MaxPool2d, ReLU, Sequential, SGD, tensor } from '../../dist/index.js';
import { fit } from '../../dist/train.js';

const SIDE = 16;
const COUNT = 64;

await init();
const { backend, threads } = backendInfo();
postMessage(`backend ${backend}, ${threads} threads`);

const pixels = Float32Array.from({ length: COUNT * SIDE * SIDE }, (_, i) => {
  const [n, y, x] = [Math.floor(i / (SIDE * SIDE)), Math.floor(i / SIDE) % SIDE, i % SIDE];
  return (Math.floor(((n % 2 === 0 ? x : y) + n) / 2) % 2) + 0.3 * Math.sin(12.9898 * n + 78.233 * y + 37.719 * x);
});
const data = [{ images: tensor(pixels, [COUNT, 1, SIDE, SIDE]), labels: tensor(Int32Array.from({ length: COUNT }, (_, n) => n % 2)) }];
const network = new Sequential([new Conv2d(1, 8, 5), new ReLU(), new MaxPool2d(2), new Flatten(), new Linear(8 * 6 * 6, 2)]);
const onEpoch = ({ epoch, loss }) => postMessage(`epoch ${epoch}: loss ${loss.toFixed(4)}`);
await fit(network, data, { optimizer: new SGD(network.parameters(), { lr: 0.05, momentum: 0.9 }), epochs: 20, callbacks: { onEpoch } });
postMessage('done');
