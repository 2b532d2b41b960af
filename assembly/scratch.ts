/**
 * The scratch area that a kernel may use while it runs. Every thread has its own, so its address is a global of the instance. The host sets
 * it before any kernel runs and makes the area large enough; it has at least 4096 bytes.
 */

/** 64-byte aligned. */
export let scratch: usize = 0;

export function setScratch(base: usize): void {
  scratch = base;
}
