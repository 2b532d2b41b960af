/**
 * Pictures of filters, projections and feature maps, as PNG files and as sheets, without charts and pages. Published as `zfnet/pictures`, so
 * that a page can show pictures without the chart library of `zfnet/report`.
 */
export type { Image } from '../../data/dataset.js';
export { columnsFor, type FilterPicture, filterPictures } from './filter_pictures.js';
export {
  type Box,
  blank,
  contactSheet,
  contrastRange,
  cropPicture,
  cropPlanes,
  enlarge,
  inColour,
  paste,
  reduce,
  type SheetOptions,
  signedPicture,
  toSide,
  windowAround,
} from './pictures.js';
export { decodePng, encodePng, pngDataUri } from './png.js';
export { type ProjectionSheetInput, projectionSheet, type SheetProjection } from './projection_sheet.js';
