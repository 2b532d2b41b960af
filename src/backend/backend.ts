/**
 * The interface of a backend: allocation of memory, and the kernels that compute on it. It fits a CPU, which computes at once, and a GPU,
 * which queues work and computes later. Only the backend knows the layout of its storage. The rules of the contract:
 *
 * 1. **Queues.** A kernel overwrites its outputs and returns nothing. The work may run later, in the order of the calls. `read` and
 *    `synchronize` wait for it.
 * 2. **Errors.** A kernel throws at once for arguments that it can check at once, such as element types. An error that depends on
 *    elements (`checkFinite`, `checkIndices`, labels) or on the device may come later: the next `read` or `synchronize` rejects with the
 *    first error since the last one.
 * 3. **Capabilities.** `capabilities` states the abilities of the backend. Nothing above the backends needs a synchronous read.
 * 4. **Aliasing.** The storages of one call are different, except that inputs which are only read may be the same. A kernel that shall
 *    overwrite its input gets `IN_PLACE` instead of that input; only arguments of the type `Input` accept it.
 * 5. **Running out of memory, losing the device.** `allocate` may throw an `OutOfMemoryError` at once, or `read` and `synchronize`
 *    reject with it later; the backend is still usable. After a device was lost, every call throws or rejects with a `DeviceLostError`,
 *    except `release`, `memory`, `info` and `dispose`; create another backend and resume from a checkpoint.
 * 6. **Lifetime.** `release` may be called while queued work still uses the storage: its memory is not given to other storages in a way
 *    that changes the result of that work. `write` copies the data before it returns; `read` returns the contents at the time of the
 *    call, also if the storage is written or released before the promise resolves.
 * 7. **Windows.** Where a caller unpools from a known pooling, `maxUnpool2d` gets its window, so that a backend may gather instead of
 *    scattering.
 * 8. **Profiling.** `profileKernels` reports the duration of each kernel by the backend's own clock.
 * 9. **Order of arguments.** Outputs, inputs, sizes. A kernel that would have more than five arguments gets three: an object of its
 *    outputs, an object of its inputs, and its sizes. Storages are arguments of their own or direct members of these two objects.
 *
 * Geometry is computed in advance by `params.ts`.
 */
import type {
  AdamParams,
  BatchNormParams,
  BroadcastParams,
  ConvForwardParams,
  ConvParams,
  CropParams,
  DropoutParams,
  GroupNormParams,
  LinearParams,
  LrnParams,
  MatmulParams,
  PoolParams,
  ReduceParams,
  RmspropParams,
  RowParams,
  SgdClipRmsParams,
  SgdParams,
  StridedCopyParams,
  SwitchParams,
  UnpoolParams,
} from './params.js';

/** Element types. Only the reference backend supports `float64`, which gradient checks need. */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8';

/** Bytes per element of each element type. */
export const ELEMENT_BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int32: 4, uint8: 1 };

/** Typed arrays for the element types. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A block of memory of one backend. Its type and size are public; everything else is private to the backend. */
export interface Storage {
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
}

/** Stands for the output of a kernel in the place of an input: the kernel overwrites its input. */
export const IN_PLACE: unique symbol = Symbol('in place');

/** An input of a kernel, or `IN_PLACE` if the output already holds the input. */
export type Input = Storage | typeof IN_PLACE;

/** The abilities of a backend. */
export interface Capabilities {
  /** Whether `readSync` works. If not, elements are only read by `read`. */
  readonly syncRead: boolean;
  /** Element types that `allocate` accepts. */
  readonly dtypes: readonly DType[];
  /** Maximum size of one storage in bytes. */
  readonly maxBufferBytes: number;
  /** Whether the same calls give the same bits whenever they run on this device. */
  readonly deterministic: boolean;
}

/**
 * Is told of every kernel that a profiled backend runs: its name in this interface and its arguments. It is called when the kernel is
 * called. The function that it returns is called once with the beginning and the end of the kernel in milliseconds, on a clock of the
 * backend (`performance.now()` on a CPU), at the latest before the profile ends.
 */
export type KernelListener = (kernel: string, args: readonly unknown[]) => (start: number, end: number) => void;

