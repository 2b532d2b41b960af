/** Every function that the host can call. The last two arguments of a kernel are the units of work to do, [begin, end). */

export * from './adam';
export * from './batch_norm';
export * from './channel';
export * from './conv2d';
export * from './cross_entropy';
export * from './dropout';
export * from './elementwise';
export { heapBase, openTicket, takeChunk } from './engine';
export { ceiling } from './gemm/ceiling';
export * from './gemm/gemm';
export * from './linear';
export * from './normalize';
export * from './pool2d';
export * from './random';
export * from './reduce';
export * from './rmsprop';
export { setScratch } from './scratch';
export * from './sgd';
export * from './softmax';
export * from './strided_copy';
export * from './sum_squares';
export * from './unpool';
export * from './winograd';
