/** Crops of 8-bit images without the mean image: one thread per element of the output. */
import type { Backend } from '../../backend.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { FLAT_MAIN } from '../wgsl.js';
import { expect } from './dtype.js';

const CUT: Kernel = {
  name: 'cutCrops',
  key: '',
  buffers: [
    { name: 'y', type: 'array<f32>', access: 'read_write' },
    { name: 'pixels', type: 'array<u32>', access: 'read' },
    { name: 'mean', type: 'array<f32>', access: 'read' },
    { name: 'places', type: 'array<vec4i>', access: 'read' },
  ],
  params: [
    ['count', 'u32'],
    ['channels', 'u32'],
    ['side', 'u32'],
    ['size', 'u32'],
    ['scale0', 'f32'],
    ['scale1', 'f32'],
    ['scale2', 'f32'],
  ],
  code: () => /* wgsl */ `${FLAT_MAIN}
  let column = i % p.size;
  let row = i / p.size % p.size;
  let c = i / (p.size * p.size) % p.channels;
  let place = places[i / (p.size * p.size * p.channels)];
  let left = select(column, p.size - 1u - column, place.w != 0);
  let at = (u32(place.y) + row) * p.side + u32(place.z) + left;
  let byte = (u32(place.x) * p.side * p.side + at) * p.channels + c;
  let pixel = f32((pixels[byte / 4u] >> (8u * (byte % 4u))) & 0xffu);
  let scale = select(select(p.scale2, p.scale1, c == 1u), p.scale0, c == 0u);
  y[i] = (pixel - mean[c * p.side * p.side + at]) * scale;
}`,
};

export const cutCrops = (queue: GpuQueue): Required<Pick<Backend, 'cutCrops'>> => ({
  cutCrops({ y }, { pixels, mean, places }, { channels, side, size, scales }) {
    expect('cutCrops', 'float32', y, mean);
    expect('cutCrops', 'uint8', pixels);
    expect('cutCrops', 'int32', places);
    if (y.size === 0) return;
    const [scale0, scale1 = 0, scale2 = 0] = scales;
    const storages = [y, pixels, mean, places].map((storage) => queue.own(storage));
    queue.launch(CUT, storages, [y.size, channels, side, size, scale0, scale1, scale2], flatGroups(y.size));
  },
});
