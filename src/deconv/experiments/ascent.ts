/**
 * Gradient ascent (activation maximisation): for each map, an input picture that maximises its activation (Erhan et al. 2009; Yosinski
 * et al. 2015). The ascent starts from noise and follows the gradient of the map's maximum over all positions. Decay, blur and jitter
 * suppress the high-frequency noise to which networks respond as well.
 */
import {
  abortSignal,
  arrayOf,
  checkFields,
  finite,
  func,
  integer,
  isPlainObject,
  positive,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import { backendOfLayers } from '../../nn/backend_of.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { checkModel } from '../../nn/rules.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import {
  type Backend,
  backward,
  defaultBackend,
  Generator,
  noGrad,
  randn,
  scope,
  type Tensor,
  tensor,
  uniform,
  zeros,
} from '../../tensor/index.js';
import { checkLayer, checkMap } from '../rules.js';

/** Options of `ascend`. */
export interface AscentOptions {
  /** Layer name. Its activations after the ReLU are maximised, or those before the ReLU while all activations are zero (no gradient). */
  layer: string;
  /** Maps to maximise. Default: all maps. */
  maps?: readonly number[];
  /** Shape of the network's input, [C, H, W]. */
  input: readonly [number, number, number];
  /** Pixels are clipped to −limit … limit. Default 1. */
  limit?: number;
  /** Number of gradient steps per start. Default 160. */
  steps?: number;
  /**
   * Step size as a fraction of `limit`: the gradient is divided by its root mean square over the pixels where it is not zero.
   * Default 0.06.
   */
  rate?: number;
  /** Fraction by which every pixel shrinks per step. Default 0.02. */
  decay?: number;
  /** Standard deviation in pixels of the Gaussian blur at every fourth step; 0 for no blur. Default 0.7. */
  blur?: number;
  /** Largest random shift of the picture before each step, in pixels; pixels wrap around the edges. Default 3. */
  jitter?: number;
  /**
   * Largest number of starts per map. Each start uses other and stronger noise than the one before, and less decay and blur; the last of
   * several has no decay and no blur. Default 3.
   */
  starts?: number;
  /**
   * Activation to exceed, per map, such as the strongest activation in real images. A map that has not exceeded its goal is started again;
   * its best picture is kept. Default 0 for every map.
   */
  goals?: Readonly<Record<number, number>>;
  /** Picture [C, H, W] for one more start if no noise has reached the goal, such as the image that activates the map most strongly. */
  imageOf?: (map: number) => Promise<Float32Array>;
  /** Seed of the noise and the shifts, which are the same for all maps. Default 0. */
  seed?: number;
  /** Maps per batch. Default 16. */
  batchSize?: number;
  /** Called with the number of gradient steps that are done, summed over the maps, and their total, which grows with every restart. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting it makes `ascend` throw the signal's reason before the next gradient step. */
  signal?: AbortSignal;
}

/** The picture that maximises one map. */
export interface AscendedMap {
  /** Index of the maximised map among the layer's output channels, from 0. */
  map: number;
  /** Maximum activation of the map for the picture, after the ReLU; 0 if no start has raised it above zero. */
  value: number;
  /** Whether the ascent started from noise or from the picture of `imageOf`. */
  start: 'noise' | 'image';
  /** The picture with the largest value of all steps, [C, H, W], in the units of the network's input. */
  picture: Float32Array;
}

const DEFAULTS = { limit: 1, steps: 160, rate: 0.06, decay: 0.02, blur: 0.7, jitter: 3, starts: 3, seed: 0, batchSize: 16 };
const BLUR_EVERY = 4;
/** Standard deviation of the noise at each start, as a fraction of `limit`; further starts use the last value. */
const NOISE = [0.1, 0.4, 1];

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
  starts: integer(1),
  goals: rule('an object { MAP: number }', isPlainObject),
  imageOf: func,
  seed: integer(),
  batchSize: integer(1),
  onProgress: func,
  signal: abortSignal,
};

