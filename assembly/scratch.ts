/**
 * The working memory that a kernel may use while it runs. Every thread has its own, so its base is a global of the instance:
 * the host sets it before any kernel runs, and sees to it that it is large enough. 4096 bytes are always there.
 */

/** 64-byte aligned. */
export let scratch: usize = 0;

export function setScratch(base: usize): void {
  scratch = base;
}
