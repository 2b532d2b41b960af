/** How long the soak tests run: the short form fits in five minutes on two cores, `SOAK=long` takes hours. */
const LONG = process.env.SOAK === 'long';

export const pick = <T>(short: T, long: T): T => (LONG ? long : short);

/** Repeats `step`, counted from 0: at most `steps` times, and in the short form for at most `seconds`. Returns how often. */
export async function repeat(seconds: number, steps: number, step: (i: number) => void | Promise<void>): Promise<number> {
  const end = performance.now() + (LONG ? Number.POSITIVE_INFINITY : seconds * 1000);
  let i = 0;
  for (; i < steps && performance.now() < end; i++) {
    await step(i);
    // Finalizers and timers get their turn.
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return i;
}