/**
 * For each map, a picture that maximises its largest activation. Several maps are optimised per batch, each in its own image, and the
 * result for a map does not depend on the other maps.
 *
 * @example const [{ picture }] = await ascend(model, { layer: 'conv5', maps: [3], input: [3, 64, 64], steps: 4 });
 * @throws ValueError for a layer or a map that does not exist
 */
export async function ascend(model: LayeredModel, options: AscentOptions): Promise<AscendedMap[]> {
  checkModel('ascend', model);
  checkFields('ascend', options, OPTIONS, ['layer', 'input']);
  checkLayer('ascend', model, options.layer);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as unknown as AscentOptions;
  const { layer, input, batchSize, starts, goals = {}, imageOf, onProgress, ...settings } = { ...DEFAULTS, ...given };
  const backend = backendOfLayers(model) ?? defaultBackend();
  const count = evaluating(model, () => noGrad(() => model.activations(zeros([1, ...input], { backend }), [layer])[layer].shape[1]));
  const maps = options.maps ?? Array.from({ length: count }, (_, map) => map);
  for (const map of maps) checkMap('ascend', map, layer, count);
  const found = new Map<number, AscendedMap>();
  let [done, total] = [0, maps.length * settings.steps];
  let left: readonly number[] = maps;
  const rounds = Math.max(1, starts);
  for (let start = 0; start < rounds + (imageOf ? 1 : 0) && left.length > 0; start++) {
    const course = await plan(input, { ...settings, start, backend });
    if (start > 0) total += left.length * settings.steps;
    const part = start === 0 ? 1 : Math.max(0, 1 - start / (rounds - 1));
    const relaxed = { ...settings, decay: part * settings.decay, blur: part * settings.blur };
    for (let first = 0; first < left.length; first += batchSize) {
      const climb = new Climb(model, layer, input, left.slice(first, first + batchSize), settings.limit);
      if (start === rounds) await climb.beginWith(imageOf!);
      else climb.beginWithNoise(course.noise);
      await climb.run(course, relaxed, (moved) => {
        done += moved;
        onProgress?.(done, total);
      });
      for (const result of await climb.results()) keepStronger(found, result);
    }
    left = left.filter((map) => !(found.get(map)!.value > Math.max(0, goals[map] ?? 0)));
  }
  return maps.map((map) => found.get(map)!);
}

function keepStronger(found: Map<number, AscendedMap>, result: AscendedMap): void {
  const before = found.get(result.map);
  if (!before || result.value > before.value) found.set(result.map, result);
}

interface Course {
  /** The picture at the start, [C, H, W]. */
  noise: Float32Array;
  /** Shift of the picture at each step in pixels, [down, right]. */
  shifts: [number, number][];
}

/** Samples the initial noise and the shifts of all steps, which are the same for all maps. */
async function plan(
  input: readonly number[],
  {
    seed,
    start,
    steps,
    jitter,
    limit,
    backend,
  }: { seed: number; start: number; steps: number; jitter: number; limit: number; backend: Backend },
): Promise<Course> {
  const generator = new Generator(seed);
  const std = NOISE[Math.min(start, NOISE.length - 1)] * limit;
  // Skips the random numbers of earlier starts.
  for (let earlier = 0; earlier < start; earlier++) noGrad(() => randn(input, { generator, backend })).dispose();
  const [noise, shiftNumbers] = noGrad(() => [
    randn(input, { generator, std, backend }),
    uniform([2 * Math.max(1, steps)], { generator, backend }),
  ]);
  const numbers = await shiftNumbers.data();
  const shifts = Array.from({ length: steps }, (_, step): [number, number] => {
    const along = (i: number) => Math.floor(numbers[2 * step + i] * (2 * jitter + 1)) - jitter;
    return [along(0), along(1)];
  });
  const pixels = Float32Array.from(await noise.data(), (value) => Math.min(Math.max(value, -limit), limit));
  noise.dispose();
  shiftNumbers.dispose();
  return { noise: pixels, shifts };
}

