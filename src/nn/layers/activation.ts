/** Activation functions as layers, and dropout. */
import { anything, checkArgument, checkOptions, finite, integer } from '../../backend/validate.js';
import {
  dropout,
  dropout2d,
  full,
  type GeluOptions,
  type Generator,
  gelu,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  prelu,
  relu,
  relu6,
  type Shape,
  ShapeError,
  sigmoid,
  silu,
  softmax,
  type Tensor,
  tanh,
} from '../../tensor/index.js';
import { GELU_RULES } from '../../tensor/ops/activation.js';
import { probabilityRule } from '../../tensor/ops/dropout.js';
import { generatorRule } from '../../tensor/random.js';
import { checkShape } from '../../tensor/shape.js';
import { Pointwise, parameter } from '../module.js';

/**
 * max(x, 0). In a `Sequential`, a ReLU that follows a convolution, a linear layer or batch normalisation runs inside the kernel of that
 * layer.
 *
 * @example const network = new Sequential([new Conv2d(3, 8, 3), new ReLU()]);
 */
export class ReLU extends Pointwise {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/**
 * x where x is above 0, slope · x elsewhere. The slope defaults to 0.01.
 *
 * @example const activation = new LeakyReLU(0.1);
 */
export class LeakyReLU extends Pointwise {
  constructor(
    /** Factor for inputs below 0. Default 0.01. */
    readonly slope = 0.01,
  ) {
    super();
    checkArgument('LeakyReLU', 'slope', slope, finite());
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

/**
 * 1 / (1 + exp(−x)).
 *
 * @example const gate = new Sigmoid();
 */
export class Sigmoid extends Pointwise {
  forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/**
 * Hyperbolic tangent.
 *
 * @example const activation = new Tanh();
 */
export class Tanh extends Pointwise {
  forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/**
 * min(max(x, 0), 6). PyTorch `ReLU6`.
 *
 * @example const activation = new ReLU6();
 */
export class ReLU6 extends Pointwise {
  forward(x: Tensor): Tensor {
    return relu6(x);
  }
}

/**
 * x · sigmoid(x), also called swish. PyTorch `SiLU`.
 *
 * @example const activation = new SiLU();
 */
export class SiLU extends Pointwise {
  forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/**
 * x · Φ(x) with the normal distribution function Φ, or its approximation by tanh. PyTorch `GELU`.
 *
 * @example const gelu = new GELU({ approximate: 'tanh' });
 */
export class GELU extends Pointwise {
  constructor(
    /** `approximate: 'tanh'` selects the approximation by tanh, `'none'` (default) the exact function. */
    readonly options: GeluOptions = {},
  ) {
    super();
    checkOptions('GELU', options, GELU_RULES);
  }

  forward(x: Tensor): Tensor {
    return gelu(x, this.options);
  }
}

/**
 * min(max(x + 3, 0), 6) / 6. PyTorch `Hardsigmoid`.
 *
 * @example const gate = new HardSigmoid();
 */
export class HardSigmoid extends Pointwise {
  forward(x: Tensor): Tensor {
    return hardSigmoid(x);
  }
}

/**
 * x · min(max(x + 3, 0), 6) / 6. PyTorch `Hardswish`.
 *
 * @example const activation = new HardSwish();
 */
export class HardSwish extends Pointwise {
  forward(x: Tensor): Tensor {
    return hardSwish(x);
  }
}

/**
 * x where x is above 0, weight · x elsewhere, with a learned weight per channel, or one for all channels. PyTorch `PReLU`. `initialize`
 * leaves the weights as they are.
 *
 * @example const activation = new PReLU(16);
 * @throws ShapeError in `forward`, for another number of channels
 */
export class PReLU extends Pointwise {
  /** Learned slopes for inputs below 0: [channels], or [1] for one slope for all channels. */
  weight: Tensor;

  /** @param channels number of weights. Default 1 @param start initial weight. Default 0.25 */
  constructor(
    readonly channels = 1,
    start = 0.25,
  ) {
    super();
    checkArgument('PReLU', 'channels', channels, integer(1, 2 ** 31 - 1));
    checkArgument('PReLU', 'start', start, finite());
    this.weight = parameter(full([channels], start));
  }

  /** @param x [N, C, …], with C the number of weights unless there is one */
  forward(x: Tensor): Tensor {
    return prelu(x, this.weight);
  }

  override outputShape(input: Shape): Shape {
    checkShape('prelu', input);
    if (this.channels !== 1 && input[1] !== this.channels)
      throw new ShapeError(`prelu: input has shape [${input}], expected [N, ${this.channels}, …]`);
    return input;
  }
}

/**
 * Softmax along an axis, by default the last. PyTorch `Softmax`.
 *
 * @example const probabilities = new Softmax().forward(scores);
 */
export class Softmax extends Pointwise {
  constructor(
    /** `axis`: the axis along which the outputs sum to 1; negative ones count from the end. Default −1. */
    readonly options: { axis?: number } = {},
  ) {
    super();
    checkOptions('Softmax', options, { axis: anything });
  }

  forward(x: Tensor): Tensor {
    return softmax(x, this.options);
  }
}

/**
 * In training, sets activations to zero with the given probability (default 0.5) and multiplies the others by 1 / (1 − probability).
 * In evaluation, returns its input. Without a generator it uses the global one.
 *
 * @example const drop = new Dropout(0.5);
 */
export class Dropout extends Pointwise {
  constructor(
    /** Probability from 0 to 1 that an activation becomes zero. Default 0.5. */
    readonly probability = 0.5,
    /** Source of the random numbers; undefined for the global generator. */
    readonly generator?: Generator,
  ) {
    super();
    checkArgument('Dropout', 'probability', probability, probabilityRule);
    if (generator !== undefined) checkArgument('Dropout', 'generator', generator, generatorRule);
  }

  forward(x: Tensor): Tensor {
    return this.training && this.probability > 0 ? dropout(x, this.probability, this.generator) : x;
  }
}

/**
 * In training, sets whole maps to zero with the given probability (default 0.5) and multiplies the others by 1 / (1 − probability). In
 * evaluation, returns its input. Without a generator it uses the global one. PyTorch `Dropout2d`.
 *
 * @example const drop = new Dropout2d(0.2);
 * @throws ShapeError in training, for an input that is not [N, C, H, W]
 */
export class Dropout2d extends Pointwise {
  constructor(
    /** Probability from 0 to 1 that a whole map becomes zero. Default 0.5. */
    readonly probability = 0.5,
    /** Source of the random numbers; undefined for the global generator. */
    readonly generator?: Generator,
  ) {
    super();
    checkArgument('Dropout2d', 'probability', probability, probabilityRule);
    if (generator !== undefined) checkArgument('Dropout2d', 'generator', generator, generatorRule);
  }

  forward(x: Tensor): Tensor {
    return this.training && this.probability > 0 ? dropout2d(x, this.probability, this.generator) : x;
  }

  override outputShape(input: Shape): Shape {
    checkShape('dropout2d', input);
    if (input.length !== 4) throw new ShapeError(`dropout2d: input has shape [${input}], expected [N, C, H, W]`);
    return input;
  }
}
