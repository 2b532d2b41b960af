/**
 * Gradient ascent: pictures made to please one map (Erhan et al. 2009; Yosinski et al. 2015). It starts from faint noise and climbs the
 * mean activation of the map; decay, blur and jitter keep the pictures from filling with the fine noise that networks like too.
 */
import { abortSignal, arrayOf, checkFields, finite, func, integer, positive, type RulesFor, text } from '../backend/validate.js';
import { yieldToEvents } from '../data/turn.js';
import type { LayeredModel } from '../nn/index.js';
import { checkModel } from '../nn/rules.js';
import { backward, Generator, noGrad, randn, scope, type Tensor, tensor, uniform, zeros } from '../tensor/index.js';
import { evaluating } from './deconvnet.js';
import { checkLayer, checkMap } from './rules.js';

export interface AscentOptions {
  /** Layer name. It is climbed before its ReLU, whose zeros have no slope. */
  layer: string;
  /** Default all. */
  maps?: readonly number[];
  /** [C, H, W] of the network's input. */
  input: readonly [number, number, number];
  /** What pixels are kept within: −limit to limit. Default 1. */
  limit?: number;
  /** Default 160. */
  steps?: number;
  /** How far a step moves an average pixel, as a part of `limit`: the gradient is divided by its L2 norm. Default 0.06. */
  rate?: number;
  /** The part of every pixel that is lost in a step. Default 0.02. */
  decay?: number;
  /** Standard deviation in pixels of the Gaussian that the picture is blurred with at every fourth step; 0 for none. Default 0.7. */
  blur?: number;
  /** Pixels that the picture is shifted by at most, around the edges, before each step. Default 3. */
  jitter?: number;
  /** Of the noise and the shifts, which are the same for all maps. Default 0. */
  seed?: number;
  /** Maps at once. Default 16. */
  batchSize?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface AscendedMap {
  map: number;
  /** The strongest activation of the map, behind its ReLU, in its picture; 0 for a map that never responds. */
  value: number;
  /** [C, H, W], in the network's units. */
  picture: Float32Array;
}

const DEFAULTS = { limit: 1, steps: 160, rate: 0.06, decay: 0.02, blur: 0.7, jitter: 3, seed: 0, batchSize: 16 };
const BLUR_EVERY = 4;
/** Of the noise at the start, as a part of `limit`. */
const START = 0.1;

const OPTIONS: RulesFor<AscentOptions> = {
  layer: text,
  maps: arrayOf(integer()),
  input: arrayOf(integer(1, 2 ** 14), 3, 3),
  limit: positive,
  steps: integer(),
  rate: positive,
  decay: finite(0, 1),
  blur: finite(0, 1000),
  jitter: integer(),
  seed: integer(),
  batchSize: integer(1),
  onProgress: func,
  signal: abortSignal,
};

/**
 * A picture for each map that makes it answer as strongly as it can. Maps climb side by side in batches, each in an image of its own,
 * and what a map gets does not depend on the others.
 *
 * @throws ValueError for a layer or a map that is not there
 */
export async function ascend(model: LayeredModel, options: AscentOptions): Promise<AscendedMap[]> {
  checkModel('ascend', model);
  checkFields('ascend', options, OPTIONS, ['layer', 'input']);
  checkLayer('ascend', model, options.layer);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as unknown as AscentOptions;
  const { layer, input, batchSize, onProgress, ...settings } = { ...DEFAULTS, ...given };
  const count = evaluating(model, () => noGrad(() => model.activations(zeros([1, ...input]), [layer])[layer].shape[1]));
  const maps = options.maps ?? Array.from({ length: count }, (_, map) => map);
  for (const map of maps) checkMap('ascend', map, layer, count);
  const course = await plan(input, settings);
  const found: AscendedMap[] = [];
  for (let start = 0; start < maps.length; start += batchSize) {
    const part = maps.slice(start, start + batchSize);
    const climb = new Climb(model, layer, input, part, settings.limit);
    climb.begin(course.noise);
    for (const [step, shift] of course.shifts.entries()) {
      await yieldToEvents();
      settings.signal?.throwIfAborted();
      await climb.step(shift, settings);
      if (settings.blur > 0 && step % BLUR_EVERY === BLUR_EVERY - 1) climb.blur(settings.blur);
      onProgress?.(start * settings.steps + (step + 1) * part.length, maps.length * settings.steps);
    }
    found.push(...(await climb.results()));
  }
  return found;
}

/** The noise to start from, and how far each step shifts: drawn once, for all maps. */
async function plan(
  input: readonly number[],
  { seed, steps, jitter, limit }: { seed: number; steps: number; jitter: number; limit: number },
) {
  const generator = new Generator(seed);
  const [noise, draws] = noGrad(() => [randn(input, { generator, std: START * limit }), uniform([2 * Math.max(1, steps)], { generator })]);
  const numbers = await draws.data();
  const shifts = Array.from({ length: steps }, (_, step): [number, number] => {
    const along = (i: number) => Math.floor(numbers[2 * step + i] * (2 * jitter + 1)) - jitter;
    return [along(0), along(1)];
  });
  const pixels = Float32Array.from(await noise.data());
  noise.dispose();
  draws.dispose();
  return { noise: pixels, shifts };
}

/** Some maps on their way up. */
class Climb {
  /** [maps, C, H, W] */
  private readonly pixels: Float32Array;
  private readonly size: number;

