/** What the host's engine asks of the module itself. */

/** Where the heap may begin: behind the constants of this module. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * Takes one chunk of the task numbered `task`; 0 when none is left, or when the ticket belongs to another task by now.
 * The ticket's upper half is the task's number, its lower half how many chunks are left: comparing both at once keeps a thread
 * that was asleep for a while from working on a task that it has not read.
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
