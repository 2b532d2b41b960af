/** Auxiliary classifiers inside a network, which add their losses to that of the network in training. */
import { checkArgument, finite, func } from '../../backend/validate.js';
import { add, mul, type Shape, type Tensor } from '../../tensor/index.js';
import { checkSameBackend } from '../../tensor/tensor.js';
import { Module, type ReceptiveWindow } from '../module.js';
import { aModule, aTensor } from '../rules.js';

/**
 * An auxiliary classifier of GoogLeNet (Szegedy et al. 2014): returns its input unchanged. In training mode it also computes class scores
 * from it, whose loss `auxiliaryLoss` adds to the loss of the network; `fit` and `train` do so. In evaluation mode it computes nothing. In
 * the state the layers have the names of the classifier's, without a prefix of their own.
 *
 * @example
 * const classifier = new Sequential({ pool: new AdaptiveAvgPool2d(1), flatten: new Flatten(), fc: new Linear(8, 10) });
 * const network = new Sequential({ body: new Conv2d(3, 8, 3), aux: new AuxiliaryHead(classifier, { weight: 0.3 }) });
 */
export class AuxiliaryHead extends Module {
  /** Factor on the loss of this classifier. */
  readonly weight: number;
  /** Class scores of the last forward pass in training, until `auxiliaryLoss` takes them. Private, so that they are not part of the state. */
  #scores: Tensor | null = null;

  /** @param options.weight factor on its loss. Default 0.3, as in the paper */
  constructor(
    /** Computes the class scores. */
    readonly classifier: Module,
    options: { weight?: number } = {},
  ) {
    super();
    checkArgument('AuxiliaryHead', 'classifier', classifier, aModule);
    const { weight = 0.3 } = options;
    checkArgument('AuxiliaryHead', 'weight', weight, finite(0));
    this.weight = weight;
  }

  override children(): [string, Module][] {
    return this.classifier.children();
  }

  override train(on = true): this {
    this.classifier.train(on);
    if (!on) this.take()?.dispose();
    return super.train(on);
  }

  forward(x: Tensor): Tensor {
    checkSameBackend('AuxiliaryHead', x);
    if (this.training) {
      this.take()?.dispose();
      this.#scores = this.classifier.forward(x).keep();
    }
    return x;
  }

  /** @internal Returns the class scores of the last forward pass in training, once; the caller disposes of them. */
  take(): Tensor | null {
    const scores = this.#scores;
    this.#scores = null;
    return scores;
  }

  override outputShape(input: Shape): Shape {
    return input;
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'point';
  }

  override dispose(): void {
    this.take()?.dispose();
    super.dispose();
  }
}

/**
 * Adds the losses of all auxiliary classifiers of a network, times their weights, to the loss of its output. Call it after each forward
 * pass in training. Returns `loss` itself for a network without such classifiers, and in evaluation mode.
 *
 * @example
 * const network = googlenet({ classes: 10, width: 0.1 });
 * const truth = tensor(Int32Array.of(3, 7));
 * const scores = network.forward(randn([2, 3, 32, 32]));
 * auxiliaryLoss(network, truth, crossEntropy, crossEntropy(scores, truth)).backward();
 * @param labels of the batch of the last forward pass
 * @param lossOf computes the loss of class scores, such as `crossEntropy`
 * @param loss of the output of the network. It is disposed of if another tensor is returned
 */
export function auxiliaryLoss(model: Module, labels: Tensor, lossOf: (scores: Tensor, labels: Tensor) => Tensor, loss: Tensor): Tensor {
  checkArgument('auxiliaryLoss', 'model', model, aModule);
  checkArgument('auxiliaryLoss', 'labels', labels, aTensor);
  checkArgument('auxiliaryLoss', 'lossOf', lossOf, func);
  checkArgument('auxiliaryLoss', 'loss', loss, aTensor);
  return headsOf(model).reduce((sum, head) => {
    const scores = head.take();
    if (!scores) return sum;
    const own = lossOf(scores, labels);
    const weighted = mul(own, head.weight);
    const next = add(sum, weighted);
    for (const each of [scores, own, weighted, sum]) each.dispose();
    return next;
  }, loss);
}

/** The auxiliary classifiers of a network. */
export const headsOf = (model: Module): AuxiliaryHead[] =>
  model instanceof AuxiliaryHead ? [model] : model.children().flatMap(([, child]) => headsOf(child));
