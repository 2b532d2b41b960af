/** Types of the rules and options of the backward pass. They are generic in the class of tensors, on which they do not depend. */
import type { OverlapRule, ReluRule } from '../../backend/backend.js';

/** The operations whose backward step differs between the methods. Every other operation uses its gradient in all of them. */
export interface BackwardRules {
  /** Backward step of ReLU. */
  relu: ReluRule;
  /** Backward step of local response normalisation: its gradient, or the identity. */
  normalization: 'gradient' | 'pass';
  /** Backward step of max pooling where two windows have the same maximum: add (the gradient) or overwrite (PyTorch's unpooling). */
  overlap: OverlapRule;
}

/** Names of the predefined rules in `RULES`. */
export type RulesName = 'gradient' | 'guided' | 'deconvnet';

/** Options of `backward`. */
export interface BackwardOptionsOf<Tensor> {
  /** Gradient with respect to the output, of the output's shape. Default: 1 for an output of one element. */
  gradient?: Tensor;
  /** Rules of the backward pass: a name in `RULES`, or an object. Default `gradient`. */
  rules?: RulesName | BackwardRules;
  /**
   * Computes and returns the gradients with respect to these tensors, instead of adding to `grad` of every leaf that requires a
   * gradient. The tensors must have `requiresGrad`.
   */
  wrt?: readonly Tensor[];
  /** Keeps the graph and its tensors in memory for another backward pass. Default false. */
  retainGraph?: boolean;
  /** @deprecated The name of `gradient` before version 0.2. */
  seed?: Tensor;
  /** @deprecated The name of `retainGraph` before version 0.2. */
  keepGraph?: boolean;
}