type StepSettings = Required<Pick<AscentOptions, 'rate' | 'decay' | 'blur'>> & Pick<AscentOptions, 'signal'>;

/** Largest activation of each map in its own picture. */
interface Heights {
  /** Maximum over all positions, after the ReLU. */
  values: ArrayLike<number>;
  /** Index of the maximum after the ReLU (`places`) and before it (`placesBefore`). */
  places: ArrayLike<number>;
  placesBefore: ArrayLike<number>;
}

/** The ascent of a batch of maps. */
class Climb {
  /** [maps, C, H, W] */
  private readonly pixels: Float32Array;
  private readonly size: number;
  /** The pictures with the largest activations so far; the activations are in `heights`. */
  private readonly best: Float32Array;
  private readonly heights: Float64Array;
  private start: AscendedMap['start'] = 'noise';

  constructor(
    private readonly model: LayeredModel,
    private readonly layer: string,
    private readonly input: readonly [number, number, number],
    private readonly maps: readonly number[],
    private readonly limit: number,
  ) {
    this.size = input[0] * input[1] * input[2];
    this.pixels = new Float32Array(maps.length * this.size);
    this.best = new Float32Array(this.pixels.length);
    this.heights = new Float64Array(maps.length);
  }

  beginWithNoise(noise: Float32Array): void {
    for (const n of this.maps.keys()) this.pixels.set(noise, n * this.size);
  }

  /** Starts from images, which are also the first candidates for the best pictures. */
  async beginWith(imageOf: (map: number) => Promise<Float32Array>): Promise<void> {
    this.start = 'image';
    for (const [n, map] of this.maps.entries()) this.pixels.set(await imageOf(map), n * this.size);
    this.keepBest(this.pixels, (await this.measure(this.pixels)).values);
  }

  async run({ shifts }: Course, settings: StepSettings, onStep: (maps: number) => void): Promise<void> {
    for (const [step, shift] of shifts.entries()) {
      await yieldToEvents();
      settings.signal?.throwIfAborted();
      await this.step(shift, settings);
      if (settings.blur > 0 && step % BLUR_EVERY === BLUR_EVERY - 1) blurPlanes(this.pixels, this.input, settings.blur);
      onStep(this.maps.length);
    }
    this.keepBest(this.pixels, (await this.measure(this.pixels)).values);
  }

  private async step([down, right]: readonly [number, number], { rate, decay }: StepSettings): Promise<void> {
    const { pixels, size, limit } = this;
    const shifted = rolled(pixels, this.input, down, right);
    const gradient = rolled(await this.slope(shifted), this.input, -down, -right);
    for (let start = 0; start < pixels.length; start += size) {
      let [squares, moved] = [0, 0];
      for (let i = start; i < start + size; i++) {
        squares += gradient[i] ** 2;
        if (gradient[i] !== 0) moved++;
      }
      // Where the gradient is zero, the picture only decays.
      const step = squares > 0 ? (rate * limit * Math.sqrt(moved)) / Math.sqrt(squares) : 0;
      for (let i = start; i < start + size; i++) {
        const value = (1 - decay) * pixels[i] + step * gradient[i];
        pixels[i] = Math.min(Math.max(value, -limit), limit);
      }
    }
  }

  async results(): Promise<AscendedMap[]> {
    const { size, best } = this;
    // All values are computed again in the same way, because a forward pass without recording may round differently.
    const { values } = await this.measure(best);
    return this.maps.map((map, n) => ({
      map,
      value: Math.max(0, values[n]),
      start: this.start,
      picture: best.slice(n * size, (n + 1) * size),
    }));
  }

  /** Keeps pictures with a larger activation than all before. A map that has never been above zero keeps its latest picture. */
  private keepBest(pixels: Float32Array, values: ArrayLike<number>): void {
    for (const n of this.maps.keys()) {
      if (this.heights[n] > 0 && !(values[n] > this.heights[n])) continue;
      this.heights[n] = Math.max(0, values[n]);
      this.best.set(pixels.subarray(n * this.size, (n + 1) * this.size), n * this.size);
    }
  }

