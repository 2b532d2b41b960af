/** Compiling the kernels of a network ahead of its first use, on backends that compile them. */
import { checkArgument, checkOptions, func, type RulesFor } from '../../backend/validate.js';
import {
  crossEntropy,
  getRandomState,
  noGrad,
  type Shape,
  setRandomState,
  type Tensor,
  ValueError,
  withBackend,
  zeros,
} from '../../tensor/index.js';
import { checkShape } from '../../tensor/shape.js';
import { backendOf } from '../backend_of.js';
import type { Module } from '../module.js';
import { aModule } from '../rules.js';

/** Options of `warmUp`. */
export interface CompileOptions {
  /** Computes the loss from the output. Default: the cross-entropy of an output [N, classes], the sum of any other. */
  loss?: (output: Tensor) => Tensor;
}

const RULES: RulesFor<CompileOptions> = { loss: func };

/**
 * Compiles the kernels that a network needs for inputs of a shape, so that its first use does not wait for the compiler: those of the
 * forward pass and, if the network is in training mode, of the backward pass. Nothing is computed; the network, its gradients and the
 * random generators stay as they are. Resolves when all kernels are compiled, at once on backends whose kernels are compiled already.
 *
 * @example await warmUp(model.eval(), [1, 3, 64, 64]);
 * @param shape of the input, [N, …]
 * @throws ValueError for unknown options; the errors of the network for a shape that does not fit
 */
export async function warmUp(model: Module, shape: Shape, options: CompileOptions = {}): Promise<void> {
  checkArgument('warmUp', 'model', model, aModule);
  checkShape('warmUp', shape);
  checkOptions('warmUp', options, RULES);
  if (shape.includes(0)) throw new ValueError(`warmUp: got shape [${shape}], expected at least one element`);
  const backend = backendOf(model);
  if (!backend.compileKernels) return;
  const random = getRandomState();
  try {
    await backend.compileKernels(() => withBackend(backend, () => run(model, shape, options.loss ?? standardLoss)));
  } finally {
    setRandomState(random);
  }
}

function standardLoss(output: Tensor): Tensor {
  if (output.shape.length !== 2) return output.sum();
  const labels = zeros([output.shape[0]], { dtype: 'int32' });
  const loss = crossEntropy(output, labels);
  labels.dispose();
  return loss;
}

/** Runs the network once. The gradients of this run are dropped, and those from before are put back. */
function run(model: Module, shape: Shape, loss: (output: Tensor) => Tensor): void {
  const input = zeros(shape);
  if (!model.training) {
    noGrad(() => {
      model.forward(input);
    });
    input.dispose();
    return;
  }
  const parameters = model.parameters();
  const gradients = parameters.map(({ grad }) => grad);
  for (const parameter of parameters) parameter.grad = null;
  try {
    const output = model.forward(input);
    const value = loss(output);
    if (value.requiresGrad) value.backward();
    for (const each of [input, output, value]) each.dispose();
  } finally {
    restore(parameters, gradients);
  }
}

function restore(parameters: readonly Tensor[], gradients: readonly (Tensor | null)[]): void {
  parameters.forEach((parameter, i) => {
    parameter.grad?.dispose();
    parameter.grad = gradients[i];
  });
}
