/** The operators Conv and ConvTranspose, in one and two dimensions. */
import { conv2d, convTranspose2d, type Tensor } from '../../../tensor/index.js';
import type { Call, Operator } from '../operator.js';
import {
  AUTO_PADS,
  fromPlanes,
  padsOf,
  pairOf,
  receptiveWindowOf,
  type Sides,
  spatialDims,
  splitPads,
  toPlanes,
  windowOf,
} from './window.js';

function checkKernel(call: Call, w: Tensor, dims: number): void {
  const given = call.attributes.ints('kernel_shape');
  const actual = w.shape.slice(-dims);
  if (given && given.join() !== actual.join()) throw call.error(`kernel_shape is [${given}], the weight has kernels of [${actual}]`);
}

/** Conv. X is [N, C, (H,) W], W is [O, C / group, (KH,) KW], B is [O]. Opsets 1, 11, 22. */
function conv(call: Call): readonly Tensor[] {
  const [x, w] = [call.tensor(0), call.tensor(1)];
  const dims = spatialDims(call, x.rank);
  checkKernel(call, w, dims);
  const [image, filters] = [toPlanes(x), toPlanes(w)];
  const { stride, dilation, padding } = windowOf(call.attributes, image.shape, [filters.shape[2], filters.shape[3]], dims);
  const groups = call.attributes.int('group', 1);
  const y = conv2d(image, filters, call.optionalTensor(2), { stride, dilation, padding, groups, relu: call.relu });
  return [fromPlanes(y, dims)];
}

/**
 * ConvTranspose. X is [N, C, (H,) W], W is [C, O / group, (KH,) KW], B is [O]. Opsets 1, 11, 22. The output size is
 * stride · (size − 1) + output_padding + dilation · (kernel − 1) + 1 − pads. If `output_shape` or SAME padding fixes the output size,
 * the pads are derived from it; an output larger than the formula gives without pads is padded at the end.
 */
function convTranspose(call: Call): readonly Tensor[] {
  const [x, w] = [call.tensor(0), call.tensor(1)];
  const dims = spatialDims(call, x.rank);
  checkKernel(call, w, dims);
  const { attributes } = call;
  const [image, filters] = [toPlanes(x), toPlanes(w)];
  const stride = pairOf(attributes.ints('strides'), 1, dims);
  const dilation = pairOf(attributes.ints('dilations'), 1, dims);
  const extra =
    dims === 1 ? ([0, attributes.ints('output_padding')?.[0] ?? 0] as const) : pairOf(attributes.ints('output_padding'), 0, dims);
  const mode = attributes.word('auto_pad', AUTO_PADS, 'NOTSET');
  const full = (i: 0 | 1) => stride[i] * (image.shape[2 + i] - 1) + extra[i] + dilation[i] * (filters.shape[2 + i] - 1) + 1;
  const given = attributes.ints('output_shape');
  const wanted = given
    ? dims === 1
      ? [full(0), given[given.length - 1]]
      : given.slice(-2)
    : mode === 'SAME_UPPER' || mode === 'SAME_LOWER'
      ? [image.shape[2] * stride[0], image.shape[3] * stride[1]]
      : null;
  let padding: Sides = mode === 'VALID' ? [0, 0, 0, 0] : padsOf(attributes.ints('pads'), dims);
  let outputPadding: readonly [number, number] = [extra[0], extra[1]];
  if (wanted) {
    const total = [full(0) - wanted[0], full(1) - wanted[1]];
    // If output_shape is larger than the output without pads, the difference is output padding.
    outputPadding = [extra[0] + Math.max(0, -total[0]), extra[1] + Math.max(0, -total[1])];
    padding = splitPads([Math.max(0, total[0]), Math.max(0, total[1])], mode === 'SAME_UPPER' ? 'SAME_UPPER' : 'SAME_LOWER');
  }
  const y = convTranspose2d(image, filters, call.optionalTensor(2), {
    stride,
    dilation,
    padding,
    groups: attributes.int('group', 1),
    outputPadding,
  });
  return [fromPlanes(y, dims)];
}

export const convolution = {
  Conv: {
    run: conv,
    weights: [1, 2],
    fusesRelu: true,
    receptiveWindow: (attributes, weight) => receptiveWindowOf(attributes, attributes.ints('kernel_shape') ?? weight?.slice(2)),
  },
  ConvTranspose: { run: convTranspose, weights: [1, 2] },
} satisfies Record<string, Operator>;
