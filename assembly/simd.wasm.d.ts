/**
 * The compiled kernels, for `init({ wasm })`. Cloudflare Workers give the module itself; where a bundler gives the address instead, compile it
 * with `WebAssembly.compileStreaming(fetch(address))`.
 */
declare const kernels: object;
export default kernels;
