/**
 * The working memory that a kernel may use while it runs: every thread has its own, so its base is a global of the instance.
 * The host sets it before any kernel runs, and sees to it that it is large enough (`engine.reserveScratch`).
 */

/** Bytes of scratch that every kernel may take for granted. */
export const SCRATCH_BYTES: usize = 4096;

/** 64-byte aligned. */
export let scratch: usize = 0;

export function setScratch(base: usize): void {
  scratch = base;
}
