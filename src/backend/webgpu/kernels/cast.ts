/** Constants and conversions. Each thread of a conversion handles four elements, so that it writes a whole word of uint8. */
import type { Backend, DType } from '../../backend.js';
import { DTypeError } from '../../errors.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS, FLAT_MAIN } from '../wgsl.js';
import { vectorsOf } from './flat.js';

const FILL: Kernel = {
  name: 'fill',
  key: '',
  buffers: [{ name: 'y', type: 'array<vec4u>', access: 'read_write' }],
  params: [
    ['count', 'u32'],
    ['pattern', 'u32'],
  ],
  code: () => `${FLAT_MAIN}
  y[i] = vec4u(p.pattern);
}`,
};

const bits = new DataView(new ArrayBuffer(4));

/** Returns the bits of `value` in this type, repeated to fill a 32-bit word. */
function pattern(dtype: DType, value: number): number {
  if (dtype === 'float32') bits.setFloat32(0, value);
  else if (dtype === 'int32') bits.setInt32(0, value);
  else bits.setUint32(0, (value & 0xff) * 0x01010101);
  return bits.getUint32(0);
}

export const fill =
  (queue: GpuQueue): Backend['fill'] =>
  (y, value) => {
    const owned = queue.own(y);
    if (y.size === 0) return;
    const vectors = vectorsOf(owned);
    queue.launch(FILL, [owned], [vectors, pattern(y.dtype, value)], flatGroups(vectors));
  };

/** Type of four elements in a buffer, how they are loaded as a vector, and how a vector is stored. */
const TYPES: Readonly<Partial<Record<DType, { array: string; load: string; store: (vector: string) => string }>>> = {
  float32: { array: 'array<vec4f>', load: 'x[i]', store: (vector) => vector },
  int32: { array: 'array<vec4i>', load: 'x[i]', store: (vector) => vector },
  uint8: {
    array: 'array<u32>',
    load: 'vec4i(vec4u(x[i], x[i] >> 8u, x[i] >> 16u, x[i] >> 24u) & vec4u(0xffu))',
    store: (vector) => `pack(${vector})`,
  },
};

/** Truncates the fraction and clamps to int32; NaN becomes 0. */
const TO_INT = `${BITS}
fn toInt1(x: f32) -> i32 {
  if (isNan(x)) { return 0; }
  if (x >= 2147483648.0) { return 2147483647; }
  if (x <= -2147483648.0) { return -2147483647 - 1; }
  return i32(x);
}
fn toInt(x: vec4f) -> vec4i { return vec4i(toInt1(x.x), toInt1(x.y), toInt1(x.z), toInt1(x.w)); }`;
const PACK = `
fn pack(x: vec4i) -> u32 {
  let c = vec4u(clamp(x, vec4i(0), vec4i(255)));
  return c.x | (c.y << 8u) | (c.z << 16u) | (c.w << 24u);
}`;

function castKernel(to: DType, from: DType): Kernel {
  const [target, source] = [TYPES[to]!, TYPES[from]!];
  const isFloat = (dtype: DType) => dtype === 'float32';
  const converted =
    isFloat(to) && !isFloat(from) ? `vec4f(${source.load})` : !isFloat(to) && isFloat(from) ? `toInt(${source.load})` : source.load;
  return {
    name: 'cast',
    key: `${from} to ${to}`,
    buffers: [
      { name: 'y', type: target.array, access: 'read_write' },
      { name: 'x', type: source.array, access: 'read' },
    ],
    params: [['count', 'u32']],
    code: () => `${TO_INT}${PACK}
${FLAT_MAIN}
  y[i] = ${target.store(converted)};
}`,
  };
}

const COPY: Kernel = {
  name: 'copy',
  key: '',
  buffers: [
    { name: 'y', type: 'array<vec4u>', access: 'read_write' },
    { name: 'x', type: 'array<vec4u>', access: 'read' },
  ],
  params: [['count', 'u32']],
  code: () => `${FLAT_MAIN}
  y[i] = x[i];
}`,
};

const kernels = new Map<string, Kernel>();

export const cast =
  (queue: GpuQueue): Backend['cast'] =>
  (y, x) => {
    const [to, from] = [queue.own(y), queue.own(x)];
    if (!TYPES[y.dtype] || !TYPES[x.dtype])
      throw new DTypeError(`cast: the webgpu backend has no conversion from ${x.dtype} to ${y.dtype}`);
    if (y.size === 0) return;
    if (y.dtype === x.dtype) {
      queue.launch(COPY, [to, from], [vectorsOf(to)], flatGroups(vectorsOf(to)));
      return;
    }
    const key = `${x.dtype} ${y.dtype}`;
    let kernel = kernels.get(key);
    if (!kernel) {
      kernel = castKernel(y.dtype, x.dtype);
      kernels.set(key, kernel);
    }
    const vectors = Math.ceil(y.size / 4);
    queue.launch(kernel, [to, from], [vectors], flatGroups(vectors));
  };
