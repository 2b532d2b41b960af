/** `Residual`, a body with a shortcut around it, as in ResNet. */
import { checkArgument, checkOptions, orNull } from '../../backend/validate.js';
import { add, type Shape, ShapeError, type Tensor } from '../../tensor/index.js';
import { checkSameBackend } from '../../tensor/tensor.js';
import { Module, namingLayer, type ReceptiveWindow, type Structure } from '../module.js';
import { aModule } from '../rules.js';
import { growField, PIXEL_FIELD, total, unionOfWindows, windowOfField } from '../summary.js';

/** Options of `Residual`. */
export interface ResidualOptions {
  /** Computes the other operand of the sum from the input. Default: the input itself. */
  shortcut?: Module | null;
  /** Applied to the sum. Default: none. */
  activation?: Module | null;
}

const RULES = { shortcut: orNull(aModule), activation: orNull(aModule) };

/**
 * activation(body(x) + shortcut(x)), the residual block of He et al. 2015. Gradients and projected signals pass through both. In the state
 * the parts have the names `body`, `shortcut` and `activation`.
 *
 * Exporters and other code that walks through networks read its parts from `structure()`.
 *
 * ```ts
 * new Residual(new Sequential([new Conv2d(8, 8, 3, { padding: 1 }), new BatchNorm2d(8)]), { activation: new ReLU() });
 * ```
 *
 * @throws ShapeError in `forward` and `outputShape`, if body and shortcut differ in shape
 */
export class Residual extends Module {
  /** Module on the second path, such as a strided 1×1 convolution; null for the identity. */
  readonly shortcut: Module | null;
  /** Module applied to the sum; null for none. */
  readonly activation: Module | null;

  constructor(
    /** Module on the main path. Its output has the shape of the shortcut's output. */
    readonly body: Module,
    options: ResidualOptions = {},
  ) {
    super();
    checkArgument('Residual', 'body', body, aModule);
    checkOptions('Residual', options, RULES);
    this.shortcut = options.shortcut ?? null;
    this.activation = options.activation ?? null;
  }

  override structure(): Structure {
    return {
      kind: 'branches',
      branches: [
        ['body', this.body],
        ['shortcut', this.shortcut],
      ],
      join: 'add',
      activation: this.activation && ['activation', this.activation],
    };
  }

  forward(x: Tensor): Tensor {
    checkSameBackend('Residual', x);
    const made: Tensor[] = [];
    const note = (value: Tensor): Tensor => {
      if (value !== x) made.push(value);
      return value;
    };
    let result: Tensor | null = null;
    try {
      const y = note(namingLayer('body', () => this.body.forward(x)));
      const { shortcut, activation } = this;
      const z = shortcut ? note(namingLayer('shortcut', () => shortcut.forward(x))) : x;
      if (y.shape.join() !== z.shape.join()) throw differ(y.shape, z.shape);
      const sum = note(add(y, z));
      result = activation ? namingLayer('activation', () => activation.forward(sum)) : sum;
      return result;
    } finally {
      for (const value of made) if (value !== result) value.release('the next layer');
    }
  }

  override outputShape(input: Shape): Shape | null {
    const own = namingLayer('body', () => this.body.outputShape(input));
    const { shortcut, activation } = this;
    const other = shortcut ? namingLayer('shortcut', () => shortcut.outputShape(input)) : input;
    if (!own || !other) return null;
    if (own.join() !== other.join()) throw differ(own, other);
    return activation ? activation.outputShape(own) : own;
  }

  override receptiveWindow(): ReceptiveWindow | null {
    const sum = unionOfWindows([this.body.receptiveWindow(), this.shortcut ? this.shortcut.receptiveWindow() : 'point']);
    return this.activation ? windowOfField(growField(growField(PIXEL_FIELD, sum), this.activation.receptiveWindow())) : sum;
  }

  override multiplyAdds(input: Shape): number | null {
    const own = this.body.outputShape(input);
    const { shortcut, activation } = this;
    return total([
      this.body.multiplyAdds(input),
      shortcut ? shortcut.multiplyAdds(input) : 0,
      activation ? own && activation.multiplyAdds(own) : 0,
    ]);
  }
}

const differ = (body: Shape, shortcut: Shape): ShapeError =>
  new ShapeError(`Residual: the body has the output shape [${body}] and the shortcut [${shortcut}], expected equal shapes`);
