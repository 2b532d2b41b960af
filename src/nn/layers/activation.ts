/** Layers that work on each activation by itself, and dropout. */
import { checkArgument, finite } from '../../backend/validate.js';
import { dropout, type Generator, leakyRelu, relu, sigmoid, softmax, type Tensor, tanh } from '../../tensor/index.js';
import { probabilityRule } from '../../tensor/ops/dropout.js';
import { generatorRule } from '../../tensor/random.js';
import { Module } from '../module.js';

/** max(x, 0). Inside a `Sequential`, behind a convolution or a linear layer, it runs in that layer's kernel. */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}

export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
    checkArgument('LeakyReLU', 'slope', slope, finite());
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** Along the last axis. */
export class Softmax extends Module {
  forward(x: Tensor): Tensor {
    return softmax(x);
  }
}

/** Zeroes activations at random in training, scaling the others by 1 / (1 − probability); nothing in evaluation. */
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
