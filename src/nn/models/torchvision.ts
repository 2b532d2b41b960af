/** torchvision's networks as one object. A plain object, unlike `export * as`, is left out of the bundle of a page that does not use it. */
import { alexnet } from './alexnet.js';
import { BasicBlock, Bottleneck, Residual, resnet18, resnet34, resnet50 } from './resnet.js';
import { vgg11, vgg13, vgg16, vgg19 } from './vgg.js';

/** Networks with torchvision's layers and names: `torchvision.resnet18().loadStateDict(state)` takes its state dictionaries. */
export const torchvision = {
  alexnet,
  BasicBlock,
  Bottleneck,
  Residual,
  resnet18,
  resnet34,
  resnet50,
  vgg11,
  vgg13,
  vgg16,
  vgg19,
};
