// Fits a curve in Bun, which runs TypeScript as it is: `bun examples/bun/train.ts`.
import { Adam, init, Linear, manualSeed, mseLoss, Sequential, Tanh, type Tensor, tensor } from 'zfnet';

await init();
manualSeed(1);
const x: Tensor = tensor(
  Float32Array.from({ length: 64 }, (_, i) => i / 32 - 1),
  [64, 1],
);
const y: Tensor = tensor(
  Float32Array.from({ length: 64 }, (_, i) => Math.sin(3 * (i / 32 - 1))),
  [64, 1],
);
const model = new Sequential([new Linear(1, 32), new Tanh(), new Linear(32, 1)]);
const adam = new Adam(model.parameters(), { lr: 0.01 });
let error = Number.POSITIVE_INFINITY;
for (let step = 0; step < 400; step++) {
  const loss = mseLoss(model.forward(x), y);
  loss.backward();
  adam.step();
  adam.zeroGrad();
  error = await loss.item();
}
console.log(`mean squared error of sin(3x) after 400 steps: ${error.toFixed(5)}`);
if (error > 0.01) throw new Error('expected at most 0.01');
