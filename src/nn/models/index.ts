/**
 * Networks as torchvision builds them, layer by layer and name by name, so that their state dictionaries load:
 * `torchvision.resnet18().loadStateDict(loadSafetensors(bytes))`.
 */
export { alexnet } from './alexnet.js';
export { BasicBlock, Bottleneck, Residual, resnet18, resnet34, resnet50 } from './resnet.js';
export { vgg11, vgg13, vgg16, vgg19 } from './vgg.js';
