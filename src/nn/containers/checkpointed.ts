/** `checkpointed`, which trades memory for time: activations are recomputed in the backward pass instead of kept. */
import type { Backend } from '../../backend/backend.js';
import { checkArgument } from '../../backend/validate.js';
import { isRecording } from '../../tensor/graph/autograd.js';
import {
  backward,
  type DType,
  defineOp,
  getRandomState,
  recording,
  type Shape,
  setRandomState,
  type Tensor,
  ValueError,
} from '../../tensor/index.js';
import { Dropout, Dropout2d } from '../layers/activation.js';
import { Module, type ReceptiveWindow, type Structure } from '../module.js';
import { aModule } from '../rules.js';
import { headsOf } from './auxiliary_head.js';

/**
 * Returns a module that computes the same as `module` but keeps only its input for the backward pass, which runs the module once more to
 * get the activations back (Chen et al. 2016). Gradients are the same bits as without; dropout masks are repeated, and running statistics
 * move once. PyTorch `torch.utils.checkpoint.checkpoint`. Names in the state are those of `module`.
 *
 * Wrap segments of a network, such as the stages of a ResNet: the whole network in one segment saves nothing. The bits can differ if the
 * input is also used outside of the module, as then gradients are added in another order.
 *
 * @example
 * const stage = () => checkpointed(new Sequential([new Conv2d(8, 8, 3, { padding: 1 }), new BatchNorm2d(8), new ReLU()]));
 * const network = new Sequential({ stage1: stage(), stage2: stage() });
 * @throws ValueError for a module with dropout from a generator of its own, whose masks cannot be repeated, or with an `AuxiliaryHead`
 */
export function checkpointed(module: Module): Module {
  checkArgument('checkpointed', 'module', module, aModule);
  if (headsOf(module).length > 0)
    throw new ValueError('checkpointed: the module contains an AuxiliaryHead, expected one without; wrap the layers between the heads');
  if (hasOwnGenerator(module))
    throw new ValueError('checkpointed: a dropout layer of the module has a generator of its own; leave it out to use the global one');
  return new Checkpointed(module);
}

const hasOwnGenerator = (module: Module): boolean =>
  ((module instanceof Dropout || module instanceof Dropout2d) && module.generator !== undefined) ||
  module.children().some(([, child]) => hasOwnGenerator(child));

/** The module that `checkpointed` returns. */
class Checkpointed extends Module {
  constructor(private readonly inner: Module) {
    super();
    this.training = inner.training;
  }

  override get kind(): string {
    return this.inner.kind;
  }

  override children(): [string, Module][] {
    return this.inner.children();
  }

  override namedParameters(): [string, Tensor][] {
    return this.inner.namedParameters();
  }

  override namedBuffers(): [string, Tensor][] {
    return this.inner.namedBuffers();
  }

  override train(on = true): this {
    this.inner.train(on);
    this.training = on;
    return this;
  }

  override async to(where: { backend?: Backend; dtype?: DType }): Promise<this> {
    await this.inner.to(where);
    return this;
  }

  forward(x: Tensor): Tensor {
    const { inner } = this;
    const parameters = inner.parameters().filter(({ requiresGrad }) => requiresGrad);
    if (!isRecording() || (!x.requiresGrad && parameters.length === 0)) return inner.forward(x);
    const random = getRandomState();
    const run = defineOp({
      name: 'checkpointed',
      forward(ctx, [input]) {
        ctx.save(input);
        return inner.forward(input);
      },
      backward(ctx, gradient, rules) {
        const input = ctx.saved[0].detach();
        input.requiresGrad = ctx.needs[0];
        const wrt = [input, ...parameters].filter((_, i) => ctx.needs[i]);
        const output = replayed(inner, random, () => recording(() => inner.forward(input)));
        const gradients = backward(output, { gradient, rules, wrt });
        return ctx.needs.map((needed) => (needed ? gradients.shift()! : null));
      },
    });
    return run(x, ...parameters);
  }

  override outputShape(input: Shape): Shape | null {
    return this.inner.outputShape(input);
  }

  override receptiveWindow(): ReceptiveWindow | null {
    return this.inner.receptiveWindow();
  }

  override multiplyAdds(input: Shape): number | null {
    return this.inner.multiplyAdds(input);
  }

  override structure(): Structure {
    return this.inner.structure() ?? { kind: 'sequence', layers: [['', this.inner]] };
  }
}

/** Runs `fn` with the random numbers of an earlier state, and undoes its changes of the random state and of the running statistics. */
function replayed<T>(module: Module, random: ReturnType<typeof getRandomState>, fn: () => T): T {
  const present = getRandomState();
  const buffers = module.namedBuffers().map(([, buffer]) => ({ buffer, copy: buffer.mul(1) }));
  setRandomState(random);
  try {
    return fn();
  } finally {
    setRandomState(present);
    for (const { buffer, copy } of buffers) {
      buffer.backend.affine(buffer.writable, copy.storage, 1, 0);
      copy.dispose();
    }
  }
}
