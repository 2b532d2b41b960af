/**
 * The interface that every backend fills: where numbers live, and the kernels that work on them.
 *
 * A backend is the only thing that knows how storage looks. Kernels take outputs, inputs, sizes, in
 * that order; they overwrite their outputs and return nothing to the host, so a backend may queue them.
 * Geometry arrives ready-made from `params.ts`. Reading back is asynchronous; `readSync` exists where
 * the backend can. A backend that lacks a kernel does not compile.
 */
import type {
  BroadcastParams,
  ConvParams,
  DropoutParams,
  LrnParams,
  MatmulParams,
  PoolParams,
  ReduceParams,
  RowParams,
  SgdParams,
  StridedCopyParams,
} from './params.js';

/** `float64` exists on the reference backend alone: gradient checks need it. */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8';

export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A stretch of numbers owned by one backend. Everything but its type and its length is the backend's own affair. */
export interface Storage {
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
}

export interface MemoryUse {
  /** Bytes that tensors hold now. */
  bytes: number;
  /** Buffers that tensors hold now. */
  buffers: number;
  /** The most bytes ever held at once since the start or since `resetPeak`. */
  peakBytes: number;
  /** Bytes that the backend has taken from the system. */
  reservedBytes: number;
}

export interface BackendInfo {
  backend: 'wasm' | 'webgpu' | 'reference';
  /** The build and the micro-kernel in use, for example `simd f32_gemm_4x8`. */
  variant: string;
  threads: number;
  /** Why only one thread works, where more were possible or asked for. */
  threadsOffBecause?: string;
  /** Why another backend than the one asked for took over. */
  fallbackBecause?: string;
  mode: 'strict' | 'fast';
}

/** How a ReLU treats the signal `dy` on its way down, given its recorded output `y` (`y > 0` where its input was). */
export type ReluRule =
  /** `dy` where `y > 0`: the gradient. */
  | 'mask'
  /** `max(dy, 0)`: the deconvnet (Zeiler & Fergus 2013, section 2.1). */
  | 'rectify'
  /** Both: guided backpropagation (Springenberg et al. 2014). */
  | 'mask-and-rectify';

/** Two windows that share a switch: add both values there, or keep the last one written (PyTorch's `max_unpool2d`). */
export type OverlapRule = 'sum' | 'last';

export type UnaryOp = 'neg' | 'abs' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'tanh' | 'square' | 'reciprocal' | 'sign';
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'max' | 'min' | 'greater' | 'equal';
export type ReduceOp = 'sum' | 'mean' | 'max' | 'min';

/** A convolution or one of its gradients. */
export type ConvPass = 'forward' | 'inputGrad' | 'weightGrad';

export interface Backend {
  readonly name: string;
  info(): BackendInfo;

  // Storage -------------------------------------------------------------------------------------
  /** Contents are undefined. Throws `OutOfMemoryError`; the backend stays usable. */
  allocate(dtype: DType, size: number): Storage;
  release(storage: Storage): void;
  write(storage: Storage, data: TypedArray): void;
  /** A copy of the contents. */
  read(storage: Storage): Promise<TypedArray>;
  readSync?(storage: Storage): TypedArray;
  memory(): MemoryUse;
  resetPeak(): void;
  /** Ends workers and gives the memory back. */
  dispose(): void;

  // Elementwise ---------------------------------------------------------------------------------
  fill(y: Storage, value: number): void;
  /** y = x, converting the type. */
  cast(y: Storage, x: Storage): void;
  /** y[i] = op(x[i]). `y` may be `x`. */
  unary(y: Storage, x: Storage, op: UnaryOp): void;
  /** y = op(a, b), with broadcasting. `y` may be an operand of the output's own shape. Comparisons give 1 or 0. */
  binary(y: Storage, a: Storage, b: Storage, op: BinaryOp, p: BroadcastParams): void;
  /** y = scale · x + shift. `y` may be `x`. */
  affine(y: Storage, x: Storage, scale: number, shift: number): void;
  /** y = max(x, 0). `y` may be `x`. */
  relu(y: Storage, x: Storage): void;
  /** The signal `dy` taken down through a ReLU with output `y`, by one of three rules. `dx` may be `dy`. */
  reluGrad(dx: Storage, dy: Storage, y: Storage, rule: ReluRule): void;
  /** y = x > 0 ? x : slope · x, as in PyTorch, which makes `slope` the derivative at 0. */
  leakyRelu(y: Storage, x: Storage, slope: number): void;
  leakyReluGrad(dx: Storage, dy: Storage, x: Storage, slope: number): void;
  /** y = min(max(x, low), high); `clampGrad` passes dy where low ≤ x ≤ high. */
  clamp(y: Storage, x: Storage, low: number, high: number): void;
  clampGrad(dx: Storage, dy: Storage, x: Storage, low: number, high: number): void;
  /** y[i] = keep(i) ? x[i] / (1 - p) : 0, where keep(i) is drawn by Philox at (seed, counter + ⌊i / 4⌋). Its own gradient. */
  dropout(y: Storage, x: Storage, p: DropoutParams): void;

  // Moving --------------------------------------------------------------------------------------
  /** Copies a strided block into a strided block: permute, slice, concatenate, pad and expand are all made of it. */
  stridedCopy(y: Storage, x: Storage, p: StridedCopyParams): void;

