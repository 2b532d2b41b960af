/**
 * Marks by which the backward step of max pooling does the work of the ReLU before it: a backend can unpool and mask in one kernel, since
 * the output of the ReLU at a switch is the pooled value. The backward step of the ReLU then returns the gradient unchanged.
 */
import { context } from '../context.js';

/** Marks a tensor as the output of a ReLU. */
export const markReluOutput = (y: object): unknown => context.reluOutputs.add(y);

/** Whether a tensor was marked as the output of a ReLU. */
export const isReluOutput = (y: object): boolean => context.reluOutputs.has(y);

/** Marks a gradient as zero wherever the output of the ReLU is not positive. */
export const markMasked = (gradient: object): unknown => context.maskedGradients.add(gradient);

/** Whether a gradient is marked as masked. */
export const isMasked = (gradient: object): boolean => context.maskedGradients.has(gradient);

/** Removes the mark of a gradient to which another one is added. */
export const unmarkMasked = (gradient: object): unknown => context.maskedGradients.delete(gradient);
