/** Data sets: opening sources of labelled images, reading them in batches, and processing images. Published as `zfnet/data`. */
export type {
  Credit,
  Dataset,
  Example,
  Image,
  OpenOptions,
  OpenProgress,
  Split,
} from './dataset.js';
export { DataError } from './errors.js';
export { type BatchOptions, batches, epochOrder, prefetch } from './loader.js';
export { type ReadImageOptions, readImage, resizeImage } from './reading/image.js';
export { type Warp, warpImage } from './reading/warp.js';
export { drawByClass, sampleByClass, takeByClass } from './sample.js';
export { loadSceneAssets, type SceneAssets } from './scenes/assets.js';
export { type PixelBox, type SceneFace, sceneFaces } from './scenes/faces.js';
export { SCENE_CLASSES, SCENE_PHOTOGRAPHS, SCENE_SPLITS, SCENE_STYLES } from './scenes/names.js';
export { FACE_CLASSES, FACE_PARTS, type FaceClass, type FacePart } from './scenes/parts.js';
export { drawScene, renderScene } from './scenes/render.js';
export type { Scene, SceneDetails } from './scenes/scene.js';
export { DATA_SOURCES, listSources, type ParsedSource, parseSource, type SourceKind } from './sources/kinds.js';
export { locate, openDataset } from './sources/open.js';
export { inChannels, samplePlaces, sampleSubset, shuffledPlaces, spreadPlaces, subset } from './subset.js';
