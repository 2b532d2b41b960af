/**
 * Convolution and its two gradients: describes them to the kernels of assembly/conv2d.ts, which pack matrices straight from
 * images, and picks between the two ways to the input gradient by shape.
 */
import type { Backend } from '../backend.js';
import type { ConvParams } from '../params.js';
import type { WasmEngine } from './engine.js';
import { gemmKernel, grainOf, KC, roundUp, splitProduct } from './gemm.js';

/** `ConvShape` of assembly/conv2d.ts, field by field. */
interface ConvShape {
  n: number;
  groups: number;
  outputs: number;
  channels: number;
  kh: number;
  kw: number;
  gridH: number;
  gridW: number;
  xImage: number;
  xGroup: number;
  xTapC: number;
  xTapH: number;
  xTapW: number;
  xGridH: number;
  xGridW: number;
  yImage: number;
  yGroup: number;
  yOutput: number;
  yGridH: number;
  yGridW: number;
  unitRows: number;
  unitColumns: number;
}

const SHAPE_FIELDS = [
  'n',
  'groups',
  'outputs',
  'channels',
  'kh',
  'kw',
  'gridH',
  'gridW',
  'xImage',
  'xGroup',
  'xTapC',
  'xTapH',
  'xTapW',
  'xGridH',
  'xGridW',
  'yImage',
  'yGroup',
  'yOutput',
  'yGridH',
  'yGridW',
  'unitRows',
  'unitColumns',
] as const satisfies readonly (keyof ConvShape)[];

/** Rows of output channels that one unit computes at most: its tiles should stay in the second cache. */
const UNIT_ROWS = 512;
/** With fewer pixels than this, the pixels of all images are lined up before weight gradients are summed over them. */
const SHORT_PLANE = 192;
/** With fewer input channels than this, the input gradient goes by col2im: a convolution would have too few rows. */
const FEW_CHANNELS = 12;

export const conv2d = (engine: WasmEngine): Pick<Backend, 'conv2d' | 'conv2dInputGrad' | 'conv2dWeightGrad'> => ({
  conv2d(y, x, w, b, p, relu) {
    if (p.n === 0 || p.o === 0) return;
    const bias = b === null ? 0 : engine.pointer(b);
    padded(engine, engine.pointer(x), p.n * p.c, p.h, p.w, p.padTop, p.padLeft, p.padBottom, p.padRight, (images, h, width) => {
      run(engine, engine.pointer(y), images, engine.pointer(w), bias, relu, forwardShape(p, h, width));
    });
  },

  conv2dInputGrad(dx, dy, w, p) {
    if (p.n === 0 || p.c === 0) return;
    if (isConvolution(p)) gradByConvolution(engine, engine.pointer(dx), engine.pointer(dy), engine.pointer(w), p);
    else gradByColumns(engine, engine.pointer(dx), engine.pointer(dy), engine.pointer(w), p);
  },

  conv2dWeightGrad(dw, x, dy, p) {
    if (p.o === 0 || p.c === 0) return;
    if (p.n === 0) {
      engine.kernels.zeroFill(engine.pointer(dw), dw.size);
      return;
    }
    const plane = p.oh * p.ow;
    padded(engine, engine.pointer(x), p.n * p.c, p.h, p.w, p.padTop, p.padLeft, p.padBottom, p.padRight, (images, h, width) => {
      const shape = forwardShape(p, h, width);
      const split = splitProduct(engine, shape.outputs, shape.channels * p.kh * p.kw, p.n * plane, p.groups, UNIT_ROWS);
      Object.assign(shape, { unitRows: split.unitRows, unitColumns: split.unitColumns });
      const sum = (from: number, parts: number, pixels: number, partStep: number, dyOutput: number) => {
        reserve(engine, shape.channels * p.kh * p.kw + 16 + KC, shape);
        const [kernel, to, at] = [gemmKernel(engine), engine.pointer(dw), describe(engine, shape)];
        engine.parallel('conv2dWeightGrad', split.units, split.grain, kernel, to, images, from, parts, pixels, partStep, dyOutput, at);
      };
      if (p.n === 1 || plane >= SHORT_PLANE) {
        sum(engine.pointer(dy), p.n, plane, p.o * plane, plane);
        return;
      }
      engine.temporary(dy.size * 4, (lined) => {
        engine.parallel('gatherChannels', p.o, grainOf(p.o, 8 * dy.size), lined, engine.pointer(dy), p.n, p.o, plane);
        sum(lined, 1, p.n * plane, 0, p.n * plane);
      });
    });
  },
});