/** Time that one thread, or one queue of a device, spent computing. */
export interface ThreadTime {
  name: string;
  busyMs: number;
  /** For the queue of a device: its dispatches. */
  queue?: QueueTime;
}

/** What a profile measures of the queue of a device. Times are in milliseconds, on the clock of `performance.now()`. */
export interface QueueTime {
  /** Time that the calling thread spent in methods of the backend: recording commands and copying uploads. */
  encodeMs: number;
  /** `timestamps`: each dispatch was timed by the device. `completion`: by the completion of its submission, as the processor saw it. */
  clock: 'timestamps' | 'completion';
  /** What limits the exactness of the times, if anything. */
  note?: string;
  /** The dispatches in order. They do not overlap. A kernel of the backend may need several. */
  dispatches: readonly { name: string; start: number; end: number }[];
}

/** Measured limits of a device: see `Backend.measureCeiling`. */
export interface DeviceCeiling {
  /** GFLOP/s of float32 fused multiply-adds on registers; each counts as 2. */
  gflops: number;
  /** GB/s of a copy between two buffers that are larger than caches: bytes read and bytes written. */
  gbs: number;
}

/** Memory statistics of a backend. */
export interface MemoryUse {
  /** Bytes allocated for tensors. */
  bytes: number;
  /** Number of buffers allocated for tensors. */
  buffers: number;
  /** Maximum of `bytes` since the start or the last `resetPeak`. */
  peakBytes: number;
  /** Bytes that the backend has reserved from the system. */
  reservedBytes: number;
}

/** The device of a backend, as the runtime describes it; texts that it withholds are empty. */
export interface DeviceInfo {
  /** Maker, such as `nvidia`. */
  vendor: string;
  /** Family of the device, such as `ampere`. */
  architecture: string;
  /** Name for people, such as `NVIDIA GeForce RTX 3090`. */
  description: string;
  /** Whether the processor computes in place of a GPU, as SwiftShader and llvmpipe do. Its speed says nothing about GPUs. */
  software: boolean;
}

/** Description of a backend: see `backendInfo`. */
export interface BackendInfo {
  /** Kind of the backend. `reference` is plain TypeScript: exact, and too slow for training. */
  backend: 'wasm' | 'webgpu' | 'reference';
  /** Build and micro-kernel in use, for example `simd f32_gemm_4x8`. */
  variant: string;
  /** Number of threads in use. */
  threads: number;
  /** The reason why only one thread is used, if more were requested or the machine has more processors; undefined otherwise. */
  threadsOffBecause?: string;
  /** The reason why this backend replaces the one that was requested; undefined otherwise. */
  fallbackBecause?: string;
  /** `strict`: same bits on every machine. `fast`: may round differently. */
  mode: 'strict' | 'fast';
  /** The device that computes, for backends that have one. */
  device?: DeviceInfo;
}

/** Backward step of ReLU: how `dx` is computed from `dy` and the recorded output `y` (which is positive where the input was). */
export type ReluRule =
  /** `dy` where `y > 0`: the gradient. */
  | 'mask'
  /** `max(dy, 0)`: the deconvnet (Zeiler & Fergus 2013, section 2.1). */
  | 'rectify'
  /** Both: guided backpropagation (Springenberg et al. 2014). */
  | 'mask-and-rectify';

/** Unpooling where several windows share a switch: add their values, or keep the last one written (PyTorch's `max_unpool2d`). */
export type OverlapRule = 'sum' | 'last';

/** Names of the elementwise operations of one operand. */
export type UnaryOp = 'neg' | 'abs' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'tanh' | 'erf' | 'square' | 'reciprocal' | 'sign';
/** Names of the elementwise operations of two operands. */
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'max' | 'min' | 'greater' | 'equal';
/**
 * Activation functions with a kernel of their own, whose gradient is computed from their input alone.
 * - `silu`: x · σ(x)
 * - `gelu`: x · Φ(x), with the normal distribution function Φ; `geluTanh`: x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))
 * - `hardSigmoid`: min(max(x + 3, 0), 6) / 6; `hardSwish`: x times that
 */
