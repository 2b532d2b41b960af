/** Everything that the host can call. A kernel's last two arguments are the part of the work, [begin, end), that it does. */
export { heapBase, openTicket, takeChunk } from './engine';
export { setScratch } from './scratch';
export * from './elementwise';
export * from './dropout';
export * from './random';
export * from './strided_copy';
export * from './reduce';
export * from './softmax';
export * from './cross_entropy';
export * from './pool2d';
export * from './unpool';
export * from './normalize';
export * from './channel';
export * from './sgd';
export * from './gemm/gemm';
export * from './linear';
export * from './conv2d';
