/** Activation functions as layers, and dropout. */
import { checkArgument, finite } from '../../backend/validate.js';
import { dropout, type Generator, leakyRelu, relu, sigmoid, softmax, type Tensor, tanh } from '../../tensor/index.js';
import { probabilityRule } from '../../tensor/ops/dropout.js';
import { generatorRule } from '../../tensor/random.js';
import { Module } from '../module.js';

/** max(x, 0). In a `Sequential`, a ReLU that follows a convolution or a linear layer runs inside the kernel of that layer. */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** x where x is above 0, slope · x elsewhere. The slope defaults to 0.01. */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
    checkArgument('LeakyReLU', 'slope', slope, finite());
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

/** 1 / (1 + exp(−x)). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** Softmax along the last axis. */
export class Softmax extends Module {
  forward(x: Tensor): Tensor {
    return softmax(x);
  }
}

/**
 * In training, sets activations to zero with the given probability (default 0.5) and multiplies the others by 1 / (1 − probability).
 * In evaluation, returns its input. Without a generator it uses the global one.
 */
export class Dropout extends Module {
  constructor(
    readonly probability = 0.5,
    private readonly generator?: Generator,
  ) {
    super();
    checkArgument('Dropout', 'probability', probability, probabilityRule);
    if (generator !== undefined) checkArgument('Dropout', 'generator', generator, generatorRule);
  }

  forward(x: Tensor): Tensor {
    return this.training && this.probability > 0 ? dropout(x, this.probability, this.generator) : x;
  }
}
