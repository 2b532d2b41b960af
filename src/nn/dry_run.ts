/** Dry runs: a network runs with shapes only, without computing values, to find the memory that training will need. */
import { shapesOnly } from '../backend/shapes/index.js';
import { anything, checkArgument, checkOptions, func, integer, show } from '../backend/validate.js';
import { crossEntropy, type Shape, ValueError, withBackend, zeros } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import { auxiliaryLoss } from './containers/auxiliary_head.js';
import { Module } from './module.js';
import { SGD, type SgdOptions } from './optim/sgd.js';

/**
 * Peak memory of tensors during a training step of a classifier, in bytes: weights, velocities, gradients and the activations that the
 * graph keeps for the backward pass. The lifetimes are those of the real engine. Scratch areas of kernels come on top.
 *
 * @example const bytes = trainingBytes(() => zfnet('a', { inputSize: 64, width: 0.1 }), [16, 3, 64, 64]);
 * @param build creates the network
 * @param input shape [N, …] of the images that go through the network at once
 * @param options.parts number of such parts per mini-batch; from the second part on, gradients of earlier parts are in memory. Default 1
 * @param options.sgd optimiser options; momentum needs memory for velocities. Default { lr: 0.01, momentum: 0.9 }
 * @throws ValueError if `build` returns no module, and whatever the network throws for the input shape
 */
export function trainingBytes(build: () => Module, input: Shape, options: { parts?: number; sgd?: SgdOptions } = {}): number {
  checkArgument('trainingBytes', 'build', build, func);
  checkShape('trainingBytes', input);
  checkOptions('trainingBytes', options, { parts: integer(1), sgd: anything });
  const { parts = 1, sgd = { lr: 0.01, momentum: 0.9 } } = options;
  const backend = shapesOnly();
  withBackend(backend, () => {
    const model = build();
    if (!(model instanceof Module)) throw new ValueError(`trainingBytes: build returned ${show(model)}, expected a module`);
    const optimizer = new SGD(model.parameters(), sgd);
    // Two steps, because the velocities exist only from the second one on.
    for (let step = 0; step < 2; step++) {
      for (let part = 0; part < Math.min(parts, 2); part++) learn(model, input);
      optimizer.step();
      optimizer.zeroGrad();
    }
  });
  return backend.memory().peakBytes;
}

function learn(model: Module, input: Shape): void {
  const images = zeros(input);
  const labels = zeros([input[0]], { dtype: 'int32' });
  const loss = auxiliaryLoss(model, labels, crossEntropy, crossEntropy(model.forward(images), labels));
  loss.backward();
  for (const each of [loss, images, labels]) each.dispose();
}
