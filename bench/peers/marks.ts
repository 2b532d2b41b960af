/** The targets relative to other engines, and whether this run met them. */
import type { Memory } from './memory.js';
import { hasReferenceBlas, type PeerName, type Task } from './readings.js';
import { type Compared, nameOf } from './speed.js';
import type { Sizes, Start } from './start.js';

export interface Mark {
  what: string;
  value: number;
  mark: number;
  /** Whether the value must be at least or at most the target. */
  bound: 'least' | 'most';
  unit: string;
  reached: boolean;
}

const mark = (what: string, value: number, bound: Mark['bound'], limit: number, unit: string): Mark => ({
  what,
  value,
  mark: limit,
  bound,
  unit,
  reached: bound === 'least' ? value >= limit : value <= limit,
});

/** Our speed divided by a peer's. */
interface Ratio {
  ours: PeerName;
  theirs: PeerName;
  least: number;
}

const RATIOS: Readonly<Record<Task['workload'], readonly Ratio[]>> = {
  'zfnet-forward': [
    { ours: 'zfnet fast', theirs: 'tfjs-wasm', least: 1.7 },
    { ours: 'zfnet', theirs: 'tfjs-wasm', least: 1.3 },
    { ours: 'zfnet fast', theirs: 'onnxruntime-node', least: 0.5 },
  ],
  'zfnet-train': [
    { ours: 'zfnet', theirs: 'tfjs-wasm', least: 8 },
    { ours: 'zfnet fast', theirs: 'pytorch', least: 0.75 },
  ],
  'lenet-train': [
    { ours: 'zfnet', theirs: 'tfjs-wasm', least: 10 },
    { ours: 'zfnet', theirs: 'jax-js', least: 10 },
  ],
};

export function speedMarks({ task, speeds }: Compared): Mark[] {
  return RATIOS[task.workload].flatMap(({ ours, theirs, least }) => {
    const [own, other] = [speeds[ours], speeds[theirs]];
    if (!own || !other || hasReferenceBlas(other.blas)) return [];
    return [mark(`${nameOf(task)}: ${ours} over ${theirs}`, own.imagesPerSecond / other.imagesPerSecond, 'least', least, '×')];
  });
}

export function memoryMarks(memory: readonly Memory[]): Mark[] {
  return memory.flatMap(({ task, ratio, heapBytes }) => [
    ...(ratio === null ? [] : [mark(`${nameOf(task)}: peak memory of PyTorch's`, ratio, 'most', 1, '×')]),
    ...(task.batch === 128 ? [mark(`${nameOf(task)}: heap`, heapBytes / 2 ** 30, 'most', 4, ' GiB')] : []),
  ]);
}

export function startMarks({ engineBytes, inlinedKernelBytes }: Sizes, { initMs, firstForwardMs }: Start): Mark[] {
  return [
    mark('init() in a fresh process', initMs, 'most', 50, ' ms'),
    mark('first forward pass of a small network', firstForwardMs, 'most', 100, ' ms'),
    mark('engine with its kernels, minified, gzip', (engineBytes + inlinedKernelBytes) / 1e3, 'most', 60, ' KB'),
  ];
}

export function markLine({ what, value, mark, bound, unit, reached }: Mark): string {
  const digits = (number: number) => Number(number.toPrecision(3));
  return `${reached ? 'reached' : 'NOT YET'}  ${what}: ${digits(value)}${unit} (at ${bound} ${mark}${unit})`;
}
