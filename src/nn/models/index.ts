/**
 * Networks with the layers, names and shapes of torchvision, so that its state dictionaries can be loaded:
 * `torchvision.resnet18().loadStateDict(loadSafetensors(bytes))`.
 */
export { alexnet } from './alexnet.js';
export { BasicBlock, Bottleneck, Residual, resnet18, resnet34, resnet50 } from './resnet.js';
export { vgg11, vgg13, vgg16, vgg19 } from './vgg.js';
