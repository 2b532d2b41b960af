/**
 * Building blocks of kernels: one thread per element, or the lanes of one workgroup per row. A row kernel with one lane is a kernel of one
 * thread per row, for rows of a few elements; both come from one source.
 */
import type { Storage } from '../../backend.js';
import type { GpuStorage } from '../buffers.js';
import { FLAT_SIZE, flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { FLAT_INDEX, FLAT_MAIN } from '../wgsl.js';

/** Returns the entry point of a kernel that runs `body` once for each `i` below the parameter `count`. */
export const eachElement = (body: string): string => `${FLAT_MAIN}\n${body}\n}\n`;

/** How the values of the lanes of a row are combined: WGSL type, and result of a and b. */
const COMBINATIONS = {
  sum: ['f32', 'a + b'],
  max: ['f32', 'nanMax(a, b)'],
  min: ['f32', 'nanMin(a, b)'],
  best: ['vec2u', 'select(b, a, a.x > b.x || (a.x == b.x && a.y < b.y))'],
} as const;
type Combination = keyof typeof COMBINATIONS;

/** The combination of one lane: its own value. */
const ownValue = (name: Combination) =>
  `fn ${name}Lanes(value: ${COMBINATIONS[name][0]}, lane: u32) -> ${COMBINATIONS[name][0]} { return value; }`;

/** Rows of at most this many elements have one thread. */
const SHORT_ROW = 32;

/**
 * Returns the number of lanes that share a row. It decides the order of sums, so it depends on the length of the rows and the device only.
 * Barriers of large workgroups are slow on a CPU.
 */
export function lanesFor(queue: GpuQueue, columns: number): number {
  if (columns <= SHORT_ROW) return 1;
  return queue.software || columns <= 512 ? 64 : 256;
}

/** Returns the groups of a kernel with `lanes` lanes per row. */
export const rowGroups = (rows: number, lanes: number): [number, number] => (lanes === 1 ? flatGroups(rows) : flatGroups(rows, 1));

/**
 * Returns the entry point of a kernel that runs `body` for each `row` below the parameter `rows`, with `lane` and the constant `LANES`.
 * `combine` names the functions that the body uses: `sumLanes`, `maxLanes` and `minLanes` of floats, with NaN if a value is NaN, and
 * `bestLanes` of pairs (rank, index), the largest rank and the smallest index of that rank. Every lane must call them, and gets the
 * result. `max` and `min` need `BITS` and `NAN_MAX` of wgsl.ts.
 */
export function eachRow(lanes: number, combine: readonly Combination[], body: string): string {
  if (lanes === 1)
    return `
${FLAT_INDEX}
const LANES = 1u;
${combine.map(ownValue).join('\n')}
@compute @workgroup_size(${FLAT_SIZE})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = flatIndex(id, groups);
  let lane = 0u;
  if (row >= p.rows) { return; }
${body}
}
`;
  const functions = combine.map((name) => {
    const [type, operation] = COMBINATIONS[name];
    const shared = type === 'f32' ? 'shared_values' : 'shared_pairs';
    return `
fn ${name}Lanes(value: ${type}, lane: u32) -> ${type} {
  workgroupBarrier(); // the result before may still be read
  ${shared}[lane] = value;
  for (var width = LANES / 2u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      let a = ${shared}[lane];
      let b = ${shared}[lane + width];
      ${shared}[lane] = ${operation};
    }
  }
  workgroupBarrier();
  return ${shared}[0];
}`;
  });
  return `
const LANES = ${lanes}u;
var<workgroup> shared_values: array<f32, ${lanes}>;
var<workgroup> shared_pairs: array<vec2u, ${lanes}>;
${functions.join('')}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= p.rows) { return; }
${body}
}
`;
}

/** Returns a function that makes each value once and keeps it. */
export function memo<K extends string | number, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    let value = made.get(key);
    if (value === undefined) {
      value = make(key);
      made.set(key, value);
    }
    return value;
  };
}

/** A binding that is only read. */
export const reads = (name: string, type = 'f32') => ({ name, type: `array<${type}>`, access: 'read' }) as const;
/** A binding that is written. */
export const writes = (name: string, type = 'f32') => ({ name, type: `array<${type}>`, access: 'read_write' }) as const;
/** Parameters of one type: `fields('u32', 'rows', 'columns')`. */
export const fields = (type: 'u32' | 'i32' | 'f32', ...names: string[]): Kernel['params'] => names.map((name) => [name, type] as const);

/** Returns the storages of a launch as the queue knows them. */
export const ownAll = (queue: GpuQueue, storages: readonly Storage[]): GpuStorage[] => storages.map((each) => queue.own(each));
