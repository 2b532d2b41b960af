/** Measures the limits of a device: arithmetic on registers alone, and a copy between two large buffers. */
import type { DeviceCeiling } from '../backend.js';
import type { GpuQueue, Kernel } from './kernel.js';
import { startTiming, type Timeable } from './profile.js';

/** Chains of multiply-adds that one thread computes at the same time, of 4 components each; they hide the latency of one another. */
const CHAINS = 8;
/** Multiply-adds of each chain per round of the loop, unrolled. */
const STEPS = 8;
/** Floating-point operations of one thread and round. */
const ROUND_FLOP = 2 * 4 * CHAINS * STEPS;

/** The sum of all chains is written, so that the compiler cannot leave out the loop; the uniform `seed` keeps it from folding constants. */
function arithmeticCode(size: number, fused: boolean): string {
  const chains = Array.from({ length: CHAINS }, (_, i) => i);
  const step = (i: number) =>
    fused ? `c${i} = fma(c${i}, factor, c${(i + 1) % CHAINS});` : `c${i} = c${i} * factor + c${(i + 1) % CHAINS};`;
  return `
@compute @workgroup_size(${size})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4f(p.factor);
${chains.map((i) => `  var c${i} = vec4f(f32(id.x + ${i}u)) * p.factor;`).join('\n')}
  for (var round = 0u; round < p.rounds; round++) {
${Array.from({ length: STEPS }, () => `    ${chains.map(step).join(' ')}`).join('\n')}
  }
  let sum = ${chains.map((i) => `c${i}`).join(' + ')};
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}`;
}

const arithmetic = (size: number, fused: boolean): Kernel => ({
  name: 'ceiling arithmetic',
  key: `${size} ${fused}`,
  buffers: [{ name: 'y', type: 'array<f32>', access: 'read_write' }],
  params: [
    ['rounds', 'u32'],
    ['factor', 'f32'],
  ],
  code: () => arithmeticCode(size, fused),
});

const copy = (size: number): Kernel => ({
  name: 'ceiling copy',
  key: `${size}`,
  buffers: [
    { name: 'x', type: 'array<vec4f>', access: 'read' },
    { name: 'y', type: 'array<vec4f>', access: 'read_write' },
  ],
  params: [['width', 'u32']],
  code: () => `
@compute @workgroup_size(${size})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y * p.width + id.x;
  y[i] = x[i];
}`,
});

/** Work that fills a device: threads of the arithmetic kernel, bytes of each buffer of the copy, and how long a measurement should take. */
const GPU = { size: 256, groups: 2048, rounds: 256, copyBytes: 2 ** 28, runMs: 20 };
/** Software devices are thousands of times slower, and their caches are those of the processor. */
const SOFTWARE = { size: 64, groups: 16, rounds: 16, copyBytes: 2 ** 20, runMs: 10 };
const RUNS = 5;

/**
 * Measures the limits of a device. The fastest of several runs counts, since other work on the device can only slow it down.
 *
 * @throws OutOfMemoryError if the device has no room for the two buffers of the copy (256 MiB each, or what its limits allow)
 */
export async function measureCeiling(queue: GpuQueue & Timeable): Promise<DeviceCeiling> {
  const plan = queue.software ? SOFTWARE : GPU;
  return { gflops: await arithmeticSpeed(queue, plan), gbs: await copySpeed(queue, plan) };
}

async function arithmeticSpeed(queue: GpuQueue & Timeable, { size, groups, rounds: first, runMs }: typeof GPU): Promise<number> {
  // SwiftShader computes a fused multiply-add more slowly than a product and a sum.
  const kernel = arithmetic(size, !queue.software);
  const y = queue.scratch(4 * size * groups);
  try {
    let rounds = first;
    const run = () => queue.launch(kernel, [y], [rounds, 0.5], [groups]);
    let ms = await fastest(queue, run, 2);
    while (ms < runMs && rounds < 2 ** 24) {
      rounds = Math.ceil(rounds * Math.min(Math.max((1.2 * runMs) / ms, 2), 16));
      ms = await fastest(queue, run, 1);
    }
    ms = await fastest(queue, run, RUNS);
    return (ROUND_FLOP * rounds * size * groups) / ms / 1e6;
  } finally {
    queue.release(y);
  }
}

async function copySpeed(queue: GpuQueue & Timeable, { size, copyBytes }: typeof GPU): Promise<number> {
  const most = Math.min(copyBytes, 2 ** Math.floor(Math.log2(queue.limits.maxBufferBytes)));
  const groups = most / 16 / size;
  const wide = Math.min(groups, 2 ** 15);
  const [x, y] = [queue.scratch(most), queue.scratch(most)];
  try {
    const ms = await fastest(queue, () => queue.launch(copy(size), [x, y], [wide * size], [wide, groups / wide]), RUNS + 1);
    return (2 * most) / ms / 1e6;
  } finally {
    queue.release(x);
    queue.release(y);
  }
}

/** Runs a launch several times. Returns the time of the fastest run, in milliseconds. */
async function fastest(queue: Timeable, run: () => void, runs: number): Promise<number> {
  const timing = startTiming(queue);
  for (let i = 0; i < runs; i++) run();
  const { dispatches, note } = await timing.end();
  // Where the clock is rounded, or the processor's, single runs are inexact.
  if (note !== undefined) return (dispatches[runs - 1].end - dispatches[0].start) / runs;
  return Math.min(...dispatches.map(({ start, end }) => end - start));
}
