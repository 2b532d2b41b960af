/**
 * The deconvnet (Zeiler & Fergus 2013, section 2): from one activation back down to the pixels that caused it.
 *
 * There are no kernels here. The forward pass is recorded as for training, with the pools' switches; the way down is the
 * same walk that computes gradients, under the rules of `RULES.deconvnet`: unpool, rectify, filter transposed.
 */
import type { LayeredModel } from '../nn/index.js';
import {
  type BackwardRules,
  backward,
  type OverlapRule,
  RangeOfValueError,
  RULES,
  type RulesName,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '../tensor/index.js';

export type DeconvMode = RulesName;

export interface ProjectOptions {
  /** Layer name: `conv5`. A convolution or linear layer followed by a ReLU is looked at behind that ReLU. */
  layer: string;
  /** Feature map (or unit) within the layer. */
  map: number;
  /** [y, x] within the map. Default: the place of the map's strongest activation. */
  position?: readonly [number, number];
  /** `deconvnet` (default), `gradient` (Simonyan 2013) or `guided` (Springenberg 2014). */
  mode?: DeconvMode;
  /** Where two pooling windows share a switch: `sum` (default, the exact adjoint) or `last`, as PyTorch's unpooling. */
  overlap?: OverlapRule;
}

export interface Projection {
  /** [C, H, W], in the input's own units, signed. */
  picture: Tensor;
  /** The activation that was projected. */
  value: number;
  position: [number, number];
}

export interface Deconvnet {
  /** The picture alone: [C, H, W]. See `projectActivation` for where it was and how strong. */
  project(image: Tensor, options: ProjectOptions): Promise<Tensor>;
  projectActivation(image: Tensor, options: ProjectOptions): Promise<Projection>;
}

/**
 * Makes the deconvnet of any layered model of convolutions, ReLUs, poolings and normalisations. The model runs in
 * evaluation mode meanwhile. Biases play no part; contrast normalisation is passed through in mode `deconvnet`.
 */
export function deconvnet(model: LayeredModel): Deconvnet {
  const projectActivation = (image: Tensor, options: ProjectOptions) => project(model, image, options);
  return { projectActivation, project: async (image, options) => (await projectActivation(image, options)).picture };
}

function rulesFor(mode: DeconvMode, overlap: OverlapRule): BackwardRules {
  const rules = RULES[mode];
  if (!rules) throw new RangeOfValueError(`project: mode is '${mode}', expected deconvnet, gradient or guided`);
  if (overlap !== 'sum' && overlap !== 'last') throw new RangeOfValueError(`project: overlap is '${overlap}', expected 'sum' or 'last'`);
  return { ...rules, overlap };
}

async function project(model: LayeredModel, image: Tensor, options: ProjectOptions): Promise<Projection> {
  const rules = rulesFor(options.mode ?? 'deconvnet', options.overlap ?? 'sum');
  if (image.rank !== 3 && !(image.rank === 4 && image.shape[0] === 1))
    throw new ShapeError(`project: image has shape [${image.shape}], expected [C, H, W]`);
  const layer = model.featureLayer(options.layer);
  const input = tensor(await image.data(), [1, ...image.shape.slice(-3)], { backend: image.backend, requiresGrad: true });

  const activation = evaluating(model, () => model.activations(input, [layer])[layer]);
  const values = await activation.data();
  const chosen = chooseActivation(values, activation.shape, options);
  const picture = scope(() => {
    // All of the layer is zero but the chosen activation, which keeps its value.
    const only = new Float64Array(values.length);
    only[chosen.index] = chosen.value;
    const seed = tensor(only, activation.shape, { backend: image.backend, dtype: activation.dtype });
    const [signal] = activation.node
      ? backward(activation, { seed, rules, wrt: [input] })
      : [zeros(input.shape, { backend: image.backend })];
    return signal.reshape(input.shape.slice(1));
  });
  activation.dispose();
  input.dispose();
  return { picture, value: chosen.value, position: chosen.position };
}

/** Runs a model in evaluation mode and puts its mode back. */
export function evaluating<T>(model: LayeredModel, fn: () => T): T {
  const { training } = model;
  model.train(false);
  try {
    return fn();
  } finally {
    model.train(training);
  }
}

interface Chosen {
  index: number;
  value: number;
  position: [number, number];
}

/** @param shape [1, maps, H, W] or [1, units] */
function chooseActivation(values: ArrayLike<number>, shape: readonly number[], options: ProjectOptions): Chosen {
  const [, maps, height = 1, width = 1] = shape;
  const { map, position, layer } = options;
  if (!Number.isInteger(map) || map < 0 || map >= maps)
    throw new RangeOfValueError(`project: map is ${map}, layer ${layer} has maps 0 to ${maps - 1}`);
  const plane = height * width;
  const start = map * plane;
  let place = 0;
  if (position) {
    const [y, x] = position;
    if (!(Number.isInteger(y) && Number.isInteger(x) && y >= 0 && x >= 0 && y < height && x < width)) {
      throw new RangeOfValueError(
        `project: position is [${position}], the maps of layer ${layer} have ${height} rows and ${width} columns`,
      );
    }
    place = y * width + x;
  } else {
    for (let i = 1; i < plane; i++) if (values[start + i] > values[start + place]) place = i;
  }
  return { index: start + place, value: values[start + place], position: [Math.floor(place / width), place % width] };
}
