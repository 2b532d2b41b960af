/**
 * Convolutions without tiles, for groups of few channels (as in a depthwise convolution), where most of a tile would be empty, and for input
 * gradients whose many phases would be small products.
 */
import type { ConvParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { RELU } from './gemm.js';

/**
 * One thread per output element. Row `y`, with tap t, reads source row (y · mulY + offsetY + t · tapY) / divY where the division has no
 * remainder: a forward convolution divides by 1, an input gradient by the stride.
 */
const GATHER: Kernel = {
  name: 'conv2d direct',
  key: '',
  buffers: [
    { name: 'out', type: 'array<f32>', access: 'read_write' },
    { name: 'x', type: 'array<f32>', access: 'read' },
    { name: 'w', type: 'array<f32>', access: 'read' },
    { name: 'b', type: 'array<f32>', access: 'read' },
  ],
  params: [
    ['count', 'u32'],
    ['outW', 'u32'],
    ['outH', 'u32'],
    ['outChannels', 'u32'],
    ['rows', 'u32'],
    ['channels', 'u32'],
    ['sourceChannels', 'u32'],
    ['sourceH', 'i32'],
    ['sourceW', 'i32'],
    ['mulY', 'i32'],
    ['mulX', 'i32'],
    ['offsetY', 'i32'],
    ['offsetX', 'i32'],
    ['tapY', 'i32'],
    ['tapX', 'i32'],
    ['divY', 'i32'],
    ['divX', 'i32'],
    ['kh', 'u32'],
    ['kw', 'u32'],
    ['weightRow', 'u32'],
    ['weightChannel', 'u32'],
    ['bias', 'u32'],
    ['relu', 'u32'],
  ],
  code: () => /* wgsl */ `
${RELU}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) { return; }
  let plane = p.outH * p.outW;
  let outChannel = i / plane % p.outChannels;
  let group = outChannel / p.rows;
  let y0 = i32(i % plane / p.outW) * p.mulY + p.offsetY;
  let x0 = i32(i % p.outW) * p.mulX + p.offsetX;
  let image = i / plane / p.outChannels;
  let weight0 = group * p.rows * p.channels * p.kh * p.kw + (outChannel - group * p.rows) * p.weightRow;
  let source0 = i32(image * p.sourceChannels + group * p.channels) * p.sourceH;
  var sum = 0.0;
  for (var ky = 0u; ky < p.kh; ky++) {
    let y = y0 + i32(ky) * p.tapY;
    if (y < 0 || y % p.divY != 0 || y / p.divY >= p.sourceH) { continue; }
    for (var kx = 0u; kx < p.kw; kx++) {
      let x1 = x0 + i32(kx) * p.tapX;
      if (x1 < 0 || x1 % p.divX != 0 || x1 / p.divX >= p.sourceW) { continue; }
      var at = (source0 + y / p.divY) * p.sourceW + x1 / p.divX;
      var weight = weight0 + ky * p.kw + kx;
      for (var channel = 0u; channel < p.channels; channel++) {
        sum += x[at] * w[weight];
        at += p.sourceH * p.sourceW;
        weight += p.weightChannel;
      }
    }
  }
  if (p.bias != 0u) { sum += b[outChannel]; }
  if (p.relu != 0u) { sum = reluOf(sum); }
  out[i] = sum;
}
`,
};

/** y = x * w + b, with ReLU if asked for. */
export function directForward(
  queue: GpuQueue,
  { y, x, w, b }: { readonly [name in 'y' | 'x' | 'w']: GpuStorage } & { readonly b: GpuStorage | null },
  p: ConvParams,
  relu: boolean,
): void {
  const taps = p.kh * p.kw;
  const channels = p.c / p.groups;
  const values = [
    ...[y.size, p.ow, p.oh, p.o, p.o / p.groups, channels, p.c, p.h, p.w],
    ...[p.strideH, p.strideW, -p.padTop, -p.padLeft, p.dilationH, p.dilationW, 1, 1],
    ...[p.kh, p.kw, channels * taps, taps, b === null ? 0 : 1, relu ? 1 : 0],
  ];
  queue.launch(GATHER, [y, x, w, b ?? w], values, flatGroups(y.size, 64));
}

/** The gradient with respect to the input. */
export function directInputGrad(queue: GpuQueue, dx: GpuStorage, dy: GpuStorage, w: GpuStorage, p: ConvParams): void {
  const taps = p.kh * p.kw;
  const rows = p.c / p.groups;
  const values = [
    ...[dx.size, p.w, p.h, p.c, rows, p.o / p.groups, p.o, p.oh, p.ow],
    ...[1, 1, p.padTop, p.padLeft, -p.dilationH, -p.dilationW, p.strideH, p.strideW],
    ...[p.kh, p.kw, taps, rows * taps, 0, 0],
  ];
  queue.launch(GATHER, [dx, dy, w, w], values, flatGroups(dx.size, 64));
}

/** One workgroup per weight. Every thread adds every 64th pixel, in order; the sums of the threads are added as a binary tree. */
const WEIGHT: Kernel = {
  name: 'conv2dWeightGrad direct',
  key: '',
  buffers: [
    { name: 'dw', type: 'array<f32>', access: 'read_write' },
    { name: 'x', type: 'array<f32>', access: 'read' },
    { name: 'dy', type: 'array<f32>', access: 'read' },
  ],
  params: [
    ['count', 'u32'],
    ['pixels', 'u32'],
    ['o', 'u32'],
    ['c', 'u32'],
    ['oPerGroup', 'u32'],
    ['cPerGroup', 'u32'],
    ['kh', 'u32'],
    ['kw', 'u32'],
    ['oh', 'u32'],
    ['ow', 'u32'],
    ['h', 'i32'],
    ['w', 'i32'],
    ['strideH', 'i32'],
    ['strideW', 'i32'],
    ['padTop', 'i32'],
    ['padLeft', 'i32'],
    ['dilationH', 'i32'],
    ['dilationW', 'i32'],
  ],
  code: () => /* wgsl */ `
var<workgroup> sums: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  let number = id.x + id.y * groups.x;
  if (number >= p.count) { return; }
  let kx = number % p.kw;
  let ky = number / p.kw % p.kh;
  let channel = number / (p.kw * p.kh) % p.cPerGroup;
  let o = number / (p.kw * p.kh) / p.cPerGroup;
  let c = o / p.oPerGroup * p.cPerGroup + channel;
  let plane = p.oh * p.ow;
  var sum = 0.0;
  for (var pixel = t; pixel < p.pixels; pixel += 64u) {
    let image = pixel / plane;
    let place = pixel - image * plane;
    let oy = place / p.ow;
    let y = i32(oy) * p.strideH - p.padTop + i32(ky) * p.dilationH;
    let x1 = i32(place - oy * p.ow) * p.strideW - p.padLeft + i32(kx) * p.dilationW;
    if (u32(y) < u32(p.h) && u32(x1) < u32(p.w)) {
      sum += x[(i32(image * p.c + c) * p.h + y) * p.w + x1] * dy[(image * p.o + o) * plane + place];
    }
  }
  sums[t] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (t < half) { sums[t] += sums[t + half]; }
  }
  if (t == 0u) { dw[number] = sums[0]; }
}
`,
};

/** The gradient with respect to the weights. */
export function directWeightGrad(queue: GpuQueue, dw: GpuStorage, x: GpuStorage, dy: GpuStorage, p: ConvParams): void {
  const values = [
    ...[dw.size, p.n * p.oh * p.ow, p.o, p.c, p.o / p.groups, p.c / p.groups, p.kh, p.kw, p.oh, p.ow, p.h, p.w],
    ...[p.strideH, p.strideW, p.padTop, p.padLeft, p.dilationH, p.dilationW],
  ];
  queue.launch(WEIGHT, [dw, x, dy], values, flatGroups(dw.size, 1));
}
