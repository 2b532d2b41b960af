import { init, backendInfo, zfnet, memory } from './src/index.js';
import { train } from './src/zfnet/index.js';
import { openScenes } from './src/data/scenes/index.js';
import { writeFileSync } from 'node:fs';
const arg = (n: string, d: string) => { const i = process.argv.indexOf('--' + n); return i < 0 ? d : process.argv[i + 1]; };
const backend = arg('backend', 'wasm') as any;
await init({ backend, mode: arg('mode','strict') as any });
console.log(backendInfo());
const inputSize = +arg('size', '64'), width = +arg('width', '0.25'), preset = arg('preset', 'a') as any;
const side = Math.round(inputSize * 256 / 224);
console.time('open');
const dataset = await openScenes({ imageSize: side, sizes: { train: +arg('train', '12000'), val: +arg('val', '1920'), 'unseen-style': +arg('val','1920') } });
console.timeEnd('open');
const model = zfnet(preset, { classes: 24, inputSize, width, seed: +arg('seed','0'), dropout: +arg('dropout', '0.5') });
const mul = (name: string, f: number) => { const t = model.stateDict()[name]; t.set(t.dataSync().map((v: number) => v * f) as Float32Array); };
if (arg('w1','1') !== '1') mul('conv1.weight', +arg('w1','1'));
if (arg('w8','1') !== '1') mul('fc8.weight', +arg('w8','1'));
if (arg('wm','1') !== '1') for (const n of ['conv2','conv3','conv4','conv5','fc6','fc7']) mul(n+'.weight', +arg('wm','1'));
const t0 = performance.now();
const limit = +arg('seconds', '1e9');
const ac = new AbortController();
const r = await train({ model, dataset, signal: ac.signal, options: { epochs: +arg('epochs', '3'), batchSize: +arg('batch', '128'), lr: +arg('lr', '0.01'), augment: arg('augment', 'random') as any, schedule: { kind: arg('schedule','cosine') } as any, weightDecay: +arg('wd','0'), maxFilterRms: arg('rms','0.1') === 'null' ? null : +arg('rms','0.1'), seed: +arg('seed','0') },
  scale: +arg('scale', String(1/64)), checkpointMinutes: 100,
  onStep: (s) => { if (process.argv.includes('--v')) if (s.step % 10 === 0) console.log(s.step, s.loss.toFixed(3)); if ((performance.now()-t0)/1000 > limit) ac.abort(); },
  onEpoch: (m) => { const w = model.stateDict()['conv1.weight'].dataSync(); let num = 0, den = 0, rms = 0; const k = 7; for (let p = 0; p < w.length; p += k*k) { for (let y = 0; y < k; y++) for (let x = 0; x < k; x++) { const v = w[p+y*k+x]; rms += v*v; if (x+1<k) { num += v*w[p+y*k+x+1]; den += (v*v + w[p+y*k+x+1]**2)/2; } if (y+1<k) { num += v*w[p+(y+1)*k+x]; den += (v*v+w[p+(y+1)*k+x]**2)/2; } } } console.log('smooth', (num/den).toFixed(3), 'rms', Math.sqrt(rms/w.length).toFixed(4)); console.log(((performance.now()-t0)/1000).toFixed(1)+'s', JSON.stringify(m)); }, onWarning: (m) => console.log('warn', m), onProgress: () => {} });
console.log('total', ((performance.now()-t0)/1000).toFixed(1), 'peak MB', memory().peakBytes/1e6);
const { evaluate } = await import('./src/zfnet/index.js');
for (const s of ['val','unseen-style']) { const e = await evaluate({model, preprocess: r.preprocess, classes: dataset.classes}, dataset.splits[s]); console.log(s, e.top1Error.toFixed(4), e.top5Error.toFixed(4), e.loss.toFixed(3)); }
process.exit(0);
