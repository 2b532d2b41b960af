/** Attribution by gradients with respect to the input, at the input itself, along a path to it, or around it. */
import { yieldToEvents } from '../nn/yield_to_events.js';
import { Generator, randn, scope, type Tensor, tensor, ValueError, zeros } from '../tensor/index.js';
import { inputGradient, inputOf, type Subject } from './network.js';

/** Points and weights of a quadrature on [0, 1]. */
export interface Quadrature {
  points: number[];
  weights: number[];
}

/** Gauss-Legendre quadrature with n points on [0, 1]. The roots of the Legendre polynomial are found by Newton's method. */
export function gaussLegendre(n: number): Quadrature {
  const points = new Array<number>(n);
  const weights = new Array<number>(n);
  for (let i = 0; i < n; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let change = 1; Math.abs(change) > 1e-15; ) {
      let [previous, value] = [1, x];
      for (let k = 2; k <= n; k++) [previous, value] = [value, ((2 * k - 1) * x * value - (k - 1) * previous) / k];
      slope = (n * (x * value - previous)) / (x * x - 1);
      change = value / slope;
      x -= change;
    }
    points[i] = (1 - x) / 2;
    weights[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { points, weights };
}

/** Sum of weight · gradient at each of several inputs. The event loop gets its turn between two passes. */
async function weightedGradients(subject: Subject, count: number, inputAt: (i: number) => Tensor, weightAt: (i: number) => number) {
  let total = zeros(subject.shape, { backend: subject.backend });
  for (let i = 0; i < count; i++) {
    const before = total;
    total = scope(() => {
      const x = inputAt(i);
      x.requiresGrad = true;
      return before.add(inputGradient(subject, x, 'gradient').mul(weightAt(i)));
    });
    before.dispose();
    await yieldToEvents();
  }
  return total;
}

/** (x − baseline) · ∫ of the gradient along the straight line from the baseline to x (Sundararajan et al. 2017). */
export async function integratedGradients(subject: Subject, baseline: Tensor, steps: number): Promise<Tensor> {
  const { points, weights } = gaussLegendre(steps);
  const at = (share: number) => {
    const x = tensor(subject.values, subject.shape, { backend: subject.backend });
    return baseline.add(x.sub(baseline).mul(share)).detach();
  };
  const integral = await weightedGradients(
    subject,
    steps,
    (i) => at(points[i]),
    (i) => weights[i],
  );
  const result = scope(() => tensor(subject.values, subject.shape, { backend: subject.backend }).sub(baseline).mul(integral));
  integral.dispose();
  return result;
}

/** Mean gradient at copies of the input with Gaussian noise (Smilkov et al. 2017). */
export function smoothGrad(subject: Subject, samples: number, sigma: number, seed: number): Promise<Tensor> {
  const { backend, shape, values } = subject;
  const generator = new Generator(seed);
  const noisy = () =>
    tensor(values, shape, { backend })
      .add(randn(shape, { backend, generator, std: sigma }))
      .detach();
  return weightedGradients(subject, samples, noisy, () => 1 / samples);
}

/** 0.15 times the range of the values, the level that the paper on SmoothGrad recommends. */
export function defaultSigma({ values }: Subject): number {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const sigma = 0.15 * (high - low);
  if (!(sigma > 0)) throw new ValueError('attribute: all values of the input are equal, so that the noise has no scale; pass { sigma }');
  return sigma;
}

/** x · gradient (Shrikumar et al. 2016). */
export function inputTimesGradient(subject: Subject): Tensor {
  return scope(() => {
    const x = inputOf(subject, subject.values);
    return x.detach().mul(inputGradient(subject, x, 'gradient'));
  });
}
