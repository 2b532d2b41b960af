/**
 * The compiled kernels, for `init({ wasm })`: a module, the bytes or the address of the file, whichever the bundler or the runtime gives. All
 * are accepted.
 */
declare const kernels: object | string;
export default kernels;
