/**
 * Memory pressure: tensors that nothing refers to are freed by finalisation callbacks, which run between tasks of the event loop and only
 * after a full garbage collection. A loop that awaits nothing but `data()` never ends its task, and the collector does not see the memory
 * of backends. Reading under pressure therefore causes a collection and ends the task.
 */
import type { Backend } from '../../backend/backend.js';
import { context } from '../context.js';

const MIB = 2 ** 20;
/** Growth since the last time at which memory counts as under pressure: as much as is live, within these limits. */
const [LEAST_GROWTH, MOST_GROWTH] = [128 * MIB, 512 * MIB];
/** Array buffers of this size make V8 and SpiderMonkey collect; their pages are never touched. Smaller ones were measured to be too rare. */
const NUDGE = 256 * MIB;
const MOST_TURNS = 8;
/** Reads after which the task ends in any case: the registry holds about 1 KiB per forgotten pass until its callbacks run. */
const READS_PER_TASK = 1000;

/** The timer of the runtime, also where a test replaces it later by one that stands still. */
const { setTimeout } = globalThis;
/** Ends the current task, so that finalisation callbacks run. */
const nextTask = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** Lets finalisation callbacks run if the memory of the backend's tensors has grown much since the last time, and every thousand reads. */
export async function relievePressure(backend: Backend): Promise<void> {
  context.reads++;
  if (context.reads % READS_PER_TASK === 0) await nextTask();
  const { bytes: before } = backend.memory();
  if (before <= (context.pressure.get(backend) ?? LEAST_GROWTH) || typeof FinalizationRegistry === 'undefined') return;
  let live = before;
  for (let turn = 0; turn < MOST_TURNS && live > before / 2; turn++) {
    provokeCollection();
    await nextTask();
    await nextTask();
    live = backend.memory().bytes;
  }
  context.pressure.set(backend, live + Math.min(Math.max(live, LEAST_GROWTH), MOST_GROWTH));
}

function provokeCollection(): void {
  try {
    new ArrayBuffer(NUDGE);
  } catch {
    // A system that refuses the allocation is short of memory, so its garbage collector runs anyway.
  }
}
