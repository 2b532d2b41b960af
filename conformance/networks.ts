/** Small networks that together contain every layer that can be exported. */
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Dropout2d,
  Flatten,
  GELU,
  GroupNorm,
  HardSigmoid,
  HardSwish,
  LayerNorm,
  LeakyReLU,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  PReLU,
  ReLU,
  ReLU6,
  randn,
  Sequential,
  type Shape,
  Sigmoid,
  SiLU,
  Softmax,
  Tanh,
  torchvision,
  Upsample,
  zfnet,
} from '../src/index.js';

export interface Network {
  name: string;
  model: Sequential;
  input: Shape;
}

/** Sets running statistics other than 0 and 1, as in a trained network. */
function unsettle(model: Sequential): Sequential {
  for (const [name, buffer] of model.namedBuffers()) {
    const noise = randn(buffer.shape, { std: 0.3 }).dataSync();
    buffer.set(Float32Array.from(noise, (value) => (name.endsWith('running_var') ? 1 + Math.abs(value) : value)));
  }
  return model.eval();
}

const zf = (preset: Parameters<typeof zfnet>[0], inputSize: number, channels = 3): Network => {
  const model = zfnet(preset, { classes: 7, width: 0.125, inputSize, channels, seed: 3 }).eval();
  return { name: `zfnet ${preset}`, model, input: [2, channels, inputSize, inputSize] };
};

export function networks(): Network[] {
  const layers = new Sequential({
    conv: new Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [1, 0, 2, 1], dilation: [1, 2], groups: 2, bias: false }),
    bn: new BatchNorm2d(6),
    leaky: new LeakyReLU(0.2),
    max: new MaxPool2d([3, 2], { stride: [2, 1], padding: 1, ceilMode: true }),
    within: new LocalResponseNorm({ size: 4, alpha: 0.3, beta: 0.6, k: 1.5, region: 'within' }),
    up: new ConvTranspose2d(6, 4, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    tanh: new Tanh(),
    average: new AvgPool2d(3, { stride: 2, padding: 1, ceilMode: true }),
    other: new AvgPool2d(2, { stride: 1, padding: 1, countIncludePad: false }),
    sigmoid: new Sigmoid(),
    inner: new Sequential([new Conv2d(4, 4, 1), new ReLU()]),
  });
  const head = new Sequential({
    adaptive: new AdaptiveAvgPool2d([1, 2]),
    flatten: new Flatten(),
    drop: new Dropout(0.3),
    fc: new Linear(8, 5, { bias: false }),
    softmax: new Softmax(),
  });
  const modern = new Sequential({
    conv: new Conv2d(4, 6, 3, { padding: 1 }),
    group: new GroupNorm(3, 6),
    silu: new SiLU(),
    prelu: new PReLU(6),
    up: new Upsample({ scaleFactor: 2, mode: 'bilinear' }),
    gelu: new GELU(),
    down: new Upsample({ size: [9, 7] }),
    tanhGelu: new GELU({ approximate: 'tanh' }),
    layer: new LayerNorm([9, 7]),
    relu6: new ReLU6(),
    aligned: new Upsample({ size: [12, 11], mode: 'bilinear', alignCorners: true }),
    swish: new HardSwish(),
    uneven: new AdaptiveAvgPool2d([8, 4]),
    plainGroup: new GroupNorm(2, 6, { affine: false }),
    sigmoid: new HardSigmoid(),
    most: new AdaptiveMaxPool2d(2),
    maps: new Dropout2d(0.2),
    channels: new Softmax({ axis: 1 }),
  });
  return [
    { name: 'newer layers', model: unsettle(modern), input: [2, 4, 6, 5] },
    zf('a', 96),
    zf('zfnet512', 80),
    zf('faster-rcnn', 64),
    zf('alexnet', 80),
    zf('small', 32, 1),
    { name: 'every layer', model: unsettle(layers), input: [2, 4, 13, 11] },
    { name: 'every head', model: unsettle(head), input: [3, 4, 5, 6] },
    { name: 'resnet18', model: unsettle(torchvision.resnet18({ classes: 6, width: 0.125 })), input: [2, 3, 64, 64] },
    { name: 'resnet50', model: unsettle(torchvision.resnet50({ classes: 6, width: 0.0625 })), input: [1, 3, 32, 32] },
  ];
}
