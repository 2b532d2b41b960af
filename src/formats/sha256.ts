/** SHA-256 (FIPS 180-4), by the runtime's synchronous implementation (Node, Bun, Deno) or else in TypeScript. */
import { nodeProcess } from '../backend/node_module.js';

/** Returns the SHA-256 digest of the concatenated chunks as 64 lower-case hexadecimal digits. */
export function sha256(...chunks: readonly Uint8Array[]): string {
  const native = nativeHash();
  if (!native) return portableSha256(...chunks);
  for (const chunk of chunks) native.update(chunk);
  return native.digest('hex');
}

interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

type Modules = { getBuiltinModule?: (name: string) => { createHash(algorithm: string): Hash } | undefined };

/** Returns the runtime's hash, or null. `crypto.subtle` is not used: it is asynchronous, and checkpoints are encoded synchronously. */
function nativeHash(): Hash | null {
  try {
    return (nodeProcess as Modules | undefined)?.getBuiltinModule?.('node:crypto')?.createHash('sha256') ?? null;
  } catch {
    return null;
  }
}

/** First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND_CONSTANTS = Int32Array.from(firstPrimes(64), (prime) => fraction32(Math.cbrt(prime)));
/** First 32 bits of the fractional parts of the square roots of the first 8 primes. */
const INITIAL = Int32Array.from(firstPrimes(8), (prime) => fraction32(Math.sqrt(prime)));

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}

function fraction32(value: number): number {
  return Math.floor((value % 1) * 2 ** 32) | 0;
}

/** Computes SHA-256 in TypeScript, for runtimes without a synchronous implementation. */
export function portableSha256(...chunks: readonly Uint8Array[]): string {
  const state = INITIAL.slice();
  const schedule = new Int32Array(64);
  const rest = new Uint8Array(128);
  let held = 0;
  let total = 0;
  for (const chunk of chunks) {
    total += chunk.length;
    let at = 0;
    if (held > 0) {
      at = Math.min(64 - held, chunk.length);
      rest.set(chunk.subarray(0, at), held);
      held += at;
      if (held < 64) continue;
      compress(state, schedule, rest, 0, 64);
      held = 0;
    }
    const whole = chunk.length - ((chunk.length - at) % 64);
    compress(state, schedule, chunk, at, whole);
    rest.set(chunk.subarray(whole), 0);
    held = chunk.length - whole;
  }
  const end = held < 56 ? 64 : 128;
  rest.fill(0, held, end);
  rest[held] = 0x80;
  const view = new DataView(rest.buffer);
  view.setUint32(end - 8, Math.floor(total / 2 ** 29));
  view.setUint32(end - 4, (total * 8) >>> 0);
  compress(state, schedule, rest, 0, end);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

/**
 * Updates the state with the blocks of 64 bytes from `start` to `end`. Each sum is truncated to 32 bits at once, so that the JavaScript
 * engine keeps it an integer.
 */
function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array, start: number, end: number): void {
  const k = ROUND_CONSTANTS;
  for (let at = start; at < end; at += 64) {
    for (let i = 0, from = at; i < 16; i++, from += 4)
      w[i] = (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (((w[i - 16] + s0) | 0) + ((w[i - 7] + s1) | 0)) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (((((h + s1) | 0) + ((e & f) ^ (~e & g))) | 0) + ((k[i] + w[i]) | 0)) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] = (state[0] + a) | 0;
    state[1] = (state[1] + b) | 0;
    state[2] = (state[2] + c) | 0;
    state[3] = (state[3] + d) | 0;
    state[4] = (state[4] + e) | 0;
    state[5] = (state[5] + f) | 0;
    state[6] = (state[6] + g) | 0;
    state[7] = (state[7] + h) | 0;
  }
}
