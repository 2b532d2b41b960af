/** Computes the cost of a kernel call from its arguments: floating-point operations, bytes and a description of the shapes. */
import { type Backend, type ConvPass, ELEMENT_BYTES, type Storage } from '../backend/backend.js';
import type { ConvParams, GroupNormParams, MatmulParams, PoolParams, RowParams } from '../backend/params.js';

export interface Cost {
  /** Shapes of the operands, as text. Calls of one kernel with the same text are one row of the profile. */
  shape: string;
  /** Floating-point operations of matrix products and convolutions, 2 per multiply-add; 0 for other kernels, which are memory-bound. */
  flop: number;
  /** Bytes of all operands, each counted once. */
  bytes: number;
  /** Name of the convolution algorithm; '' for kernels with a single algorithm. */
  plan: string;
}

/** The part of the cost that depends on the kernel's arguments. */
interface Description {
  shape: string;
  flop?: number;
  /** Arguments of `conv2dPlan`, for convolutions. */
  convolution?: Parameters<NonNullable<Backend['conv2dPlan']>>;
}

/** Names of the backend's methods whose first argument is an output, or the object of all outputs. */
type Kernel = {
  [K in keyof Backend]-?: Backend[K] extends ((...args: infer A) => unknown) | undefined
    ? A extends [Storage | Record<string, Storage | null> | null, ...unknown[]]
      ? K
      : never
    : never;
}[keyof Backend];
type Arguments<K extends Kernel> = Parameters<NonNullable<Backend[K]>>;
type Described = { [K in Kernel]?: (...args: Arguments<K>) => Description };

const times = (extents: readonly number[]): string => extents.join('×');

function convolution(p: ConvParams, pass: ConvPass, inference?: boolean): Description {
  const stride = p.strideH === p.strideW ? `${p.strideH}` : times([p.strideH, p.strideW]);
  const groups = p.groups > 1 ? `, ${p.groups} groups` : '';
  return {
    shape: `${times([p.n, p.c, p.h, p.w])} → ${times([p.o, p.oh, p.ow])}, ${times([p.kh, p.kw])}/${stride}${groups}`,
    flop: 2 * p.n * p.o * p.oh * p.ow * (p.c / p.groups) * p.kh * p.kw,
    convolution: [pass, p, inference],
  };
}

function product({ batch, m, n, k, transposeA, transposeB }: MatmulParams): Description {
  const matrix = (rows: number, columns: number, transposed: boolean) =>
    transposed ? `(${times([columns, rows])})ᵀ` : times([rows, columns]);
  return {
    shape: `${batch > 1 ? `${batch} of ` : ''}${matrix(m, k, transposeA)} · ${matrix(k, n, transposeB)}`,
    flop: 2 * batch * m * n * k,
  };
}

const pooling = (p: PoolParams) => ({
  shape: `${times([p.planes, p.h, p.w])} → ${times([p.oh, p.ow])}, ${times([p.kh, p.kw])}/${p.strideH}`,
});

const rows = (p: RowParams) => ({ shape: times([p.rows, p.columns]) });

const grouped = (p: GroupNormParams) => ({ shape: `${p.rows} rows of ${times([p.channels, p.inner])}` });

/** Descriptions of kernels by their geometry. The description of other kernels is the number of their outputs. */
const DESCRIBED: Described = {
  conv2d: (_y, _x, _w, _b, p) => convolution(p, 'forward', p.inference),
  conv2dInputGrad: (_dx, _dy, _w, p) => convolution(p, 'inputGrad'),
  conv2dWeightGrad: (_dw, _x, _dy, p) => convolution(p, 'weightGrad'),
  matmul: (_c, _a, _b, p) => product(p),
  linear: (_y, _x, _w, _b, { n, inFeatures, outFeatures }) => ({
    shape: `${times([n, inFeatures])} → ${outFeatures}`,
    flop: 2 * n * inFeatures * outFeatures,
  }),
  channelSum: (_db, _dy, n, channels, inner) => ({ shape: times([n, channels, inner]) }),
  channelAdd: (_y, _b, n, channels, inner) => ({ shape: times([n, channels, inner]) }),
  cutCrops: ({ y }, _inputs, p) => ({ shape: `${times([p.side, p.side])} → ${p.size}, ${y.size}` }),
  maxPool2d: (_y, _switches, _x, p) => pooling(p),
  maxPool2dReluGrad: (_outputs, _inputs, p) => pooling(p),
  maxUnpool2d: (_x, _y, _switches, { planes, inner, outer }) => ({ shape: `${times([planes, inner])} → ${outer}` }),
  maxUnpool2dGrad: (_dy, _dx, _switches, { planes, inner, outer }) => ({ shape: `${times([planes, outer])} → ${inner}` }),
  avgPool2d: (_y, _x, p) => pooling(p),
  avgPool2dGrad: (_dx, _dy, p) => pooling(p),
  localResponseNorm: (_y, _x, p) => ({ shape: times([p.n, p.c, p.h, p.w]) }),
  localResponseNormGrad: (_dx, _dy, _x, p) => ({ shape: times([p.n, p.c, p.h, p.w]) }),
  batchNorm: (_outputs, _inputs, p) => ({ shape: times([p.n, p.channels, p.inner]) }),
  batchNormGrad: (_outputs, _inputs, p) => ({ shape: times([p.n, p.channels, p.inner]) }),
  groupNorm: (_outputs, _inputs, p) => grouped(p),
  groupNormGrad: (_outputs, _inputs, p) => grouped(p),
  groupNormParamGrad: (_outputs, _inputs, p) => grouped(p),
  topk: (_indices, _x, p, count) => ({ shape: `${times([p.rows, p.columns])} → ${count}` }),
  activation: (y, _x, kind) => ({ shape: `${kind} ${y.size}` }),
  activationGrad: (dx, _dy, _x, kind) => ({ shape: `${kind} ${dx.size}` }),
  softmax: (_y, _x, p) => rows(p),
  softmaxGrad: (_dx, _dy, _y, p) => rows(p),
  logSoftmax: (_y, _x, p) => rows(p),
  logSoftmaxGrad: (_dx, _dy, _y, p) => rows(p),
  crossEntropy: (_loss, _x, _labels, p) => rows(p),
  crossEntropyGrad: (_dx, _dloss, _x, _labels, p) => rows(p),
};

const isStorage = (value: unknown): value is Storage =>
  typeof value === 'object' && value !== null && 'dtype' in value && !ArrayBuffer.isView(value);

/** The storages of an argument: itself, or the members of an object of outputs or inputs. */
const storagesOf = (arg: unknown): Storage[] => {
  if (isStorage(arg)) return [arg];
  return typeof arg === 'object' && arg !== null ? Object.values(arg).filter(isStorage) : [];
};

/** Returns the cost of a kernel call. @param args the arguments of the call */
export function costOf(backend: Backend, kernel: string, args: readonly unknown[]): Cost {
  const operands = args.flatMap(storagesOf);
  const describe = DESCRIBED[kernel as Kernel] as ((...args: readonly unknown[]) => Description) | undefined;
  const { shape, flop = 0, convolution } = describe?.(...args) ?? { shape: `${operands[0]?.size ?? ''}` };
  return {
    shape,
    flop,
    bytes: operands.reduce((sum, { size, dtype }) => sum + size * ELEMENT_BYTES[dtype], 0),
    plan: (convolution && backend.conv2dPlan?.(...convolution)) ?? '',
  };
}