  // Random --------------------------------------------------------------------------------------
  /** Philox 4x32-10 at (seed, counter + ⌊i / 4⌋): word i mod 4 as a number in [low, high). */
  uniform(y: Storage, seed: number, counter: number, low: number, high: number): void;
  /** Normal deviates by Box-Muller over the same words as `uniform`: pairs of words give pairs of numbers. */
  normal(y: Storage, seed: number, counter: number, mean: number, std: number): void;

  // Matrices ------------------------------------------------------------------------------------
  /** c = op(a) · op(b), per batch. All row-major. */
  matmul(c: Storage, a: Storage, b: Storage, p: MatmulParams): void;
  /** y[n, out] = x[n, in] · w[out, in]ᵀ + b, then max(·, 0) if `relu`. */
  linear(y: Storage, x: Storage, w: Storage, b: Storage | null, n: number, inFeatures: number, outFeatures: number, relu: boolean): void;

  // Convolution: x [N, C, H, W], w [O, C/groups, KH, KW], b [O], y [N, O, OH, OW] ------------------
  /**
   * `inference`: no gradient will be wanted, and the weights are likely to be met again as they are. So what is computed from them
   * may be kept until they change, and in fast mode the result may be rounded more.
   */
  conv2d(y: Storage, x: Storage, w: Storage, b: Storage | null, p: ConvParams, relu: boolean, inference?: boolean): void;
  conv2dInputGrad(dx: Storage, dy: Storage, w: Storage, p: ConvParams): void;
  conv2dWeightGrad(dw: Storage, x: Storage, dy: Storage, p: ConvParams): void;
  /** Which of its ways this backend takes to a convolution, by name, for profiles and benchmarks; backends with one way leave it out. */
  conv2dPlan?(pass: ConvPass, p: ConvParams, inference?: boolean): string;
  /** db[c] = Σ over n and inner of dy[n, c, inner]. With inner = 1 it sums the rows of a matrix. */
  channelSum(db: Storage, dy: Storage, n: number, channels: number, inner: number): void;
  /** y[n, c, inner] += b[c], in place. */
  channelAdd(y: Storage, b: Storage, n: number, channels: number, inner: number): void;

  // Pooling -------------------------------------------------------------------------------------
  /** Switches (int32) hold the place of each window's first maximum, in row-major order, as y·W + x within its input plane. */
  maxPool2d(y: Storage, switches: Storage | null, x: Storage, p: PoolParams): void;
  /** Puts each value of `y` [planes, inner] at its switch in `x` [planes, outer], zeros elsewhere: pooling's gradient. */
  maxUnpool2d(x: Storage, y: Storage, switches: Storage, planes: number, inner: number, outer: number, overlap: OverlapRule): void;
  /** dy[p, i] = dx[p, switches[p, i]]: unpooling's gradient, pooling by switches that are given. */
  maxUnpool2dGrad(dy: Storage, dx: Storage, switches: Storage, planes: number, inner: number, outer: number): void;
  avgPool2d(y: Storage, x: Storage, p: PoolParams): void;
  avgPool2dGrad(dx: Storage, dy: Storage, p: PoolParams): void;

  // Normalisation -------------------------------------------------------------------------------
  localResponseNorm(y: Storage, x: Storage, p: LrnParams): void;
  localResponseNormGrad(dx: Storage, dy: Storage, x: Storage, p: LrnParams): void;

  // Reduction -----------------------------------------------------------------------------------
  /** Reduces over the inner axes of a strided view: y[o] = op over r of x[o, r]. */
  reduce(y: Storage, x: Storage, op: ReduceOp, p: ReduceParams): void;
  /** y (int32) = index along the reduced axes (row-major) of the first maximum. */
  argmax(y: Storage, x: Storage, p: ReduceParams): void;

  // Softmax and losses, along the rows of [rows, columns] -----------------------------------------
  softmax(y: Storage, x: Storage, p: RowParams): void;
  /** dx = y · (dy − Σ dy · y). */
  softmaxGrad(dx: Storage, dy: Storage, y: Storage, p: RowParams): void;
  logSoftmax(y: Storage, x: Storage, p: RowParams): void;
  /** dx = dy − exp(y) · Σ dy. */
  logSoftmaxGrad(dx: Storage, dy: Storage, y: Storage, p: RowParams): void;
  /** loss[0] = mean over rows of −log softmax(x)[row, labels[row]]. */
  crossEntropy(loss: Storage, x: Storage, labels: Storage, p: RowParams): void;
  /** dx = dloss[0] · (softmax(x) − onehot(labels)) / rows. */
  crossEntropyGrad(dx: Storage, dloss: Storage, x: Storage, labels: Storage, p: RowParams): void;

  // Learning ------------------------------------------------------------------------------------
  /** One step of SGD in place: PyTorch's update, w and velocity overwritten. `velocity` is null where momentum is 0. */
  sgd(w: Storage, velocity: Storage | null, grad: Storage, p: SgdParams): void;
  /** Rescales every row of w [rows, columns] whose root mean square exceeds `max` to exactly `max` (paper, section 3). */
  clipRms(w: Storage, rows: number, columns: number, max: number): void;

  // Looking for numbers gone bad ------------------------------------------------------------------
  /** count[0] (int32) = number of NaN or infinite elements in x. */
  countNonFinite(count: Storage, x: Storage): void;
}
