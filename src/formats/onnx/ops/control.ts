/** If. Its branch is put in its place while the model is read, so that it is never run. */
import type { Operator } from '../operator.js';

export const control = {
  If: {
    run: (call) => {
      throw call.unsupported('it is supported where its condition is known while the model is read');
    },
  },
} satisfies Record<string, Operator>;
