/** All public operations. */
export { add, div, equal, greater, maximum, minimum, mul, type Operand, pow, sub } from './arithmetic.js';
export { avgPool2d } from './avg_pool2d.js';
export { batchNorm2d } from './batch_norm2d.js';
export { cast } from './cast.js';
export { type Conv2dOptions, conv2d, convTranspose2d } from './conv2d.js';
export { crossEntropy } from './cross_entropy.js';
export { dropout } from './dropout.js';
export { linear } from './linear.js';
export { type LrnOptions, localResponseNorm } from './local_response_norm.js';
export { type MatmulOptions, matmul } from './matmul.js';
export { type MaxPool2dOptions, type MaxUnpool2dOptions, maxPool2d, maxPool2dWithSwitches, maxUnpool2d } from './max_pool2d.js';
export { concat, expand, flatten, pad, permute, reshape, slice, squeeze, transpose, unsqueeze } from './movement.js';
export { argmax, max, mean, min, type ReduceOptions, sum } from './reduce.js';
export { clamp, leakyRelu, relu } from './relu.js';
export { logSoftmax, softmax } from './softmax.js';
export { take } from './take.js';
export { abs, exp, log, neg, reciprocal, sigmoid, sqrt, square, tanh } from './unary.js';