/** Shape of the forward convolution over images with their padding, `h` × `w`. */
function forwardShape(p: ConvParams, h: number, w: number): ConvShape {
  const outputs = p.o / p.groups;
  const channels = p.c / p.groups;
  return {
    n: p.n,
    groups: p.groups,
    outputs,
    channels,
    kh: p.kh,
    kw: p.kw,
    gridH: p.oh,
    gridW: p.ow,
    xImage: p.c * h * w,
    xGroup: channels * h * w,
    xTapC: h * w,
    xTapH: p.dilationH * w,
    xTapW: p.dilationW,
    xGridH: p.strideH * w,
    xGridW: p.strideW,
    yImage: p.o * p.oh * p.ow,
    yGroup: outputs * p.oh * p.ow,
    yOutput: p.oh * p.ow,
    yGridH: p.ow,
    yGridW: 1,
    unitRows: 0,
    unitColumns: 0,
  };
}

/** Cuts a convolution into units and runs it. */
function run(engine: WasmEngine, y: number, x: number, w: number, b: number, relu: boolean, shape: ConvShape): void {
  const taps = shape.channels * shape.kh * shape.kw;
  const split = splitProduct(engine, shape.outputs, shape.n * shape.gridH * shape.gridW, taps, shape.groups, UNIT_ROWS);
  Object.assign(shape, { unitRows: split.unitRows, unitColumns: split.unitColumns });
  reserve(engine, taps + 3 * split.unitColumns, shape);
  engine.parallel('conv2d', split.units, split.grain, gemmKernel(engine), y, x, w, b, relu ? 1 : 0, describe(engine, shape));
}

/** Scratch for so many addresses, a block of B and the tiles of C. */
function reserve(engine: WasmEngine, addresses: number, shape: ConvShape): void {
  const numbers = addresses + shape.unitColumns / 16 + KC / 16 + (KC + shape.unitRows) * shape.unitColumns;
  engine.reserveScratch(numbers * 4 + 8 * 64);
}

/** Puts the shape where kernels can read it. */
function describe(engine: WasmEngine, shape: ConvShape): number {
  return engine.parameters(SHAPE_FIELDS.map((field) => shape[field]));
}

/** Hands over planes with a border of zeros: the planes themselves where there is none. */
function padded(
  engine: WasmEngine,
  x: number,
  planes: number,
  h: number,
  w: number,
  top: number,
  left: number,
  bottom: number,
  right: number,
  use: (images: number, h: number, w: number) => void,
): void {
  if (top + left + bottom + right === 0) return use(x, h, w);
  const paddedH = h + top + bottom;
  const paddedW = w + left + right;
  engine.temporary(planes * paddedH * paddedW * 4, (to) => {
    engine.parallel('pad2d', planes, grainOf(planes, 8 * planes * paddedH * paddedW), to, x, h, w, paddedH, paddedW, top, left);
    use(to, paddedH, paddedW);
  });
}

/**
 * Along one axis, input pixels ih with (ih + pad) mod stride = phase meet the taps phase, phase + stride, ...: a convolution of
 * dy with these taps, turned around, at stride 1. With stride 1 there is one phase, and dilation may be any.
 */
interface Phase {
  /** First input pixel, and how many, `stride` apart. */
  first: number;
  count: number;
  /** How many taps, and the first of them. */
  taps: number;
  tap: number;
  /** Where in dy the first input pixel's window begins; may lie before its start. */
  start: number;
  /** Where the last pixel's window ends. */
  end: number;
}

function phases(size: number, kernel: number, stride: number, pad: number, dilation: number): Phase[] {
  const list: Phase[] = [];
  for (let phase = 0; phase < stride; phase++) {
    const first = (((phase - pad) % stride) + stride) % stride;
    const count = Math.max(0, Math.ceil((size - first) / stride));
    const taps = stride === 1 ? kernel : Math.max(0, Math.ceil((kernel - phase) / stride));
    const middle = (first + pad - phase) / stride;
    const start = middle - (taps - 1) * dilation;
    list.push({ first, count, taps, tap: phase, start, end: middle + count });
  }
  return list;
}

/** Whether the input gradient is computed as convolutions. Decided by the shape alone, since the two ways round differently. */
function isConvolution(p: ConvParams): boolean {
  if ((p.strideH > 1 && p.dilationH > 1) || (p.strideW > 1 && p.dilationW > 1)) return false;
  if (p.c / p.groups < ((globalThis as any).FEW ?? FEW_CHANNELS)) return false;
  return true;
}

