/** ZFNet: the network, its training and its evaluation. */
export { type Architecture, architectureOf, PRESETS, type PresetName, ZfNet, type ZfnetOptions, zfnet } from './model.js';
