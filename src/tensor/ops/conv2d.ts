/** Two-dimensional convolution and transposed convolution. */
import { ShapeError } from '../../backend/errors.js';
import {
  CONV_RULES,
  type ConvOptions,
  type ConvParams,
  type ConvTranspose2dOptions,
  convParams,
  convTransposeParams,
  pairOf,
} from '../../backend/params.js';
import { boolean, checkOptions } from '../../backend/validate.js';
import { record, willRecord } from '../graph/autograd.js';
import { markReluOutput } from '../graph/relu_marks.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { withReluBackward } from './relu.js';

/** Options of `conv2d`. */
export type Conv2dOptions = ConvOptions & {
  /** Applies ReLU in the same kernel: same result as `relu(conv2d(…))`, with one pass over memory less. Default false. */
  relu?: boolean;
};

const CONV2D_RULES = { ...CONV_RULES, relu: boolean };
const CONV_TRANSPOSE2D_RULES = { ...CONV_RULES, outputPadding: pairOf(0) };

/**
 * Two-dimensional convolution (a cross-correlation, as is usual for neural networks). ONNX `Conv`, PyTorch `conv2d`.
 *
 * y[n, o, oy, ox] = b[o] + Σ over c, i, j of w[o, c, i, j] · x[n, c, oy·stride + i·dilation − pad, …].
 *
 * @example conv2d(x, randn([4, 8, 3, 3]), zeros([4]), { stride: 2, padding: 1 }) // [2, 4, 8, 8]
 * @param x [N, C, H, W]
 * @param w [O, C / groups, KH, KW]
 * @param b [O] or null
 * @returns [N, O, OH, OW] with OH = ⌊(H + pads − dilation·(KH − 1) − 1) / stride⌋ + 1
 * @throws ShapeError if channels do not match or the kernel does not fit; ValueError for unknown or invalid options
 */
export function conv2d(x: Tensor, w: Tensor, b: Tensor | null = null, options: Conv2dOptions = {}): Tensor {
  checkFloat('conv2d', x, w, ...(b == null ? [] : [b]));
  checkOptions('conv2d', options, CONV2D_RULES);
  const p = convParams('conv2d', x.shape, w.shape, options);
  checkBias('conv2d', b, p.o);
  const y = empty('conv2d', [p.n, p.o, p.oh, p.ow], x.dtype, x.backend);
  const relu = options.relu ?? false;
  x.backend.conv2d(y.storage, x.storage, w.storage, b ? b.storage : null, { ...p, relu, inference: !willRecord(x, w, b) });
  if (relu) markReluOutput(y);
  // The gradient of each operand needs the other operand; the backward step of ReLU needs the sign of its output.
  const saved = relu ? [x, w, y] : [x, w];
  return record('conv2d', y, b ? [x, w, b] : [x, w], saved, (dy, [x, w, y], needs, rules) =>
    relu ? withReluBackward(dy, y, rules, (dy) => conv2dBackward(p, dy, x, w, needs)) : conv2dBackward(p, dy, x, w, needs),
  );
}

function conv2dBackward(p: ConvParams, dy: Tensor, x: Tensor, w: Tensor, needs: readonly boolean[]): (Tensor | null)[] {
  const { backend, dtype } = dy;
  let dx: Tensor | null = null;
  let dw: Tensor | null = null;
  let db: Tensor | null = null;
  if (needs[1]) {
    dw = empty('conv2d backward', w.shape, dtype, backend, false);
    backend.conv2dWeightGrad(dw.storage, x.storage, dy.storage, p);
  }
  if (needs[2]) {
    db = empty('conv2d backward', [p.o], dtype, backend, false);
    backend.channelSum(db.storage, dy.storage, p.n, p.o, p.oh * p.ow);
  }
  if (needs[0]) {
    dx = empty('conv2d backward', x.shape, dtype, backend, false);
    backend.conv2dInputGrad(dx.storage, dy.storage, w.storage, p);
  }
  return [dx, dw, db];
}

/**
 * Transposed convolution: the input gradient of `conv2d` (the *filter* step of the deconvnet). ONNX `ConvTranspose`, PyTorch
 * `conv_transpose2d`.
 *
 * @example convTranspose2d(x, randn([8, 4, 2, 2]), null, { stride: 2 }) // twice the height and width
 * @param x [N, O, H, W]
 * @param w [O, C / groups, KH, KW]: the weights of the convolution from C to O channels
 * @param b [C] or null
 * @returns [N, C, (H − 1)·stride − pads + dilation·(KH − 1) + outputPadding + 1, …]
 */
export function convTranspose2d(x: Tensor, w: Tensor, b: Tensor | null = null, options: ConvTranspose2dOptions = {}): Tensor {
  checkFloat('convTranspose2d', x, w, ...(b == null ? [] : [b]));
  checkOptions('convTranspose2d', options, CONV_TRANSPOSE2D_RULES);
  const p = convTransposeParams('convTranspose2d', x.shape, w.shape, options);
  checkBias('convTranspose2d', b, p.c);
  const y = empty('convTranspose2d', [p.n, p.c, p.h, p.w], x.dtype, x.backend);
  x.backend.conv2dInputGrad(y.storage, x.storage, w.storage, p);
  if (b) x.backend.channelAdd(y.storage, b.storage, p.n, p.c, p.h * p.w);
  return record('convTranspose2d', y, b ? [x, w, b] : [x, w], [x, w], (dy, [x, w], needs) => convTranspose2dBackward(p, dy, x, w, needs));
}

function convTranspose2dBackward(p: ConvParams, dy: Tensor, x: Tensor, w: Tensor, needs: readonly boolean[]): (Tensor | null)[] {
  const { backend, dtype } = dy;
  const make = (shape: readonly number[]) => empty('convTranspose2d backward', shape, dtype, backend, false);
  const dx = needs[0] ? make(x.shape) : null;
  const dw = needs[1] ? make(w.shape) : null;
  const db = needs[2] ? make([p.c]) : null;
  if (dx) backend.conv2d(dx.storage, dy.storage, w.storage, null, { ...p, relu: false, inference: false });
  if (dw) backend.conv2dWeightGrad(dw.storage, dy.storage, x.storage, p);
  if (db) backend.channelSum(db.storage, dy.storage, p.n, p.c, p.h * p.w);
  return [dx, dw, db];
}

function checkBias(op: string, b: Tensor | null, channels: number): void {
  if (b && (b.rank !== 1 || b.shape[0] !== channels)) throw new ShapeError(`${op}: bias has shape [${b.shape}], expected [${channels}]`);
}