export type ActivationKind = 'silu' | 'gelu' | 'geluTanh' | 'hardSigmoid' | 'hardSwish';
export type ReduceOp = 'sum' | 'mean' | 'max' | 'min';

/** A convolution, its gradient with respect to the input, or its gradient with respect to the weights. */
export type ConvPass = 'forward' | 'inputGrad' | 'weightGrad';

/** A backend: memory for tensors, and the kernels that compute on it. The rules that it follows are at the top of its file. */
export interface Backend {
  /** Name of the backend, for messages. */
  readonly name: string;
  /** Element types, buffer size and guarantees of this backend. They are constant for its lifetime. */
  readonly capabilities: Capabilities;
  /** Returns name, kernels, threads and mode, as `backendInfo` reports them. */
  info(): BackendInfo;

  // Storage -------------------------------------------------------------------------------------
  /** Allocates uninitialised memory. @throws OutOfMemoryError, after which the backend is still usable (rule 5) */
  allocate(dtype: DType, size: number): Storage;
  /** Frees a storage, which cannot be used afterwards. Work that was queued before is not affected (rule 6). */
  release(storage: Storage): void;
  /** Copies data of equal size and any type into the storage. */
  write(storage: Storage, data: TypedArray): void;
  /** Returns a copy of the contents at the time of the call. Rejects with the first error of the queued work, like `synchronize`. */
  read(storage: Storage): Promise<TypedArray>;
  /** Returns a copy of the contents synchronously. @throws BackendError unless `capabilities.syncRead` */
  readSync(storage: Storage): TypedArray;
  /** Waits for all queued work. Rejects with the first error since the last call of `synchronize` or `read` (rule 2). */
  synchronize(): Promise<void>;
  /** Returns the bytes and buffers allocated for tensors, their peak, and the bytes reserved from the system. */
  memory(): MemoryUse;
  /** Sets `memory().peakBytes` to the current value. */
  resetPeak(): void;
  /** Terminates worker threads and frees all memory. The backend cannot be used afterwards. */
  dispose(): void;
  /**
   * Reports every kernel from now on to the listener. The returned function ends the profile: it waits for the durations of all kernels
   * and returns the time of each thread.
   */
  profileKernels(listener: KernelListener): () => Promise<ThreadTime[]>;
  /**
   * Calls a function whose kernels are not run, and compiles those that it would run. Their outputs keep their contents. Absent on backends
   * whose kernels are compiled already. The function must not yield.
   */
  compileKernels?(run: () => void): Promise<void>;
  /** Measures the limits of the device by kernels made for that purpose, in about a second; absent on backends that run on the CPU. */
  measureCeiling?(): Promise<DeviceCeiling>;

  // Elementwise ---------------------------------------------------------------------------------
  /** Writes `value`, converted to the element type, to every element of y. */
  fill(y: Storage, value: number): void;
  /** y = x, converting the type. */
  cast(y: Storage, x: Storage): void;
  /** y[i] = op(x[i]). */
  unary(y: Storage, x: Input, op: UnaryOp): void;
  /** y = op(a, b), with broadcasting. An operand that is `IN_PLACE` has the shape of the output. Comparisons return 1 or 0. */
  binary(y: Storage, a: Input, b: Input, op: BinaryOp, p: BroadcastParams): void;
  /** y = scale · x + shift. */
  affine(y: Storage, x: Input, scale: number, shift: number): void;
  /** y = max(x, 0). */
  relu(y: Storage, x: Input): void;
  /** Backward step of a ReLU with output `y`, by one of three rules. */
  reluGrad(dx: Storage, dy: Input, y: Storage, rule: ReluRule): void;
  /** y = x > 0 ? x : slope · x. The derivative at 0 is `slope`, as in PyTorch. */
  leakyRelu(y: Storage, x: Storage, slope: number): void;
  /** dx = x > 0 ? dy : slope · dy. */
  leakyReluGrad(dx: Storage, dy: Storage, x: Storage, slope: number): void;
  /** y = min(max(x, low), high). `clampGrad`: dx = dy where low ≤ x ≤ high, else 0. */
  clamp(y: Storage, x: Storage, low: number, high: number): void;
  /** dx = dy where low ≤ x ≤ high, else 0. */
  clampGrad(dx: Storage, dy: Storage, x: Storage, low: number, high: number): void;
  /** y[i] = f(x[i]) for one of the activation functions; the gradient is dx[i] = dy[i] · f′(x[i]). */
  activation(y: Storage, x: Storage, kind: ActivationKind): void;
  /** dx[i] = dy[i] · f′(x[i]) for the input x of `activation`. */
  activationGrad(dx: Storage, dy: Storage, x: Storage, kind: ActivationKind): void;
  /** y[i] = condition[i] ≠ 0 ? a[i] : b[i]. All have one size; the condition is float or int32, y, a and b are float or int32. */
  select(y: Storage, condition: Storage, a: Storage, b: Storage): void;
  /**
   * y[i] = keep(i) ? x[i] / (1 - p) : 0, where keep(i) depends on word i mod 4 of Philox at (seed, counter + ⌊i / 4⌋). The gradient is
   * the same function.
   */
  dropout(y: Storage, x: Input, p: DropoutParams): void;

