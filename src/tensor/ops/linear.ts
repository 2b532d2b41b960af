/** The operation of a fully connected layer: x · wᵀ + b. */
import { ShapeError } from '../../backend/errors.js';
import { boolean, checkOptions } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { withReluBackward } from './relu.js';

const LINEAR_RULES = { relu: boolean };

/**
 * Fully connected layer: returns x · wᵀ + b. ONNX `Gemm` with transB, PyTorch `linear`.
 *
 * @example linear(randn([2, 4]), randn([3, 4]), zeros([3])) // [2, 3]
 * @param x [N, in]
 * @param w [out, in]
 * @param b [out] or null
 * @param options.relu applies ReLU in the same kernel. Default false
 * @returns [N, out]
 * @throws ShapeError if the numbers of features differ
 */
export function linear(x: Tensor, w: Tensor, b: Tensor | null = null, options: { relu?: boolean } = {}): Tensor {
  checkFloat('linear', x, w, ...(b == null ? [] : [b]));
  checkOptions('linear', options, LINEAR_RULES);
  if (x.rank !== 2) throw new ShapeError(`linear: input has shape [${x.shape}], expected [N, features]; flatten it first`);
  if (w.rank !== 2) throw new ShapeError(`linear: weight has shape [${w.shape}], expected [out features, in features]`);
  const [n, inFeatures] = x.shape;
  const outFeatures = w.shape[0];
  if (w.shape[1] !== inFeatures) throw new ShapeError(`linear: input has ${inFeatures} features, weight expects ${w.shape[1]}`);
  if (b && (b.rank !== 1 || b.shape[0] !== outFeatures))
    throw new ShapeError(`linear: bias has shape [${b.shape}], expected [${outFeatures}]`);
  const y = empty('linear', [n, outFeatures], x.dtype, x.backend);
  const relu = options.relu ?? false;
  x.backend.linear(y.storage, x.storage, w.storage, b ? b.storage : null, { n, inFeatures, outFeatures, relu });
  const saved = relu ? [x, w, y] : [x, w];
  return record('linear', y, b ? [x, w, b] : [x, w], saved, (dy, [x, w, y], needs, rules) =>
    relu ? withReluBackward(dy, y, rules, (dy) => linearBackward(dy, x, w, needs)) : linearBackward(dy, x, w, needs),
  );
}

function linearBackward(dy: Tensor, x: Tensor, w: Tensor, needs: readonly boolean[]): (Tensor | null)[] {
  const { backend, dtype } = dy;
  const [n, inFeatures] = x.shape;
  const outFeatures = w.shape[0];
  const make = (shape: readonly number[]) => empty('linear backward', shape, dtype, backend, false);
  const single = { batch: 1, strideA: 0, strideB: 0 };
  const dx = needs[0] ? make(x.shape) : null;
  const dw = needs[1] ? make(w.shape) : null;
  const db = needs[2] ? make([outFeatures]) : null;
  if (dw)
    backend.matmul(dw.storage, dy.storage, x.storage, {
      ...single,
      m: outFeatures,
      n: inFeatures,
      k: n,
      transposeA: true,
      transposeB: false,
    });
  if (db) backend.channelSum(db.storage, dy.storage, n, outFeatures, 1);
  if (dx)
    backend.matmul(dx.storage, dy.storage, w.storage, {
      ...single,
      m: n,
      n: inFeatures,
      k: outFeatures,
      transposeA: false,
      transposeB: false,
    });
  return [dx, dw, db];
}
