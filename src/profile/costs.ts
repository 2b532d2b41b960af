/** What a kernel's call costs, by arithmetic over its arguments: operations, bytes, and the shape that it is told apart by. */
import type { Backend, ConvPass, DType, Storage } from '../backend/backend.js';
import type { ConvParams, MatmulParams, PoolParams, RowParams } from '../backend/params.js';

export interface Cost {
  /** What tells this call from others of the same kernel. */
  shape: string;
  /** Floating-point operations of products and convolutions, 2 a multiply-add. 0 for all else, which memory holds up. */
  flop: number;
  /** Every operand read or written once. */
  bytes: number;
  /** Which of its ways the backend takes to a convolution; '' where there is but one. */
  plan: string;
}

interface Description {
  shape: string;
  flop?: number;
  /** What the backend must know to tell its plan. */
  convolution?: Parameters<NonNullable<Backend['conv2dPlan']>>;
}

type Kernel = {
  [K in keyof Backend]-?: Backend[K] extends ((...args: infer A) => unknown) | undefined
    ? A extends [Storage, ...unknown[]]
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

/** Kernels whose geometry says more than the number of their results. */
const DESCRIBED: Described = {
  conv2d: (_y, _x, _w, _b, p, _relu, inference) => convolution(p, 'forward', inference),
  conv2dInputGrad: (_dx, _dy, _w, p) => convolution(p, 'inputGrad'),
  conv2dWeightGrad: (_dw, _x, _dy, p) => convolution(p, 'weightGrad'),
  matmul: (_c, _a, _b, p) => product(p),
  linear: (_y, _x, _w, _b, n, inFeatures, outFeatures) => ({
    shape: `${times([n, inFeatures])} → ${outFeatures}`,
    flop: 2 * n * inFeatures * outFeatures,
  }),
  channelSum: (_db, _dy, n, channels, inner) => ({ shape: times([n, channels, inner]) }),
  channelAdd: (_y, _b, n, channels, inner) => ({ shape: times([n, channels, inner]) }),
  maxPool2d: (_y, _switches, _x, p) => pooling(p),
  maxUnpool2d: (_x, _y, _switches, planes, inner, outer) => ({ shape: `${times([planes, inner])} → ${outer}` }),
  maxUnpool2dGrad: (_dy, _dx, _switches, planes, inner, outer) => ({ shape: `${times([planes, outer])} → ${inner}` }),
  avgPool2d: (_y, _x, p) => pooling(p),
  avgPool2dGrad: (_dx, _dy, p) => pooling(p),
  localResponseNorm: (_y, _x, p) => ({ shape: times([p.n, p.c, p.h, p.w]) }),
  localResponseNormGrad: (_dx, _dy, _x, p) => ({ shape: times([p.n, p.c, p.h, p.w]) }),
  softmax: (_y, _x, p) => rows(p),
  softmaxGrad: (_dx, _dy, _y, p) => rows(p),
  logSoftmax: (_y, _x, p) => rows(p),
  logSoftmaxGrad: (_dx, _dy, _y, p) => rows(p),
  crossEntropy: (_loss, _x, _labels, p) => rows(p),
  crossEntropyGrad: (_dx, _dloss, _x, _labels, p) => rows(p),
};

const BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int32: 4, uint8: 1 };

const isStorage = (value: unknown): value is Storage =>
  typeof value === 'object' && value !== null && 'dtype' in value && !ArrayBuffer.isView(value);

/** @param args of the kernel's call; the first one is what it writes, or reads back */
export function costOf(backend: Backend, kernel: string, args: readonly unknown[]): Cost {
  const operands = args.filter(isStorage);
  const describe = DESCRIBED[kernel as Kernel] as ((...args: readonly unknown[]) => Description) | undefined;
  const { shape, flop = 0, convolution } = describe?.(...args) ?? { shape: `${operands[0]?.size ?? ''}` };
  return {
    shape,
    flop,
    bytes: operands.reduce((sum, { size, dtype }) => sum + size * BYTES[dtype], 0),
    plan: (convolution && backend.conv2dPlan?.(...convolution)) ?? '',
  };
}
