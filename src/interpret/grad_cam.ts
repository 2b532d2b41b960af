/** Grad-CAM (Selvaraju et al. 2017): the maps of a layer, weighted by the mean gradient of the score with respect to each. */
import { interpolate, ShapeError, scope, type Tensor } from '../tensor/index.js';
import { inputGradient, inputOf, layerGradient, type Subject } from './network.js';

/**
 * max(Σ over the layer's maps of (mean of the gradient over the map) · map, 0), enlarged to the input by repeating elements: [N, 1, H, W].
 */
function classMap(subject: Subject, layer: string): Tensor {
  const [, , height, width] = subject.shape;
  if (subject.shape.length !== 4) throw new ShapeError(`attribute: grad-cam needs images [N, C, H, W], got [${subject.shape}]`);
  return scope(() => {
    const { output, gradient } = layerGradient(subject, inputOf(subject, subject.values), layer);
    const weights = gradient.mean({ axes: [2, 3], keepDims: true });
    const map = output.detach().mul(weights).sum({ axes: 1, keepDims: true }).relu();
    output.dispose();
    return interpolate(map, { size: [height, width] });
  });
}

/** The class map, repeated for every channel of the input. */
export function gradCam(subject: Subject, layer: string): Tensor {
  return scope(() => classMap(subject, layer).expand(subject.shape));
}

/** The class map times guided backpropagation. */
export function guidedGradCam(subject: Subject, layer: string): Tensor {
  return scope(() => inputGradient(subject, inputOf(subject, subject.values), 'guided').mul(classMap(subject, layer)));
}
