/** The operator If. Loading a model replaces it by one of its branches, so it never runs. */
import type { Operator } from '../operator.js';

export const control = {
  If: {
    run: (call) => {
      throw call.unsupported('it is supported only if its condition is known while the model is loaded');
    },
  },
} satisfies Record<string, Operator>;
