/** Networks ready to be trained or to load published weights. Published as `zfnet/models`. */
export * from './nn/models/index.js';
export { PRESETS, type PresetName, type ZfnetOptions, zfnet } from './zfnet/index.js';
