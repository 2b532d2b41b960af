import { init, zfnet, crossEntropy, SGD, tensor } from './src/index.js';
await init({ threads: 1 });
const arg = process.argv.slice(2);
for (const spec of arg) {
  const [preset, size, width, bs] = spec.split(',');
  const model = zfnet(preset as any, { classes: 24, inputSize: +size, width: +width });
  const sgd = new SGD(model.parameters(), { lr: 0.001, momentum: 0.9, maxFilterRms: 0.1 });
  const n = +bs; const data = new Float32Array(n*3*(+size)**2).map(() => Math.random()-0.5); const labels = Int32Array.from({length:n},(_,i)=>i%24);
  const step = async () => { const x = tensor(data, [n,3,+size,+size]); const l = crossEntropy(model.forward(x), tensor(labels)); await l.item(); l.backward(); sgd.step(); sgd.zeroGrad(); x.dispose(); l.dispose(); };
  await step(); await step();
  const c0 = process.cpuUsage(); let images = 0; const t = performance.now();
  while (performance.now() - t < 8000) { await step(); images += n; }
  const c = process.cpuUsage(c0); const s = (c.user + c.system) / 1e6;
  console.log(spec, (images / s).toFixed(0), 'img per cpu second');
}
process.exit(0);
