/**
 * Convolutions of shapes from real networks: forward, inference with cached weights, and both gradients. Floating-point operations are
 * counted as those of a direct convolution, whatever algorithm the plan chooses.
 */
import { type ConvParams, convParams } from '../src/backend/params.js';
import { type BenchCase, checkSome, noise, stored } from './harness.js';

interface Layer {
  name: string;
  batch: number;
  channels: number;
  size: number;
  outputs: number;
  kernel: number;
  stride: number;
  padding: number;
}

const layer = (name: string, batch: number, channels: number, size: number, outputs: number, kernel: number, stride = 1, padding = 0) =>
  ({ name, batch, channels, size, outputs, kernel, stride, padding }) satisfies Layer;

const LAYERS: Layer[] = [
  layer('zfnet conv1', 16, 3, 224, 96, 7, 2, 1),
  layer('zfnet conv2', 16, 96, 55, 256, 5, 2),
  layer('zfnet conv3', 16, 256, 13, 384, 3, 1, 1),
  layer('zfnet conv4', 16, 384, 13, 384, 3, 1, 1),
  layer('zfnet conv5', 16, 384, 13, 256, 3, 1, 1),
  // A quarter of the width at 64 × 64 pixels: feature maps of a few pixels, which fill tiles only across the batch.
  layer('quarter conv1', 64, 3, 64, 24, 7, 2, 1),
  layer('quarter conv2', 64, 24, 15, 64, 5, 2),
  layer('quarter conv3', 64, 64, 3, 96, 3, 1, 1),
  layer('quarter conv4', 64, 96, 3, 96, 3, 1, 1),
  layer('vgg conv1.2', 1, 64, 224, 64, 3, 1, 1),
  layer('vgg conv4.2', 4, 512, 28, 512, 3, 1, 1),
  layer('lenet conv1', 64, 1, 28, 6, 5),
  layer('lenet conv2', 64, 6, 12, 16, 5),
];

/** Every pair of an input pixel and a tap that contributes to output pixel (oh, ow), as indices within one channel's planes. */
function window(p: ConvParams, oh: number, ow: number, use: (pixel: number, tap: number) => void): void {
  for (let i = 0; i < p.kh; i++) {
    const y = oh * p.strideH + i - p.padTop;
    if (y < 0 || y >= p.h) continue;
    for (let j = 0; j < p.kw; j++) {
      const x = ow * p.strideW + j - p.padLeft;
      if (x >= 0 && x < p.w) use(y * p.w + x, i * p.kw + j);
    }
  }
}

function cases({ name, batch, channels, size, outputs, kernel, stride, padding }: Layer): BenchCase[] {
  const p = convParams('bench', [batch, channels, size, size], [outputs, channels, kernel, kernel], { stride, padding });
  const [plane, pixels, taps] = [p.oh * p.ow, p.h * p.w, p.kh * p.kw];
  const sizes = { x: batch * channels * pixels, w: outputs * channels * taps, y: batch * outputs * plane };
  const flop = 2 * batch * outputs * plane * channels * taps;
  const forward = (inference: boolean): BenchCase => ({
    name: `${name} ${inference ? 'inference' : 'forward'}`,
    flop,
    plan: (backend) => backend.conv2dPlan?.('forward', p, inference),
    prepare(backend) {
      const [input, weight, bias] = [noise(sizes.x, 1), noise(sizes.w, 2), noise(outputs, 3)];
      const [x, w, b] = [stored(backend, input), stored(backend, weight), stored(backend, bias)];
      const y = backend.allocate('float32', sizes.y);
      const expected = (index: number) => {
        const [n, o, at] = [Math.floor(index / plane / outputs), Math.floor(index / plane) % outputs, index % plane];
        let sum = bias[o];
        for (let c = 0; c < channels; c++) {
          window(p, Math.floor(at / p.ow), at % p.ow, (pixel, tap) => {
            sum += input[(n * channels + c) * pixels + pixel] * weight[(o * channels + c) * taps + tap];
          });
        }
        return Math.max(sum, 0);
      };
      return {
        run: () => backend.conv2d(y, x, w, b, { ...p, relu: true, inference }),
        check: () => checkSome(backend, y, expected, channels * taps),
        release: () => [x, w, b, y].forEach((storage) => void backend.release(storage)),
      };
    },
  });
  return [
    forward(false),
    forward(true),
    {
      name: `${name} input gradient`,
      flop,
      plan: (backend) => backend.conv2dPlan?.('inputGrad', p),
      prepare(backend) {
        const [weight, signal] = [noise(sizes.w, 1), noise(sizes.y, 2)];
        const [w, dy, dx] = [stored(backend, weight), stored(backend, signal), backend.allocate('float32', sizes.x)];
        const expected = (index: number) => {
          const [n, c, at] = [Math.floor(index / pixels / channels), Math.floor(index / pixels) % channels, index % pixels];
          let sum = 0;
          for (let place = 0; place < plane; place++) {
            window(p, Math.floor(place / p.ow), place % p.ow, (pixel, tap) => {
              if (pixel !== at) return;
              for (let o = 0; o < outputs; o++) sum += signal[(n * outputs + o) * plane + place] * weight[(o * channels + c) * taps + tap];
            });
          }
          return sum;
        };
        return {
          run: () => backend.conv2dInputGrad(dx, dy, w, p),
          check: () => checkSome(backend, dx, expected, outputs * taps),
          release: () => [w, dy, dx].forEach((storage) => void backend.release(storage)),
        };
      },
    },
    {
      name: `${name} weight gradient`,
      flop,
      plan: (backend) => backend.conv2dPlan?.('weightGrad', p),
      prepare(backend) {
        const [input, signal] = [noise(sizes.x, 1), noise(sizes.y, 2)];
        const [x, dy, dw] = [stored(backend, input), stored(backend, signal), backend.allocate('float32', sizes.w)];
        const expected = (index: number) => {
          const [o, c, at] = [Math.floor(index / taps / channels), Math.floor(index / taps) % channels, index % taps];
          let sum = 0;
          for (let n = 0; n < batch; n++) {
            for (let place = 0; place < plane; place++) {
              window(p, Math.floor(place / p.ow), place % p.ow, (pixel, tap) => {
                if (tap === at) sum += input[(n * channels + c) * pixels + pixel] * signal[(n * outputs + o) * plane + place];
              });
            }
          }
          return sum;
        };
        return {
          run: () => backend.conv2dWeightGrad(dw, x, dy, p),
          check: () => checkSome(backend, dw, expected, batch * plane),
          release: () => [x, dy, dw].forEach((storage) => void backend.release(storage)),
        };
      },
    },
  ];
}

export const convCases: BenchCase[] = LAYERS.flatMap(cases);