  private async measure(pixels: Float32Array): Promise<Pick<Heights, 'values'>> {
    const feature = this.model.featureLayer(this.layer);
    const strongest = evaluating(this.model, () =>
      noGrad(() => flat(this.model.activations(this.tensor(pixels), [feature])[feature]).max({ axes: 2 })),
    );
    const values = await this.own(strongest);
    strongest.dispose();
    return { values };
  }

  /** Gradient of each map's maximum with respect to its own image. Also keeps pictures with a new best activation. */
  private async slope(pixels: Float32Array): Promise<Float32Array> {
    const feature = this.model.featureLayer(this.layer);
    const x = this.tensor(pixels);
    x.requiresGrad = true;
    const outputs = evaluating(this.model, () => this.model.activations(x, [this.layer, feature]));
    const [before, behind] = [outputs[this.layer], outputs[feature]];
    const read = noGrad(() => [flat(behind).max({ axes: 2 }), flat(behind).argmax({ axis: 2 }), flat(before).argmax({ axis: 2 })]);
    const [values, places, placesBefore] = await Promise.all(read.map((tensor) => this.own(tensor)));
    for (const tensor of read) tensor.dispose();
    this.keepBest(pixels, values);
    const gradient = scope(() => {
      const rising = this.pick(behind, places, (n) => values[n] > 0);
      const silent = this.pick(before, placesBefore, (n) => !(values[n] > 0));
      const height = behind.mul(rising).sum().add(before.mul(silent).sum());
      return backward(height, { wrt: [x] })[0];
    });
    const slope = Float32Array.from(await gradient.data());
    for (const tensor of [gradient, before, behind, x]) tensor.dispose();
    return slope;
  }

  /** From values [images, maps], the value of each image's own map. */
  private async own(tensor: Tensor): Promise<number[]> {
    const all = await tensor.data();
    return this.maps.map((map, n) => all[n * tensor.shape[1] + map]);
  }

  /** A tensor of zeros with a one at the given position of each chosen image's own map. */
  private pick({ shape, size, backend, dtype }: Tensor, places: ArrayLike<number>, isChosen: (n: number) => boolean): Tensor {
    const plane = size / (shape[0] * shape[1]);
    const ones = new Float32Array(size);
    for (const [n, map] of this.maps.entries()) if (isChosen(n)) ones[(n * shape[1] + map) * plane + places[n]] = 1;
    return tensor(ones, shape, { backend, dtype });
  }

  private tensor(pixels: Float32Array): Tensor {
    return tensor(pixels, [this.maps.length, ...this.input], { backend: backendOfLayers(this.model) ?? defaultBackend() });
  }
}

/** Reshapes to [N, maps, positions]. */
const flat = (output: Tensor): Tensor => output.reshape([output.shape[0], output.shape[1], -1]);

/** Planes [.., H, W] shifted down and to the right, wrapping around the edges. */
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

/** Blurs planes [.., H, W] in place by a Gaussian, first rows, then columns. Edge pixels are repeated beyond the edges. */
function blurPlanes(pixels: Float32Array, [, height, width]: readonly [number, number, number], sigma: number): void {
  const radius = Math.ceil(3 * sigma);
  const bell = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const sum = bell.reduce((a, b) => a + b);
  const line = new Float64Array(Math.max(height, width));
  const blurLine = (start: number, step: number, length: number) => {
    for (let i = 0; i < length; i++) {
      let value = 0;
      for (let j = -radius; j <= radius; j++) value += bell[j + radius] * pixels[start + Math.min(Math.max(i + j, 0), length - 1) * step];
      line[i] = value / sum;
    }
    for (let i = 0; i < length; i++) pixels[start + i * step] = line[i];
  };
  for (let start = 0; start < pixels.length; start += height * width) {
    for (let y = 0; y < height; y++) blurLine(start + y * width, 1, width);
    for (let x = 0; x < width; x++) blurLine(start + x, width, height);
  }
}
