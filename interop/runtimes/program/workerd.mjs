// A Cloudflare Worker: it may not compile WebAssembly from bytes, so the kernels are an imported module.

import { run } from './program.mjs';
import wasm from './simd.wasm';

export default {
  fetch: async () => Response.json(await run({ wasm })),
};
