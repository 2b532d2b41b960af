/** Projections of many maps of one image in receptive windows, against `projectBatch`, which projects through whole maps. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { type ActivationPlace, type DeconvMode, patchFinder, projectBatch, projectMaps } from '../../src/deconv/index.js';
import { LocalWalk } from '../../src/deconv/projection/local_walk.js';
import { memory } from '../../src/index.js';
import { Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import { RULES, setDefaultBackend, type Tensor, tensor } from '../../src/tensor/index.js';
import { collectGarbage } from '../support/gc.js';
import { fillWithNoise, noise } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const MODES: readonly DeconvMode[] = ['deconvnet', 'gradient', 'guided'];

/**
 * Padding, strides, overlapping pooling windows that extend beyond the edge, normalisation, dilation, groups; H ≠ W; a linear layer on
 * top.
 */
function network(height: number, width: number) {
  const layers = {
    conv1: new Conv2d(3, 6, [3, 5], { stride: 2, padding: [1, 2] }),
    relu1: new ReLU(),
    norm1: new LocalResponseNorm({ size: 3, alpha: 0.5, beta: 0.75, k: 1 }),
    pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
    drop1: new Dropout(0.5),
    conv2: new Conv2d(6, 4, 3, { padding: 1, groups: 2 }),
    relu2: new ReLU(),
    conv3: new Conv2d(4, 5, 2, { dilation: 2 }),
    relu3: new ReLU(),
  };
  const [, maps, h, w] = new Sequential(layers).outputShape([1, 3, height, width])!;
  const model = new Sequential({ ...layers, flatten: new Flatten(), fc: new Linear(maps * h * w, 4) });
  return fillWithNoise(model, 5).to({ dtype: 'float64' });
}

const imageOf = (height: number, width: number, seed = 7) =>
  tensor(noise(3 * height * width, seed), [1, 3, height, width], { dtype: 'float64' });

/** The same by whole maps, the image repeated. */
async function byWholeMaps(model: Sequential, image: Tensor, layer: string, places: readonly ActivationPlace[], mode: DeconvMode) {
  const pixels = await image.data();
  const repeated = Float64Array.from({ length: places.length * pixels.length }, (_, i) => pixels[i % pixels.length]);
  const { pictures, activations } = await projectBatch(model, tensor(repeated, [places.length, ...image.shape.slice(1)]), layer, places, {
    mode,
  });
  const all = await pictures.data();
  return activations.map((activation, k) => ({ ...activation, projection: all.slice(k * pixels.length, (k + 1) * pixels.length) }));
}

describe('projectMaps', () => {
  // In the large images windows stay windows down to the pixels; in the small one they outgrow the maps on the way.
  for (const [height, width] of [
    [47, 60],
    [64, 41],
    [17, 19],
  ] as const) {
    for (const mode of MODES) {
      it(`equals the walk through whole maps: ${height}×${width}, ${mode}`, async () => {
        const model = await network(height, width);
        const image = imageOf(height, width);
        let loudest = 0;
        for (const [layer, maps] of [
          ['conv1', 6],
          ['pool1', 6],
          ['conv2', 4],
          ['conv3', 5],
        ] as const) {
          const [, , h, w] = model.activations(image, [layer])[layer].shape;
          const corners: ActivationPlace[] = [
            { map: 1, position: [0, 0] },
            { map: 2, position: [h - 1, w - 1] },
            { map: 0, position: [0, w - 1] },
          ];
          const places = [...Array.from({ length: maps }, (_, map) => ({ map })), ...corners];
          const expected = await byWholeMaps(model, image, layer, places, mode);
          const got = await projectMaps(model, image, layer, places, { mode, chunk: 4 });
          for (const [k, { projection, ...activation }] of got.entries()) {
            expect(activation).toEqual({ map: expected[k].map, value: expected[k].value, position: expected[k].position });
            const scale = Math.max(...expected[k].projection.map(Math.abs));
            const worst = Math.max(...projection.map((value, i) => Math.abs(value - expected[k].projection[i])));
            // Pictures are float32.
            expect(worst).toBeLessThanOrEqual(6e-8 * scale);
            loudest = Math.max(loudest, scale);
          }
        }
        expect(loudest).toBeGreaterThan(1e-2);
      });
    }
  }

  it('projects in receptive windows where possible, otherwise in whole maps', async () => {
    const model = await network(47, 60);
    const image = imageOf(47, 60);
    const walk = (layer: string, rules = RULES.deconvnet) => LocalWalk.record(model, layer, image, rules);
    expect(await walk('relu3')).toBeInstanceOf(LocalWalk);
    expect(await walk('fc')).toBeNull();
    expect(await walk('relu3', { ...RULES.deconvnet, overlap: 'last' })).toBeNull();
    for (const overlap of ['sum', 'last'] as const) {
      const [{ projection }] = await projectMaps(model, image, 'fc', [{ map: 2 }], { overlap });
      const { pictures } = await projectBatch(model, image, 'fc', [{ map: 2 }], { overlap });
      expect([...projection]).toEqual([...Float32Array.from(await pictures.data())]);
    }
  });

  it('is exactly zero outside the receptive field', async () => {
    const model = await network(64, 41);
    const image = imageOf(64, 41);
    const patch = patchFinder(model, 'conv2', image.shape);
    for (const { position, projection } of await projectMaps(model, image, 'conv2', [{ map: 0 }, { map: 3, position: [2, 1] }])) {
      const [y0, x0, y1, x1] = patch(position);
      let inside = 0;
      projection.forEach((value, i) => {
        const [y, x] = [Math.floor(i / 41) % 64, i % 41];
        if (y >= y0 && y < y1 && x >= x0 && x < x1) inside += Math.abs(value);
        else expect(value).toBe(0);
      });
      expect(inside).toBeGreaterThan(0);
    }
  });

  it('frees its memory, and needs no more for more maps', async () => {
    const model = await network(47, 60);
    const image = imageOf(47, 60);
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const peak = async (times: number) => {
      const backend = image.backend;
      backend.resetPeak();
      await projectMaps(
        model,
        image,
        'conv3',
        Array.from({ length: 5 * times }, (_, i) => ({ map: i % 5 })),
        { chunk: 5 },
      );
      return backend.memory().peakBytes;
    };
    expect(await peak(4)).toBe(await peak(1));
    expect(memory().bytes).toBe(before);
  });

  it('names a map, position or shape that does not exist', async () => {
    const model = await network(17, 19);
    const image = imageOf(17, 19);
    await expect(projectMaps(model, image, 'conv3', [{ map: 5 }])).rejects.toThrow(/map is 5, layer conv3 has maps 0 to 4/);
    await expect(projectMaps(model, image, 'conv9', [{ map: 0 }])).rejects.toThrow(/no layer 'conv9'/);
    await expect(projectMaps(model, image, 'conv3', [{ map: 0, position: [9, 0] }])).rejects.toThrow(/position is \[9, 0\]/);
    await expect(projectMaps(model, tensor([1, 2]), 'conv3', [{ map: 0 }])).rejects.toThrow(/expected \[C, H, W\]/);
    await expect(projectMaps(model, image, 'conv3', [{ map: 0 }], { chunk: 0 })).rejects.toThrow(/chunk is 0/);
  });
});
