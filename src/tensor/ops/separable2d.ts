/**
 * Linear maps of the rows and columns of images: y = rows · x · columnsᵀ in every plane. Interpolation and average pooling to any size
 * are of this form. Both are two matrix products, and so is the gradient, which needs no saved tensor.
 */
import type { OpContext, OpDefinition } from '../graph/define_op.js';
import { fromHost, type Tensor, toTypedArray } from '../tensor.js';
import { matmul } from './matmul.js';
import { reshape } from './movement.js';

/** One axis: a matrix [outputs, inputs] in row-major order. */
export interface AxisMap {
  outputs: number;
  inputs: number;
  weights: Float64Array;
}

export interface SeparableOptions {
  rows: AxisMap;
  columns: AxisMap;
}

const matrix = ({ outputs, inputs, weights }: AxisMap, { dtype, backend }: Tensor): Tensor =>
  fromHost(toTypedArray(weights, dtype), [outputs, inputs], { backend });

/** Forward and backward step of an operation on x [N, C, H, W] that maps rows and columns. */
export const separable2d: Omit<OpDefinition<{ maps: SeparableOptions }>, 'name'> = {
  forward(_ctx, [x], { maps: { rows, columns } }) {
    const [n, c, h, w] = x.shape;
    const wide = matmul(reshape(x, [n * c * h, w]), matrix(columns, x), { transposeB: true });
    const y = matmul(matrix(rows, x), reshape(wide, [n * c, h, columns.outputs]));
    return reshape(y, [n, c, rows.outputs, columns.outputs]);
  },

  backward({ shapes: [shape], options }: OpContext<{ maps: SeparableOptions }>, dy) {
    const [n, c, h, w] = shape;
    const { rows, columns } = options.maps;
    const high = matmul(matrix(rows, dy), reshape(dy, [n * c, rows.outputs, columns.outputs]), { transposeA: true });
    const dx = matmul(reshape(high, [n * c * h, columns.outputs]), matrix(columns, dy));
    return [reshape(dx, [n, c, h, w])];
  },
};