  constructor(
    private readonly model: LayeredModel,
    private readonly layer: string,
    private readonly input: readonly [number, number, number],
    private readonly maps: readonly number[],
    private readonly limit: number,
  ) {
    this.size = input[0] * input[1] * input[2];
    this.pixels = new Float32Array(maps.length * this.size);
  }

  begin(noise: Float32Array): void {
    this.maps.forEach((_, n) => {
      this.pixels.set(noise, n * this.size);
    });
  }

  async step([down, right]: readonly [number, number], { rate, decay }: { rate: number; decay: number }): Promise<void> {
    const { pixels, size, limit } = this;
    const gradient = rolled(await this.slope(rolled(pixels, this.input, down, right)), this.input, -down, -right);
    for (let start = 0; start < pixels.length; start += size) {
      let squares = 0;
      for (let i = start; i < start + size; i++) squares += gradient[i] ** 2;
      // A map that nothing moves stays where it is.
      const step = squares > 0 ? (rate * limit * Math.sqrt(size)) / Math.sqrt(squares) : 0;
      for (let i = start; i < start + size; i++) {
        const value = (1 - decay) * pixels[i] + step * gradient[i];
        pixels[i] = Math.min(Math.max(value, -limit), limit);
      }
    }
  }

  blur(sigma: number): void {
    blurPlanes(this.pixels, this.input, sigma);
  }

  async results(): Promise<AscendedMap[]> {
    const { model, maps, pixels, size } = this;
    const feature = model.featureLayer(this.layer);
    const strongest = evaluating(model, () =>
      noGrad(() => {
        const output = model.activations(this.tensor(pixels), [feature])[feature];
        return output.reshape([maps.length, output.shape[1], -1]).max({ axes: 2 });
      }),
    );
    const values = await strongest.data();
    const [, all] = strongest.shape;
    strongest.dispose();
    return maps.map((map, n) => ({ map, value: Math.max(0, values[n * all + map]), picture: pixels.slice(n * size, (n + 1) * size) }));
  }

  /** The gradient of each image's own map, its activations averaged. */
  private async slope(pixels: Float32Array): Promise<Float32Array> {
    const gradient = evaluating(this.model, () =>
      scope(() => {
        const x = this.tensor(pixels);
        x.requiresGrad = true;
        const output = this.model.activations(x, [this.layer])[this.layer];
        return backward(output, { seed: this.seed(output), wrt: [x] })[0];
      }),
    );
    const slope = Float32Array.from(await gradient.data());
    gradient.dispose();
    return slope;
  }

  private seed({ shape, size, backend, dtype }: Tensor): Tensor {
    const plane = size / (shape[0] * shape[1]);
    const ones = new Float32Array(size);
    this.maps.forEach((map, n) => {
      const start = (n * shape[1] + map) * plane;
      ones.fill(1 / plane, start, start + plane);
    });
    return tensor(ones, shape, { backend, dtype });
  }

  private tensor(pixels: Float32Array): Tensor {
    return tensor(pixels, [this.maps.length, ...this.input]);
  }
}

/** Planes [.., H, W] shifted down and to the right; what leaves at one edge comes in at the other. */
function rolled(pixels: Float32Array, [, height, width]: readonly [number, number, number], down: number, right: number): Float32Array {
  if (down === 0 && right === 0) return pixels;
  const out = new Float32Array(pixels.length);
  const x = ((right % width) + width) % width;
  for (let start = 0; start < pixels.length; start += height * width) {
    for (let row = 0; row < height; row++) {
      const from = start + row * width;
      const to = start + ((((row + down) % height) + height) % height) * width;
      out.set(pixels.subarray(from, from + width - x), to + x);
      out.set(pixels.subarray(from + width - x, from + width), to);
    }
  }
  return out;
}

/** Blurs planes [.., H, W] in place by a Gaussian, rows and then columns; beyond the edge lies the edge. */
function blurPlanes(pixels: Float32Array, [, height, width]: readonly [number, number, number], sigma: number): void {
  const reach = Math.ceil(3 * sigma);
  const bell = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const sum = bell.reduce((a, b) => a + b);
  const line = new Float64Array(Math.max(height, width));
  const blurLine = (start: number, step: number, length: number) => {
    for (let i = 0; i < length; i++) {
      let value = 0;
      for (let j = -reach; j <= reach; j++) value += bell[j + reach] * pixels[start + Math.min(Math.max(i + j, 0), length - 1) * step];
      line[i] = value / sum;
    }
    for (let i = 0; i < length; i++) pixels[start + i * step] = line[i];
  };
  for (let start = 0; start < pixels.length; start += height * width) {
    for (let y = 0; y < height; y++) blurLine(start + y * width, 1, width);
    for (let x = 0; x < width; x++) blurLine(start + x, width, height);
  }
}
