/**
 * Convolution and its two gradients, each with the algorithm that `conv2dPlan` chooses. This file computes the arguments of the kernels
 * in assembly/conv2d.ts, which pack matrices directly from the images.
 */
import type { Backend } from '../backend.js';
import type { ConvParams } from '../params.js';
import { conv2dPlan } from './conv2d_plan.js';
import { gemmKernel, grainOf, KC, MOVE_FLOP, roundUp, splitProduct, UNIT_COLUMNS } from './gemm.js';
import { addUp } from './reduce.js';
import type { WasmEngine } from './runtime/engine.js';
import { winogradForward, winogradInputGrad, winogradWeightGrad } from './winograd.js';

/** The class `ConvShape` of assembly/conv2d.ts. */
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
  unitRows: number;
  unitColumns: number;
}

/** The fields in their order in memory. */
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
  'unitRows',
  'unitColumns',
] as const satisfies readonly (keyof ConvShape)[];

/** Maximum number of output channels per unit, so that its tiles stay in the second-level cache. */
const UNIT_ROWS = 512;
/** A weight gradient with fewer units than this is cut into slices (partial sums) of at least `SLICE_PIXELS` pixels. */
const SLICES = 8;
const SLICE_PIXELS = 4 * KC;
/** With fewer pixels per plane than this, the weight gradient first gathers the pixels of all images channel by channel. */
const SHORT_PLANE = 192;
/** Channels per unit of `conv2dFlip`. */
const FLIP_CHANNELS = 8;

/** Creates the convolution kernels. Tests pass their own `plan`, to test every algorithm on every shape that it supports. */
export const conv2d = (
  engine: WasmEngine,
  plan = conv2dPlan,
): Pick<Backend, 'conv2d' | 'conv2dInputGrad' | 'conv2dWeightGrad' | 'conv2dPlan'> => ({
  conv2dPlan: (pass, p, inference = false) => plan(pass, p, { mode: engine.mode, inference }).variant,

  conv2d(y, x, w, b, p) {
    if (y.size === 0) return;
    const { relu, inference } = p;
    const [to, from, bias] = [engine.pointer(y), engine.readingPointer(x), b === null ? 0 : engine.readingPointer(b)];
    if (x.size === 0) {
      biasAlone(engine, to, y.size, bias, relu, p);
      return;
    }
    const { variant } = plan('forward', p, { mode: engine.mode, inference });
    if (variant === 'winograd2x2' || variant === 'winograd4x4') {
      winogradForward(engine, variant === 'winograd2x2' ? 2 : 4, to, from, w, bias, relu, p, inference);
      return;
    }
    padded(engine, from, p.n * p.c, p.h, p.w, p.padTop, p.padLeft, p.padBottom, p.padRight, (images, h, width) => {
      run(engine, to, images, engine.readingPointer(w), bias, relu, forwardShape(p, h, width));
    });
  },

  conv2dInputGrad(dx, dy, w, p) {
    if (dx.size === 0) return;
    if (dy.size === 0) {
      engine.kernels.zeroFill(engine.pointer(dx), dx.size);
      return;
    }
    const [to, from, weights] = [engine.pointer(dx), engine.readingPointer(dy), engine.readingPointer(w)];
    const { variant } = plan('inputGrad', p, { mode: engine.mode, inference: false });
    if (variant === 'winograd2x2') winogradInputGrad(engine, to, from, weights, p);
    else if (variant === 'col2im') gradByColumns(engine, to, from, weights, p);
    else gradByConvolution(engine, to, from, weights, p);
  },

  conv2dWeightGrad(dw, x, dy, p) {
    if (dw.size === 0) return;
    if (x.size === 0 || dy.size === 0) {
      engine.kernels.zeroFill(engine.pointer(dw), dw.size);
      return;
    }
    const { variant } = plan('weightGrad', p, { mode: engine.mode, inference: false });
    if (variant === 'winograd2x2') {
      winogradWeightGrad(engine, engine.pointer(dw), engine.readingPointer(x), engine.readingPointer(dy), p);
      return;
    }
    const plane = p.oh * p.ow;
    padded(engine, engine.pointer(x), p.n * p.c, p.h, p.w, p.padTop, p.padLeft, p.padBottom, p.padRight, (images, h, width) => {
      const shape = forwardShape(p, h, width);
      const flop = 2 * dw.size * p.n * plane;
      const taps = shape.channels * p.kh * p.kw;
      const slices = slicesOf(shape.outputs, taps, p.groups, p.n * plane);
      const split = splitProduct(engine, shape.outputs, taps, (p.n * plane) / slices, p.groups * slices, UNIT_ROWS);
      Object.assign(shape, { unitRows: split.unitRows, unitColumns: split.unitColumns });
      const sum = (from: number, parts: number, pixels: number, partStep: number, dyOutput: number) => {
        reserve(engine, taps + 16 + KC, shape);
        const run = (to: number) => {
          const [kernel, at] = [gemmKernel(engine, flop), describe(engine, shape)];
          const given = [parts, pixels, partStep, dyOutput, slices] as const;
          engine.parallel('conv2dWeightGrad', split.units, split.grain, kernel, to, images, from, ...given, at);
        };
        if (slices === 1) run(engine.pointer(dw));
        else
          engine.temporary(slices * dw.size * 4, (sums) => {
            run(sums);
            addUp(engine, engine.pointer(dw), sums, dw.size, slices);
          });
      };
      if (p.n === 1 || plane >= SHORT_PLANE) {
        sum(engine.pointer(dy), p.n, plane, p.o * plane, plane);
        return;
      }
      engine.temporary(dy.size * 4, (lined) => {
        engine.parallel('gatherChannels', p.o, grainOf(p.o, MOVE_FLOP * dy.size), lined, engine.pointer(dy), p.n, p.o, plane);
        sum(lined, 1, p.n * plane, 0, p.n * plane);
      });
    });
  },
});

