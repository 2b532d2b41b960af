// A Cloudflare Worker: it may not compile WebAssembly from bytes, so the kernels are an imported module.
import * as zfnet from './dist/index.js';
import wasm from './dist/simd.wasm';
import { train } from './interop/runtimes/train.mjs';

export default {
  fetch: async () => Response.json(await train(zfnet, { wasm })),
};