function gradByConvolution(engine: WasmEngine, dx: number, dy: number, w: number, p: ConvParams): void {
  const outputs = p.c / p.groups;
  const channels = p.o / p.groups;
  const vertical = phases(p.h, p.kh, p.strideH, p.padTop, p.dilationH);
  const horizontal = phases(p.w, p.kw, p.strideW, p.padLeft, p.dilationW);
  const used = (list: Phase[]) => list.filter((phase) => phase.count > 0 && phase.taps > 0);
  const rows = used(vertical);
  const columns = used(horizontal);
  // Pixels that no tap reaches.
  if (rows.length * columns.length < vertical.length * horizontal.length) engine.kernels.zeroFill(dx, p.n * p.c * p.h * p.w);
  if (rows.length === 0 || columns.length === 0) return;
  const top = Math.max(0, ...rows.map((phase) => -phase.start));
  const left = Math.max(0, ...columns.map((phase) => -phase.start));
  const bottom = Math.max(0, ...rows.map((phase) => phase.end - p.oh));
  const right = Math.max(0, ...columns.map((phase) => phase.end - p.ow));
  padded(engine, dy, p.n * p.o, p.oh, p.ow, top, left, bottom, right, (images, h, width) => {
    const most = rows[0].taps * columns[0].taps;
    engine.temporary(p.groups * outputs * channels * most * 4, (flipped) => {
      for (const row of rows) {
        for (const column of columns) {
          const units = p.c;
          const [firstH, firstW] = [row.tap + (row.taps - 1) * p.strideH, column.tap + (column.taps - 1) * p.strideW];
          const grain = grainOf(units, 32 * p.c * channels * row.taps * column.taps);
          engine.parallel(
            'conv2dFlip',
            units,
            grain,
            flipped,
            w,
            channels,
            outputs,
            p.kh,
            p.kw,
            firstH,
            p.strideH,
            row.taps,
            firstW,
            p.strideW,
            column.taps,
          );
          const from = images + ((row.start + top) * width + column.start + left) * 4;
          run(engine, dx + (row.first * p.w + column.first) * 4, from, flipped, 0, false, {
            n: p.n,
            groups: p.groups,
            outputs,
            channels,
            kh: row.taps,
            kw: column.taps,
            gridH: row.count,
            gridW: column.count,
            xImage: p.o * h * width,
            xGroup: channels * h * width,
            xTapC: h * width,
            xTapH: p.dilationH * width,
            xTapW: p.dilationW,
            xGridH: width,
            xGridW: 1,
            yImage: p.c * p.h * p.w,
            yGroup: outputs * p.h * p.w,
            yOutput: p.h * p.w,
            yGridH: p.strideH * p.w,
            yGridW: p.strideW,
            unitRows: 0,
            unitColumns: 0,
          });
        }
      }
    });
  });
}

function gradByColumns(engine: WasmEngine, dx: number, dy: number, w: number, p: ConvParams): void {
  const outputs = p.o / p.groups;
  const channels = p.c / p.groups;
  const taps = p.kh * p.kw;
  const plane = p.oh * p.ow;
  // These two decide in which order sums are taken, so they depend on the shape alone.
  const unitImages = Math.min(p.n, Math.ceil(96 / plane));
  const unitColumns = Math.min(192, roundUp(unitImages * plane, 16));
  const most = Math.max(1, Math.floor(512 / taps));
  const imageUnits = Math.ceil(p.n / unitImages) * p.groups;
  const wanted = Math.max(Math.ceil(channels / most), Math.min(channels, Math.ceil((2 * engine.threads - 1) / imageUnits)));
  const unitChannels = Math.ceil(channels / wanted);
  const units = imageUnits * Math.ceil(channels / unitChannels);
  const shape: ConvShape = {
    n: p.n,
    groups: p.groups,
    outputs: 0,
    channels: outputs,
    kh: 1,
    kw: 1,
    gridH: p.oh,
    gridW: p.ow,
    xImage: p.o * plane,
    xGroup: outputs * plane,
    xTapC: plane,
    xTapH: 0,
    xTapW: 0,
    xGridH: p.ow,
    xGridW: 1,
    yImage: 0,
    yGroup: 0,
    yOutput: 0,
    yGridH: 0,
    yGridW: 0,
    unitRows: unitChannels * taps,
    unitColumns,
  };
  const geometry = [channels, p.kh, p.kw, p.h, p.w, p.strideH, p.strideW, p.padTop, p.padLeft, p.dilationH, p.dilationW];
  reserve(engine, outputs + 3 * unitColumns, shape);
  const columnsOfW = channels * taps;
  engine.temporary(p.groups * columnsOfW * outputs * 4, (turned) => {
    for (let g = 0; g < p.groups; g++) {
      const offset = g * columnsOfW * outputs * 4;
      const quads = Math.ceil(columnsOfW / 4);
      const grain = grainOf(quads, 16 * columnsOfW * outputs);
      engine.parallel('transpose', quads, grain, turned + offset, outputs, w + offset, columnsOfW, outputs, columnsOfW);
    }
    const grain = grainOf(units, 2 * p.n * p.o * channels * taps * plane);
    const [kernel, at, window] = [gemmKernel(engine), describe(engine, shape), engine.parameters(geometry)];
    engine.parallel('conv2dInputGrad', units, grain, kernel, dx, dy, turned, at, window, unitChannels, unitImages);
  });
}