/**
 * Returns the number of slices of a weight gradient. A gradient of few weights, each a sum over many pixels, would give too few units for
 * the threads, each of which would read all of dy. The number of slices affects rounding and therefore depends on the shape alone.
 */
function slicesOf(outputs: number, taps: number, groups: number, pixels: number): number {
  const products = groups * Math.ceil(outputs / UNIT_ROWS) * Math.ceil(taps / UNIT_COLUMNS);
  return Math.max(1, Math.min(Math.ceil(SLICES / products), Math.floor(pixels / SLICE_PIXELS)));
}

/** Returns the shape of the forward convolution over padded images of `h` × `w` pixels. */
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
    unitRows: 0,
    unitColumns: 0,
  };
}

/** Divides a convolution into units and runs it. */
function run(engine: WasmEngine, y: number, x: number, w: number, b: number, relu: boolean, shape: ConvShape): void {
  const taps = shape.channels * shape.kh * shape.kw;
  const split = splitProduct(engine, shape.outputs, shape.n * shape.gridH * shape.gridW, taps, shape.groups, UNIT_ROWS);
  Object.assign(shape, { unitRows: split.unitRows, unitColumns: split.unitColumns });
  reserve(engine, taps + 3 * split.unitColumns, shape);
  const kernel = gemmKernel(engine, 2 * shape.groups * shape.outputs * taps * shape.n * shape.gridH * shape.gridW);
  engine.parallel('conv2d', split.units, split.grain, kernel, y, x, w, b, relu ? 1 : 0, describe(engine, shape));
}

/** Reserves scratch memory for addresses, a block of B and the tiles of C. */
function reserve(engine: WasmEngine, addresses: number, shape: ConvShape): void {
  const numbers = addresses + shape.unitColumns / 16 + KC / 16 + (KC + shape.unitRows) * shape.unitColumns;
  engine.reserveScratch(numbers * 4 + 8 * 64);
}

/** Writes the result for an input without elements: the bias, or 0. */
function biasAlone(engine: WasmEngine, y: number, size: number, bias: number, relu: boolean, p: ConvParams): void {
  const { kernels } = engine;
  kernels.zeroFill(y, size);
  if (bias !== 0) kernels.channelAdd(y, bias, p.o, p.oh * p.ow, 0, p.n * p.o);
  if (relu) kernels.relu(y, y, 0, size);
}