  // Movement ------------------------------------------------------------------------------------
  /** Copies a strided block into a strided block. Implements permute, slice, concat, pad and expand. */
  stridedCopy(y: Storage, x: Storage, p: StridedCopyParams): void;

  /**
   * Cuts crops from 8-bit images and subtracts the mean image: y[n, c, row, column] = (pixel − mean) · scales[c], both at the row and the
   * column of the image that crop n begins with. `pixels` (uint8) is [images, side, side, channels], `mean` [channels, side, side], and
   * `places` (int32) has four numbers per crop: image, top row, left column, and 1 if the crop is mirrored. Optional: without it, images are
   * prepared on the host and uploaded as float32.
   */
  cutCrops?(outputs: { y: Storage }, inputs: { pixels: Storage; mean: Storage; places: Storage }, p: CropParams): void;

  // Random --------------------------------------------------------------------------------------
  /** Uniform random numbers in [low, high): element i is word i mod 4 of Philox 4x32-10 at (seed, counter + ⌊i / 4⌋). */
  uniform(y: Storage, seed: number, counter: number, low: number, high: number): void;
  /** Normally distributed random numbers, by the Box-Muller transform of the same words in pairs. */
  normal(y: Storage, seed: number, counter: number, mean: number, std: number): void;

  // Matrices ------------------------------------------------------------------------------------
  /** c = op(a) · op(b), per batch. All row-major. */
  matmul(c: Storage, a: Storage, b: Storage, p: MatmulParams): void;
  /** y[n, out] = x[n, in] · w[out, in]ᵀ + b, then max(·, 0) if `relu`. */
  linear(y: Storage, x: Storage, w: Storage, b: Storage | null, p: LinearParams): void;

  // Convolution: x [N, C, H, W], w [O, C/groups, KH, KW], b [O], y [N, O, OH, OW] ------------------
  /** Cross-correlation of x with w, plus b if given, then max(·, 0) if `p.relu`. Padding counts as zeros. */
  conv2d(y: Storage, x: Storage, w: Storage, b: Storage | null, p: ConvForwardParams): void;
  /** Gradient with respect to x of `conv2d`, which is the transposed convolution of dy with w. Overwrites dx. */
  conv2dInputGrad(dx: Storage, dy: Storage, w: Storage, p: ConvParams): void;
  /** Gradient with respect to w of `conv2d`, summed over the batch and all positions. Overwrites dw. */
  conv2dWeightGrad(dw: Storage, x: Storage, dy: Storage, p: ConvParams): void;
  /** Returns the name of the convolution algorithm chosen for a shape, for profiles; absent on backends with one algorithm. */
  conv2dPlan?(pass: ConvPass, p: ConvParams, inference?: boolean): string;
  /** db[c] = Σ over n and inner of dy[n, c, inner]. With inner = 1 it is the sum of a matrix's rows. */
  channelSum(db: Storage, dy: Storage, n: number, channels: number, inner: number): void;
  /** y[n, c, inner] += b[c], in place. */
  channelAdd(y: Storage, b: Storage, n: number, channels: number, inner: number): void;

