/** The geometry of the pooling that unpooling gets, on a backend that gathers as a GPU would. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { ShapeError } from '../../src/backend/errors.js';
import type { UnpoolParams } from '../../src/backend/params.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { ascend, projectMaps } from '../../src/deconv/index.js';
import { Conv2d, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import { backward, maxPool2dWithSwitches, maxUnpool2d, setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { fillWithNoise, noise } from './support.js';

/** Unpools by gathering: each output element looks for its own position only in the windows that contain it. */
function gathered(y: ArrayLike<number>, switches: ArrayLike<number>, { overlap, window }: UnpoolParams): Float64Array {
  const { planes, h, w, oh, ow, kh, kw, strideH, strideW, padTop, padLeft, dilationH, dilationW } = window!;
  const out = new Float64Array(planes * h * w);
  const reaches = (at: number, o: number, stride: number, pad: number, dilation: number, k: number) => {
    const tap = at + pad - o * stride;
    return tap >= 0 && tap % dilation === 0 && tap / dilation < k;
  };
  for (let i = 0; i < out.length; i++) {
    const [plane, place] = [Math.floor(i / (h * w)), i % (h * w)];
    for (let o = 0; o < oh * ow; o++) {
      if (!reaches(Math.floor(place / w), Math.floor(o / ow), strideH, padTop, dilationH, kh)) continue;
      if (!reaches(place % w, o % ow, strideW, padLeft, dilationW, kw)) continue;
      const from = plane * oh * ow + o;
      if (switches[from] === place) out[i] = overlap === 'sum' ? out[i] + y[from] : y[from];
    }
  }
  return out;
}

/** A reference backend that gathers wherever it knows the window, and the number of calls with and without one. */
function gathering(): { backend: Backend; calls: { known: number; unknown: number } } {
  const backend = createReferenceBackend();
  const calls = { known: 0, unknown: 0 };
  const scatter = backend.maxUnpool2d;
  backend.maxUnpool2d = (x, y, switches, p) => {
    calls[p.window === null ? 'unknown' : 'known']++;
    if (p.window === null) scatter(x, y, switches, p);
    else backend.write(x, gathered(backend.readSync(y), backend.readSync(switches), p));
  };
  return { backend, calls };
}

const POOLINGS = [
  { kernelSize: 3, stride: 2, ceilMode: true },
  { kernelSize: [2, 3], stride: [1, 2], padding: 1, dilation: [2, 1] },
] as const;

describe('maxUnpool2d', () => {
  const run = async (backend: Backend, pooling: (typeof POOLINGS)[number], overlap: 'sum' | 'last', known: boolean) => {
    const x = tensor(noise(2 * 7 * 8, 3), [1, 2, 7, 8], { backend, dtype: 'float64' });
    const { output, switches } = maxPool2dWithSwitches(x, pooling);
    const y = tensor(noise(output.size, 4), output.shape, { backend, dtype: 'float64', requiresGrad: true });
    const z = maxUnpool2d(y, switches, { outputSize: [7, 8], overlap, ...(known ? { pooling } : {}) });
    const values = await z.data();
    const [dy] = backward(z, { gradient: x, wrt: [y] });
    return [values, await dy.data()];
  };

  it.each(POOLINGS)('gives the backend the geometry %j, and the same bits', async (pooling) => {
    for (const overlap of ['sum', 'last'] as const) {
      const { backend, calls } = gathering();
      expect(await run(backend, pooling, overlap, true)).toEqual(await run(createReferenceBackend(), pooling, overlap, false));
      expect(calls).toEqual({ known: overlap === 'last' ? 2 : 1, unknown: 0 });
    }
  });

  it('refuses a pooling that gives another shape, and unknown options', () => {
    const backend = createReferenceBackend();
    const y = tensor([1, 2], [1, 1, 1, 2], { backend });
    const switches = tensor(Int32Array.of(0, 3), [1, 1, 1, 2], { backend });
    const call = (pooling: object) => maxUnpool2d(y, switches, { outputSize: [2, 4], pooling: pooling as never });
    expect(() => call({ kernelSize: 1 })).toThrow(ShapeError);
    expect(() => call({ kernelSize: 1 })).toThrow('maxUnpool2d: pooling [2,4] gives [2,4], but the values have [1,2]');
    expect(() => call({ kernelSize: 2, strides: 2 })).toThrow(/^maxUnpool2d: unknown option 'strides'/);
  });
});

describe('projections', () => {
  beforeAll(() => setDefaultBackend(createReferenceBackend()));

  const network = () =>
    fillWithNoise(
      new Sequential({
        conv1: new Conv2d(3, 4, 3, { padding: 1 }),
        relu1: new ReLU(),
        pool1: new MaxPool2d(3, { stride: 2, ceilMode: true, padding: 1 }),
        conv2: new Conv2d(4, 5, 3, { padding: 1 }),
        relu2: new ReLU(),
        pool2: new MaxPool2d(2),
      }),
      5,
    );

  it('of single activations know every window, in receptive windows and in whole maps, and have the same bits', async () => {
    for (const size of [13, 33]) {
      const project = async (backend: Backend) => {
        const image = tensor(noise(3 * size * size, 9), [1, 3, size, size], { backend, dtype: 'float32' });
        const places = [0, 1, 2, 3, 4].map((map) => ({ map }));
        return projectMaps(await network().to({ backend }), image, 'pool2', places);
      };
      const { backend, calls } = gathering();
      expect(await project(backend)).toEqual(await project(createReferenceBackend()));
      expect(calls.known).toBeGreaterThan(0);
      expect(calls.unknown).toBe(0);
    }
  });

  it('by gradient ascent run on the backend of the model, not on the default backend', async () => {
    const [own, other] = [createReferenceBackend(), createReferenceBackend()];
    const model = await network().to({ backend: own });
    const climb = () => ascend(model, { layer: 'conv2', maps: [1], input: [3, 9, 9], steps: 2 });
    setDefaultBackend(other);
    const [found] = await climb();
    expect(other.memory().peakBytes).toBe(0);
    setDefaultBackend(own);
    expect(found).toEqual((await climb())[0]);
  });
});
