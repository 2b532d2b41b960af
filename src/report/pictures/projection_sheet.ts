/** Renders several projections of one image as one picture: the image, and for each map its projection next to its image patch. */
import { arrayOf, checkFields, integer, numeric, objectWith, type RulesFor, rule } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { image as imageRule } from '../../data/rules.js';
import { ShapeError } from '../../tensor/index.js';
import { label } from './label.js';
import {
  type Box,
  below,
  blank,
  boxRule,
  contactSheet,
  cropPicture,
  cropPlanes,
  enlarge,
  inColour,
  paste,
  signedPicture,
  windowAround,
} from './pictures.js';

/** One projection of a sheet. */
export interface SheetProjection {
  /** Index of the map, for the label. */
  map: number;
  /** The activation that was projected. */
  value: number;
  /** Receptive window of the activation in pixels: [y0, x0, y1, x1]. */
  patch: Box;
  /** Projection of the size of the image: [C, H, W]. */
  projection: Float32Array;
}

/** What a sheet of projections shows. */
export interface ProjectionSheetInput {
  /** The image as the network sees it: [H, W, C]. */
  image: Image;
  /** The projections in the order of the sheet, row by row. */
  projections: readonly SheetProjection[];
  /** [height, width] of all crops. */
  field: readonly [number, number];
  /** Number of projections per row. Default 3. */
  columns?: number;
}

/** Approximate side of an enlarged crop in pixels. */
const SIDE = 128;
const GAP = 12;
const PAPER = 255;

const INPUT: RulesFor<ProjectionSheetInput> = {
  image: imageRule,
  projections: arrayOf(
    objectWith('a projection { map, value, patch, projection }', {
      map: integer(),
      value: numeric,
      patch: boxRule,
      projection: rule('a Float32Array', (value) => value instanceof Float32Array),
    }),
    1,
  ),
  field: arrayOf(integer(1), 2, 2),
  columns: integer(1),
};

/**
 * Returns a picture with the image at the left and pairs of projection and patch to its right. Below each pair are the number of the map
 * and its activation. The contrast of each projection is stretched: see `signedPicture`.
 *
 * @throws ShapeError for a projection of another size than the image
 */
export function projectionSheet(input: ProjectionSheetInput): Image {
  checkFields('projectionSheet', input, INPUT, ['image', 'projections', 'field']);
  const size = input.image.data.length;
  for (const { projection } of input.projections)
    if (projection.length !== size)
      throw new ShapeError(`projectionSheet: got a projection of ${projection.length} values, expected ${size}, as the image has`);
  return drawSheet(input);
}

function drawSheet({ image, projections, field, columns = 3 }: ProjectionSheetInput): Image {
  const { width, height, channels } = image;
  const pairs = projections.map(({ map, value, patch, projection }) => {
    const box = windowAround(patch, field, height, width);
    const crop = cropPlanes(projection, [channels, height, width], box);
    const pictures = [signedPicture(crop.values, crop.shape), cropPicture(image, box)].map(inColour);
    const factor = enlargement(pictures[0]);
    const pair = contactSheet(
      pictures.map((picture) => enlarge(picture, factor)),
      { columns: 2, gap: 2, background: PAPER },
    );
    return below(pair, label(`${map}  ${value.toPrecision(3)}`));
  });
  const whole = enlarge(inColour(image), enlargement(image));
  const sheet = contactSheet(pairs, { columns: Math.min(columns, pairs.length), gap: GAP, background: PAPER });
  const all = blank(whole.width + sheet.width + 3 * GAP, Math.max(whole.height, sheet.height) + 2 * GAP, PAPER);
  paste(all, whole, GAP, GAP);
  paste(all, sheet, GAP, whole.width + 2 * GAP);
  return all;
}

const enlargement = ({ width, height }: Image): number => Math.max(1, Math.round(SIDE / Math.max(width, height)));
