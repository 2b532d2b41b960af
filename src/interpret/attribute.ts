/** `attribute`: how much each element of an input contributes to the score of a class, by nine methods. */
import { checkArgument, checkFields, instanceOf } from '../backend/validate.js';
import { Module, topK } from '../nn/index.js';
import { aTensor } from '../nn/rules.js';
import { full, noGrad, ShapeError, scope, type Tensor, tensor, ValueError } from '../tensor/index.js';
import { checkFloat } from '../tensor/tensor.js';
import { gradCam, guidedGradCam } from './grad_cam.js';
import { defaultSigma, inputTimesGradient, integratedGradients, smoothGrad } from './gradients.js';
import { inputGradient, inputOf, lastConvolution, type Subject, scoresOf } from './network.js';
import { occlusion } from './occlusion.js';
import { ATTRIBUTE_RULES, type AttributeOptions } from './options.js';

/**
 * Returns how much each element of an input contributes to the score of a class, as a tensor of the input's shape on the model's backend.
 * The score is the model's output at the class, before softmax if the model ends with logits. With f the score of the target:
 *
 * - `gradient`: ∂f/∂x (Simonyan et al. 2013). Captum `Saliency` without the absolute value.
 * - `guided`: guided backpropagation (Springenberg et al. 2014), started from +1 at the target. Captum `GuidedBackprop`.
 * - `deconvnet`: the deconvnet (Zeiler & Fergus 2013), started from +1 at the target. Captum `Deconvolution`, except that contrast
 *   normalisation passes the projected signal unchanged.
 * - `input-x-gradient`: x · ∂f/∂x. Captum `InputXGradient`.
 * - `integrated-gradients`: (x − baseline) · the mean of ∂f/∂x between the baseline and x (Sundararajan et al. 2017), by Gauss-Legendre
 *   quadrature; the sum over all elements approximates f(x) − f(baseline). Captum `IntegratedGradients`.
 * - `smoothgrad`: the mean of ∂f/∂x over noisy copies of x (Smilkov et al. 2017). Captum `NoiseTunnel` of `Saliency`.
 * - `grad-cam`: the rectified sum of a layer's maps, weighted by the mean of ∂f/∂map (Selvaraju et al. 2017), enlarged to the image by
 *   repeating elements and the same in every channel. Captum `LayerGradCam` with `relu_attributions`.
 * - `guided-grad-cam`: `guided` times `grad-cam`. Captum `GuidedGradCam`.
 * - `occlusion`: f(x) − f(x with a rectangle replaced by the baseline), averaged over the rectangles that cover a pixel. Captum
 *   `Occlusion` with windows over all channels.
 *
 * The model runs in evaluation mode; its mode is restored.
 *
 * @example const map = await attribute(model, images, { method: 'gradient', target: 3 });
 * @param model any module with outputs [N, classes]: `zfnet(…)`, a `Sequential`, an imported network or your own
 * @param x a batch [N, …], or one image [C, H, W]
 * @throws ValueError for invalid options, an unknown layer, and for `guided`, `guided-grad-cam` and `deconvnet` if no ReLU lies between
 *   the input and the scores, since these methods would then be the gradient; ShapeError for an input or output of the wrong shape
 */
export async function attribute(model: Module, x: Tensor, options: AttributeOptions): Promise<Tensor> {
  checkArgument('attribute', 'the model', model, instanceOf(Module));
  checkArgument('attribute', 'x', x, aTensor);
  checkFloat('attribute', x);
  checkFields('attribute', options, ATTRIBUTE_RULES, ['method']);
  if (x.rank < 2) throw new ShapeError(`attribute: x has shape [${x.shape}], expected a batch [N, …] or one image [C, H, W]`);
  const shape = x.rank === 3 ? [1, ...x.shape] : [...x.shape];
  const backend = model.parameters()[0]?.backend ?? x.backend;
  const values = await x.data();
  const targets = await targetsOf(model, tensor(values, shape, { backend }), options.target);
  const result = await byMethod({ model, backend, shape, values, targets }, options);
  if (x.rank !== 3) return result;
  const picture = result.reshape(x.shape);
  result.dispose();
  return picture;
}

async function byMethod(subject: Subject, options: AttributeOptions): Promise<Tensor> {
  const { model, values } = subject;
  const { method, steps = 50, samples = 50, sigma, seed = 0, layer } = options;
  switch (method) {
    case 'gradient':
    case 'guided':
    case 'deconvnet':
      return inputGradient(subject, inputOf(subject, values), method);
    case 'input-x-gradient':
      return inputTimesGradient(subject);
    case 'integrated-gradients': {
      const baseline = await baselineOf(subject, options.baseline);
      return integratedGradients(subject, baseline, steps).finally(() => baseline.dispose());
    }
    case 'smoothgrad':
      return smoothGrad(subject, samples, sigma ?? defaultSigma(subject), seed);
    case 'grad-cam':
      return gradCam(subject, layer ?? lastConvolution(model));
    case 'guided-grad-cam':
      return guidedGradCam(subject, layer ?? lastConvolution(model));
    case 'occlusion': {
      const baseline = await baselineOf(subject, options.baseline);
      const replacement = await baseline.data().finally(() => baseline.dispose());
      return occlusion(subject, replacement, rectangle(subject, options));
    }
  }
}

/** Returns one class per image. */
async function targetsOf(model: Module, x: Tensor, target: AttributeOptions['target']): Promise<number[]> {
  const n = x.shape[0];
  const scores = noGrad(() => scoresOf(model, x));
  const classes = scores.shape[1];
  const data = await scores.data();
  scores.dispose();
  if (target === undefined) return Array.from({ length: n }, (_, i) => topK(data.subarray(i * classes, (i + 1) * classes), 1)[0]);
  const targets = typeof target === 'number' ? new Array<number>(n).fill(target) : [...target];
  if (targets.length !== n) throw new ValueError(`attribute: got ${targets.length} targets for ${n} images, expected one per image`);
  const bad = targets.find((each) => each >= classes);
  if (bad !== undefined) throw new ValueError(`attribute: target is ${bad}, expected a class from 0 to ${classes - 1}`);
  return targets;
}

/** Returns the baseline as a tensor of the input's shape. */
async function baselineOf({ backend, shape }: Subject, baseline: AttributeOptions['baseline'] = 0): Promise<Tensor> {
  if (typeof baseline === 'number') return full(shape, baseline, { backend });
  const values = await baseline.data();
  return scope(() => tensor(values, baseline.shape, { backend, dtype: 'float32' }).expand(shape));
}

/** Returns window and stride as pairs. */
function rectangle({ shape }: Subject, { window, stride }: AttributeOptions) {
  const pair = (value: number | readonly [number, number]): [number, number] =>
    typeof value === 'number' ? [value, value] : [value[0], value[1]];
  const size = window === undefined ? ([2, 3].map((axis) => Math.ceil((shape[axis] ?? 1) / 8)) as [number, number]) : pair(window);
  return { window: size, stride: stride === undefined ? (size.map((each) => Math.ceil(each / 2)) as [number, number]) : pair(stride) };
}