/** Writes the shape to memory and returns its address. */
function describe(engine: WasmEngine, shape: ConvShape): number {
  return engine.parameters(SHAPE_FIELDS.map((field) => shape[field]));
}

/** Calls `use` with planes padded by zeros; without padding, with the planes themselves. */
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
  if (top + left + bottom + right === 0) {
    use(x, h, w);
    return;
  }
  const paddedH = h + top + bottom;
  const paddedW = w + left + right;
  engine.temporary(planes * paddedH * paddedW * 4, (to) => {
    engine.parallel('pad2d', planes, grainOf(planes, MOVE_FLOP * planes * paddedH * paddedW), to, x, h, w, paddedH, paddedW, top, left);
    use(to, paddedH, paddedW);
  });
}

/** Input gradient at stride 1: dx is the convolution of padded dy with the weights [groups, channels, outputs, kh, kw], flipped. */
function gradByConvolution(engine: WasmEngine, dx: number, dy: number, w: number, p: ConvParams): void {
  const outputs = p.c / p.groups;
  const channels = p.o / p.groups;
  // Position in dy where the window of the first input pixel begins. It determines the padding on each side.
  const beginH = p.padTop - (p.kh - 1) * p.dilationH;
  const beginW = p.padLeft - (p.kw - 1) * p.dilationW;
  const top = Math.max(0, -beginH);
  const left = Math.max(0, -beginW);
  const bottom = Math.max(0, p.padTop + p.h - p.oh);
  const right = Math.max(0, p.padLeft + p.w - p.ow);
  padded(engine, dy, p.n * p.o, p.oh, p.ow, top, left, bottom, right, (images, h, width) => {
    engine.temporary(p.c * channels * p.kh * p.kw * 4, (turned) => {
      const blocks = Math.ceil(outputs / FLIP_CHANNELS) * p.groups;
      const grain = grainOf(blocks, MOVE_FLOP * p.c * channels * p.kh * p.kw);
      engine.parallel('conv2dFlip', blocks, grain, turned, w, channels, outputs, p.kh * p.kw);
      run(engine, dx, images + ((beginH + top) * width + beginW + left) * 4, turned, 0, false, {
        n: p.n,
        groups: p.groups,
        outputs,
        channels,
        kh: p.kh,
        kw: p.kw,
        gridH: p.h,
        gridW: p.w,
        xImage: p.o * h * width,
        xGroup: channels * h * width,
        xTapC: h * width,
        xTapH: p.dilationH * width,
        xTapW: p.dilationW,
        xGridH: width,
        xGridW: 1,
        unitRows: 0,
        unitColumns: 0,
      });
    });
  });
}

/** Input gradient by col2im: a matrix product whose columns are added to the input pixels that their taps read. */
function gradByColumns(engine: WasmEngine, dx: number, dy: number, w: number, p: ConvParams): void {
  const outputs = p.o / p.groups;
  const channels = p.c / p.groups;
  const taps = p.kh * p.kw;
  const plane = p.oh * p.ow;
  // These two determine the order of summation and therefore depend on the shape alone.
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
    unitRows: unitChannels * taps,
    unitColumns,
  };
  const geometry = [channels, p.kh, p.kw, p.h, p.w, p.strideH, p.strideW, p.padTop, p.padLeft, p.dilationH, p.dilationW];
  reserve(engine, outputs + 5 * unitColumns, shape);
  const columnsOfW = channels * taps;
  engine.temporary(p.groups * columnsOfW * outputs * 4, (turned) => {
    for (let g = 0; g < p.groups; g++) {
      const offset = g * columnsOfW * outputs * 4;
      const quads = Math.ceil(columnsOfW / 4);
      const grain = grainOf(quads, MOVE_FLOP * columnsOfW * outputs);
      engine.parallel('transpose', quads, grain, turned + offset, outputs, w + offset, columnsOfW, outputs, columnsOfW);
    }
    const flop = 2 * p.n * p.o * channels * taps * plane;
    const grain = grainOf(units, flop);
    const [kernel, at, window] = [gemmKernel(engine, flop), describe(engine, shape), engine.parameters(geometry)];
    engine.parallel('conv2dInputGrad', units, grain, kernel, dx, dy, turned, at, window, unitChannels, unitImages);
  });
}
