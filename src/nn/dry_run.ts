/** Running a network without its numbers, to know beforehand what a computation takes. The largest network costs nothing to run. */
import { anything, checkArgument, checkOptions, func, integer, show } from '../backend/validate.js';
import { type Backend, crossEntropy, type DType, type Shape, ValueError, withBackend, zeros } from '../tensor/index.js';
import { checkShape } from '../tensor/shape.js';
import { Module } from './module.js';
import { SGD, type SgdOptions } from './optim/sgd.js';

const BYTES: Record<DType, number> = { float64: 8, float32: 4, int32: 4, uint8: 1 };

/** A backend without numbers: storages know their type and size, kernels do nothing, memory is counted. */
export function shapesOnly(): Backend {
  const use = { bytes: 0, buffers: 0, peakBytes: 0, reservedBytes: 0 };
  const count = (bytes: number, buffers: number) => {
    use.bytes += bytes;
    use.buffers += buffers;
    use.peakBytes = Math.max(use.peakBytes, use.bytes);
  };
  const own: Partial<Backend> = {
    name: 'shapes only',
    allocate(dtype, size) {
      count(BYTES[dtype] * size, 1);
      return { dtype, size };
    },
    release: ({ dtype, size }) => count(-BYTES[dtype] * size, -1),
    memory: () => ({ ...use }),
    resetPeak() {
      use.peakBytes = use.bytes;
    },
  };
  return new Proxy(own as Backend, {
    // With a method `then` it would be taken for a promise that never ends.
    get: (target, name) => Reflect.get(target, name) ?? (name === 'readSync' || name === 'then' ? undefined : () => undefined),
  });
}

/**
 * The most bytes that tensors hold during a training step of a classifier: weights, velocities, gradients, and what the graph keeps for
 * the way back, each as long as the engine really keeps it. Kernels borrow a little more for themselves.
 *
 * @param build makes the network
 * @param input [N, …] of what goes through at once
 * @param options.parts how many of these make a mini-batch; from the second on, gradients are there to be added to. Default 1
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
    // The first step makes the velocities that the second one finds.
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
  const loss = crossEntropy(model.forward(images), labels);
  loss.backward();
  for (const each of [loss, images, labels]) each.dispose();
}