  // Pooling -------------------------------------------------------------------------------------
  /** `switches` (int32): position y·W + x of each window's first maximum, in row-major order, within the input plane. */
  maxPool2d(y: Storage, switches: Storage | null, x: Storage, p: PoolParams): void;
  /** Writes each value of `y` [planes, inner] to its switch in `x` [planes, outer], zeros elsewhere. The gradient of max pooling. */
  maxUnpool2d(x: Storage, y: Storage, switches: Storage, p: UnpoolParams): void;
  /**
   * The gradients of max pooling and of the ReLU before it in one kernel: like `maxUnpool2d` of `dy` with overlaps added, of which only the
   * values with y > 0 count, for the output `y` of the pooling. Absent on backends where two kernels are as fast.
   */
  maxPool2dReluGrad?(outputs: { dx: Storage }, inputs: { dy: Storage; y: Storage; switches: Storage }, p: PoolParams): void;
  /** dy[p, i] = dx[p, switches[p, i]]. The gradient of unpooling, that is, pooling by given switches. */
  maxUnpool2dGrad(dy: Storage, dx: Storage, switches: Storage, p: SwitchParams): void;
  /** Mean of each window; `p.countIncludePad` says whether padding counts towards the divisor. */
  avgPool2d(y: Storage, x: Storage, p: PoolParams): void;
  /** Spreads each element of dy evenly over its window, divided by the divisor of the forward pass. Overwrites dx. */
  avgPool2dGrad(dx: Storage, dy: Storage, p: PoolParams): void;

  // Normalisation -------------------------------------------------------------------------------
  /** y = x / (k + alpha / size · Σ x²)^beta, with the sum over `size` neighbouring channels at the same position. */
  localResponseNorm(y: Storage, x: Storage, p: LrnParams): void;
  /** Exact gradient of `localResponseNorm` at x, which the deconvnet's rules do not use. */
  localResponseNormGrad(dx: Storage, dy: Storage, x: Storage, p: LrnParams): void;

  /**
   * y = (x − mean) / √(variance + epsilon) · weight + bias per channel of x [n, channels, inner], then max(·, 0) if `p.relu`. In training,
   * `mean` and `variance` (biased) are outputs: the statistics of x. Otherwise they are inputs. A missing weight is 1, a missing bias 0.
   */
  batchNorm(
    outputs: { y: Storage; mean: Storage; variance: Storage },
    inputs: { x: Storage; weight: Storage | null; bias: Storage | null },
    p: BatchNormParams,
  ): void;
  /**
   * dbias = Σ dy and dweight = Σ dy · x̂ with x̂ = (x − mean) / √(variance + epsilon), per channel. `dx`, if not null, is the gradient through
   * the statistics in training, dy · weight / √(variance + epsilon) otherwise.
   */
  batchNormGrad(
    outputs: { dx: Storage | null; dweight: Storage; dbias: Storage },
    inputs: { dy: Storage; x: Storage; mean: Storage; variance: Storage; weight: Storage | null },
    p: BatchNormParams,
  ): void;
  /**
   * Normalises each row of x [rows, channels · inner] by its own mean and (biased) variance, which are outputs [rows]. Weight and bias have
   * one element for each of groups · channels channels: row r belongs to group r mod groups. A missing weight is 1, a missing bias 0.
   */
  groupNorm(
    outputs: { y: Storage; mean: Storage; variance: Storage },
    inputs: { x: Storage; weight: Storage | null; bias: Storage | null },
    p: GroupNormParams,
  ): void;
  /** Gradient with respect to x of `groupNorm`, through the mean and the variance of each row. Overwrites dx. */
  groupNormGrad(
    outputs: { dx: Storage },
    inputs: { dy: Storage; x: Storage; mean: Storage; variance: Storage; weight: Storage | null },
    p: GroupNormParams,
  ): void;
  /** dbias = Σ dy and dweight = Σ dy · x̂ over the rows of the channel's group and the inner elements. */
  groupNormParamGrad(
    outputs: { dweight: Storage; dbias: Storage },
    inputs: { dy: Storage; x: Storage; mean: Storage; variance: Storage },
    p: GroupNormParams,
  ): void;

