/** Garbage collection on demand, for tests of forgotten tensors. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects garbage at once. Finalizers do not run, for the event loop gets no turn. */
export const collect: () => void = runInNewContext('gc');

/** Collects garbage and lets finalizers run. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
}
