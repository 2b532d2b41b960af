/** Initial weights of networks, by one of four schemes. */
import { checkArgument, instanceOf, oneOf } from '../backend/validate.js';
import { type Generator, randn, scope, type Tensor, uniform, zeros } from '../tensor/index.js';
import { generatorRule } from '../tensor/random.js';
import { PReLU } from './layers/activation.js';
import { PartialConv2d, Subsampling2d } from './layers/lenet.js';
import { Module, parameter } from './module.js';

/**
 * Distribution of initial weights, as N(mean, variance) unless said otherwise.
 * - `paper`: standard deviation 10⁻²; the paper's "all weights 10⁻²" is read as a standard deviation
 * - `he`: N(0, 2 / fan in) (He et al. 2015)
 * - `glorot`: N(0, 2 / (fan in + fan out)) (Glorot & Bengio 2010)
 * - `mixed`: as `paper` in the first layer, as `he` in all others. The small initial weights of the first layer are soon outweighed by
 *   the trained ones, so that its filters, and with them all projections, become smooth within a few epochs
 * - `lecun`: uniform within ±2.4 / fan in (LeCun et al. 1998)
 */
export type InitScheme = 'paper' | 'he' | 'glorot' | 'mixed' | 'lecun';

/** Names of the schemes. */
export const INIT_SCHEMES = ['paper', 'he', 'glorot', 'mixed', 'lecun'] as const satisfies readonly InitScheme[];

interface Fans {
  fanIn: number;
  fanOut: number;
}

/** Fan in and fan out of a weight of shape [units, inputs, …kernel]. */
function fans(shape: readonly number[]): Fans {
  const places = shape.slice(2).reduce((product, extent) => product * extent, 1);
  return { fanIn: shape[1] * places, fanOut: shape[0] * places };
}

function deviation(scheme: Exclude<InitScheme, 'lecun'>, { fanIn, fanOut }: Fans, isFirst: boolean): number {
  switch (scheme) {
    case 'paper':
      return 1e-2;
    case 'he':
      return Math.sqrt(2 / Math.max(fanIn, 1));
    case 'glorot':
      return Math.sqrt(2 / Math.max(fanIn + fanOut, 1));
    case 'mixed':
      return deviation(isFirst ? 'paper' : 'he', { fanIn, fanOut }, isFirst);
  }
}

/**
 * Initialises a module in place: samples every weight by the scheme, sets biases (parameters of one axis) to 0 and scales (parameters of
 * one axis named `weight`, as in batch normalisation) to 1. The slopes of `PReLU` and the coefficients of `Subsampling2d` keep their values.
 *
 * @example initialize(model, 'he', new Generator(1));
 * @param generator source of the random numbers. Default: the global generator
 */
export function initialize(module: Module, scheme: InitScheme, generator?: Generator): void {
  checkArgument('initialize', 'module', module, instanceOf(Module));
  checkArgument('initialize', 'scheme', scheme, oneOf(...INIT_SCHEMES));
  if (generator !== undefined) checkArgument('initialize', 'generator', generator, generatorRule);
  let isFirst = true;
  const special = specialWeights(module);
  for (const [name, target] of module.namedParameters()) {
    const own = special.get(target);
    if (own === 'kept') continue;
    const storage = target.writable;
    if (target.rank < 2) target.backend.fill(storage, /(^|\.)weight$/.test(name) ? 1 : 0);
    else {
      const values = sampled(scheme, target, own ?? fans(target.shape), isFirst, generator);
      isFirst = false;
      target.backend.affine(storage, values.storage, 1, 0);
      values.dispose();
    }
  }
}

function sampled(scheme: InitScheme, { shape, backend, dtype }: Tensor, own: Fans, isFirst: boolean, generator?: Generator): Tensor {
  const where = { generator, backend, dtype };
  if (scheme !== 'lecun') return randn(shape, { std: deviation(scheme, own, isFirst), ...where });
  const bound = 2.4 / Math.max(own.fanIn, 1);
  return uniform(shape, { low: -bound, high: bound, ...where });
}

/** The weights of a module that keep their values, and those whose fans do not follow from their shape. */
function specialWeights(module: Module): Map<Tensor, 'kept' | Fans> {
  if (module instanceof PReLU || module instanceof Subsampling2d) return new Map([[module.weight, 'kept']]);
  if (module instanceof PartialConv2d) {
    const { fanIn, table, inChannels } = module;
    return new Map([[module.weight, { fanIn, fanOut: (fanIn * table.length) / inChannels }]]);
  }
  return new Map(module.children().flatMap(([, child]) => [...specialWeights(child)]));
}

/**
 * Parameters of a layer as PyTorch starts them: weights uniform within ±1 / √(fan in); biases of 0, or null without a bias. Should
 * memory run out on the way, the scope frees the weights.
 */
export function weightAndBias(shape: readonly number[], outputs: number, withBias = true): { weight: Tensor; bias: Tensor | null } {
  const bound = 1 / Math.sqrt(Math.max(fans(shape).fanIn, 1));
  const made = scope(() => ({
    weight: uniform(shape, { low: -bound, high: bound }),
    bias: withBias ? zeros([outputs]) : null,
  }));
  return { weight: parameter(made.weight), bias: made.bias && parameter(made.bias) };
}