  // Reduction -----------------------------------------------------------------------------------
  /** Reduces over some axes of a strided view: y[o] = op over r of x[o, r]. */
  reduce(y: Storage, x: Storage, op: ReduceOp, p: ReduceParams): void;
  /** y (int32) = index along the reduced axes (row-major) of the first maximum. */
  argmax(y: Storage, x: Storage, p: ReduceParams): void;
  /**
   * indices [rows, count] (int32): columns of the `count` largest (or smallest) elements of each row of x, in order. Equal elements keep
   * their order; NaN counts as larger than every number.
   */
  topk(indices: Storage, x: Storage, p: RowParams, count: number, largest: boolean): void;

  // Softmax and losses, along the rows of [rows, columns] -----------------------------------------
  /** y = exp(x − max) / Σ exp(x − max) per row, so that large values do not overflow. */
  softmax(y: Storage, x: Storage, p: RowParams): void;
  /** dx = y · (dy − Σ dy · y). */
  softmaxGrad(dx: Storage, dy: Storage, y: Storage, p: RowParams): void;
  /** y = x − max − log Σ exp(x − max) per row: the logarithm of `softmax` without its loss of precision. */
  logSoftmax(y: Storage, x: Storage, p: RowParams): void;
  /** dx = dy − exp(y) · Σ dy. */
  logSoftmaxGrad(dx: Storage, dy: Storage, y: Storage, p: RowParams): void;
  /**
   * loss[0] = mean over rows of −log softmax(x)[row, labels[row]]. A label outside the columns never reads outside of `x`; the callers
   * report it, by `checkIndices` or on the host.
   */
  crossEntropy(loss: Storage, x: Storage, labels: Storage, p: RowParams): void;
  /** dx = dloss[0] · (softmax(x) − onehot(labels)) / rows. */
  crossEntropyGrad(dx: Storage, dloss: Storage, x: Storage, labels: Storage, p: RowParams): void;

  // Optimisation --------------------------------------------------------------------------------
  /** One step of SGD by PyTorch's formula; overwrites w and velocity. `velocity` is null if momentum is 0. */
  sgd(w: Storage, velocity: Storage | null, grad: Storage, p: SgdParams): void;
  /** `sgd` and then `clipRms` in one kernel. Absent on backends where two kernels are as fast. */
  sgdClipRms?(w: Storage, velocity: Storage | null, grad: Storage, p: SgdClipRmsParams): void;
  /**
   * One step of Adam or AdamW by PyTorch's formula; overwrites w, mean (of the gradient) and square (mean of its square). With AMSGrad,
   * `maxSquare` is the running maximum of `square` and is overwritten too; it is null otherwise.
   */
  adam(outputs: { w: Storage; mean: Storage; square: Storage; maxSquare: Storage | null }, inputs: { grad: Storage }, p: AdamParams): void;
  /**
   * One step of RMSprop by PyTorch's formula; overwrites w, square, mean and buffer. `mean` is null unless the variance is used in place
   * of the mean square; `buffer` is null if momentum is 0.
   */
  rmsprop(
    outputs: { w: Storage; square: Storage; mean: Storage | null; buffer: Storage | null },
    inputs: { grad: Storage },
    p: RmspropParams,
  ): void;
  /** y[0] = Σ x[i]². */
  sumSquares(y: Storage, x: Storage): void;
  /** Rescales every row of w [rows, columns] whose root mean square exceeds `max` to exactly `max` (paper, section 3). */
  clipRms(w: Storage, rows: number, columns: number, max: number): void;

  // Checks, whose errors are thrown at once or reported later (rule 2) ------------------------------
  /** Checks that all elements are finite. @throws NonFiniteError that names the operation `op` */
  checkFinite(x: Storage, op: string): void;
  /** Checks that all elements of `indices` (int32) are from 0 to size − 1. @throws ValueError with the message of `describe` */
  checkIndices(indices: Storage, size: number, describe: (index: number, position: number) => string): void;
}
