/** Functions for src/backend/wasm that are not kernels: the start of the heap, and the division of work among threads. */

/** Address where the heap may begin: the end of this module's constants. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * Takes one chunk of task number `task`. Returns 0 when no chunk is left, or when the ticket already belongs to another task.
 * The ticket's upper half is the task number and its lower half the number of chunks left. Comparing both in one operation prevents a
 * thread that was suspended from taking a chunk of a task whose description it has not read.
 */
export function takeChunk(ticket: usize, task: i32): i32 {
  if (!ASC_FEATURE_THREADS) return 0;
  let seen = atomic.load<u64>(ticket);
  while (<i32>(seen >> 32) === task && <u32>seen !== 0) {
    const before = atomic.cmpxchg<u64>(ticket, seen, seen - 1);
    if (before === seen) return <i32>seen;
    seen = before;
  }
  return 0;
}

/** Opens task number `task` with `chunks` chunks to take. */
export function openTicket(ticket: usize, task: i32, chunks: i32): void {
  if (ASC_FEATURE_THREADS) atomic.store<u64>(ticket, ((<u64>(<u32>task)) << 32) | <u64>(<u32>chunks));
}
