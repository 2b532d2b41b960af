/**
 * Renders numbers as pictures: signed projections and filters, patches of images, and contact sheets.
 *
 * Pictures are 8-bit `Image`s, [height, width, channels]. Signed values are shown alike everywhere: mid grey is zero, brighter is positive
 * and darker is negative, in each channel.
 */
import { arrayOf, checkArgument, checkFields, either, finite, integer, numeric, type RulesFor, rule } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { image as imageRule } from '../../data/rules.js';
import { ShapeError, ValueError } from '../../tensor/index.js';

/** [y0, x0, y1, x1], end exclusive. */
export type Box = readonly [number, number, number, number];

export const GREY = 128;

/** @internal A box of whole pixels that is not empty. */
export const boxRule = rule('a box [y0, x0, y1, x1] in whole pixels, y0 < y1 and x0 < x1', (value) => {
  if (!arrayOf(integer(), 4, 4).test(value)) return false;
  const [y0, x0, y1, x1] = value as Box;
  return y0 < y1 && x0 < x1;
});

/** Largest side of a picture. */
const side = integer(1, 2 ** 15);
const values = arrayOf(numeric);
const planes = arrayOf(integer(1), 3, 3);

function checkInside(op: string, [, , y1, x1]: Box, height: number, width: number): void {
  if (y1 > height || x1 > width)
    throw new ShapeError(`${op}: the box ends at row ${y1} and column ${x1}, outside of ${height} rows and ${width} columns`);
}

function checkSize(op: string, width: number, height: number): void {
  if (width * height > 2 ** 28)
    throw new ValueError(`${op}: the picture would have ${width}×${height} pixels, more than 2^28; make it smaller`);
}

/** Share of the values inside the range of a picture with stretched contrast; values outside are clipped. */
const WITHIN = 0.995;

/** Returns the absolute value that black and white stand for: 99.5 % of the values lie within it. 0 if all values are zero. */
export function contrastRange(numbers: ArrayLike<number>): number {
  checkArgument('contrastRange', 'values', numbers, values);
  const sizes = Float64Array.from(numbers, Math.abs).sort();
  const range = sizes[Math.max(0, Math.ceil(WITHIN * sizes.length) - 1)] ?? 0;
  // If nearly all values are zero, the range is that of the others.
  return range > 0 ? range : (sizes.at(-1) ?? 0);
}

/**
 * Renders signed values: grey is 0, `range` is white and −`range` is black, in each channel.
 *
 * @example const picture = signedPicture([-1, 0, 0, 1], [1, 2, 2]); // black, grey, grey, white
 * @param numbers values, [C, H, W] with one or three channels
 * @param range default `contrastRange(values)`: the contrast is stretched, so that brightness cannot be compared between pictures
 * @throws ShapeError unless the values fill the shape, with one or three channels
 */
export function signedPicture(numbers: ArrayLike<number>, shape: readonly number[], range = contrastRange(numbers)): Image {
  checkArgument('signedPicture', 'values', numbers, values);
  checkArgument('signedPicture', 'shape', shape, planes);
  checkArgument('signedPicture', 'range', range, numeric);
  const [channels, height, width] = shape;
  if (channels * height * width !== numbers.length)
    throw new ShapeError(`signedPicture: got ${numbers.length} values, shape [${shape}] holds ${channels * height * width}`);
  if (channels !== 1 && channels !== 3) throw new ShapeError(`signedPicture: got shape [${shape}], expected [1, H, W] or [3, H, W]`);
  const plane = height * width;
  const data = new Uint8Array(plane * channels);
  const scale = range > 0 ? 127 / range : 0;
  for (let p = 0; p < plane; p++) {
    for (let c = 0; c < channels; c++) {
      const shade = Math.round(GREY + scale * numbers[c * plane + p]);
      data[p * channels + c] = Math.min(Math.max(shade, 1), 255);
    }
  }
  return { width, height, channels, data };
}

/** Returns the part of planes [C, H, W] inside a box: [C, y1 − y0, x1 − x0]. */
export function cropPlanes(pixels: Float32Array, shape: readonly number[], box: Box): { values: Float32Array; shape: number[] } {
  checkArgument('cropPlanes', 'shape', shape, planes);
  checkArgument('cropPlanes', 'box', box, boxRule);
  const [channels, height, width] = shape;
  const size = channels * height * width;
  const expected = rule(`a Float32Array of ${size} numbers`, (value) => value instanceof Float32Array && value.length === size);
  checkArgument('cropPlanes', 'values', pixels, expected);
  checkInside('cropPlanes', box, height, width);
  const [y0, x0, y1, x1] = box;
  const [h, w] = [y1 - y0, x1 - x0];
  const out = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < h; y++) {
      const start = (c * height + y0 + y) * width + x0;
      out.set(pixels.subarray(start, start + w), (c * h + y) * w);
    }
  return { values: out, shape: [channels, h, w] };
}

/** Returns the part of a picture inside a box. */
export function cropPicture(picture: Image, box: Box): Image {
  checkArgument('cropPicture', 'picture', picture, imageRule);
  checkArgument('cropPicture', 'box', box, boxRule);
  checkInside('cropPicture', box, picture.height, picture.width);
  const [y0, x0, y1, x1] = box;
  const { width, channels, data } = picture;
  const [h, w] = [y1 - y0, x1 - x0];
  const out = new Uint8Array(h * w * channels);
  for (let y = 0; y < h; y++) {
    const start = ((y0 + y) * width + x0) * channels;
    out.set(data.subarray(start, start + w * channels), y * w * channels);
  }
  return { width: w, height: h, channels, data: out };
}

/**
 * Returns a window of the given size that contains a patch and lies inside the image. A patch at the edge of the image is smaller than the
 * window, so all windows of a layer have one size.
 */
export function windowAround(box: Box, size: readonly [number, number], height: number, width: number): Box {
  checkArgument('windowAround', 'box', box, boxRule);
  checkArgument('windowAround', 'size', size, arrayOf(integer(1), 2, 2));
  for (const [name, value] of Object.entries({ height, width })) checkArgument('windowAround', name, value, integer(1));
  const [y0, x0, y1, x1] = box;
  const axis = (from: number, to: number, want: number, extent: number): [number, number] => {
    const length = Math.min(want, extent);
    // A patch that begins at 0 was clipped there, so the window ends where the patch ends.
    const start = Math.min(Math.max(from === 0 ? to - length : from, 0), extent - length);
    return [start, start + length];
  };
  const [top, bottom] = axis(y0, y1, size[0], height);
  const [left, right] = axis(x0, x1, size[1], width);
  return [top, left, bottom, right];
}

/**
 * Enlarges a picture: every pixel becomes a square of `factor` × `factor` pixels.
 *
 * @example const larger = enlarge(example.image, 2);
 */
export function enlarge(picture: Image, factor: number): Image {
  checkArgument('enlarge', 'picture', picture, imageRule);
  checkArgument('enlarge', 'factor', factor, integer(1));
  checkSize('enlarge', picture.width * factor, picture.height * factor);
  const { width, height, channels, data } = picture;
  const out = new Uint8Array(data.length * factor * factor);
  let to = 0;
  for (let y = 0; y < height * factor; y++) {
    const row = Math.floor(y / factor) * width;
    for (let x = 0; x < width * factor; x++) {
      const from = (row + Math.floor(x / factor)) * channels;
      for (let c = 0; c < channels; c++) out[to++] = data[from + c];
    }
  }
  return { width: width * factor, height: height * factor, channels, data: out };
}

/** Reduces a picture to the mean of each square of `factor` × `factor` pixels; incomplete squares at the right and below are omitted. */
export function reduce(picture: Image, factor: number): Image {
  checkArgument('reduce', 'picture', picture, imageRule);
  checkArgument('reduce', 'factor', factor, integer(1, Math.min(picture.width, picture.height)));
  const { width, channels, data } = picture;
  const [w, h] = [Math.max(1, Math.floor(width / factor)), Math.max(1, Math.floor(picture.height / factor))];
  const out = new Uint8Array(w * h * channels);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0; i < factor; i++)
          for (let j = 0; j < factor; j++) sum += data[((y * factor + i) * width + x * factor + j) * channels + c];
        out[(y * w + x) * channels + c] = Math.round(sum / factor ** 2);
      }
  return { width: w, height: h, channels, data: out };
}

/**
 * Enlarges or reduces a picture by a whole factor, so that its longer side has about `length` pixels.
 *
 * @example const small = toSide(example.image, 36);
 */
export function toSide(picture: Image, length: number): Image {
  checkArgument('toSide', 'picture', picture, imageRule);
  checkArgument('toSide', 'side', length, side);
  const [longer, shorter] = [Math.max(picture.width, picture.height), Math.min(picture.width, picture.height)];
  return longer <= length
    ? enlarge(picture, Math.max(1, Math.round(length / longer)))
    : reduce(picture, Math.min(shorter, Math.max(1, Math.round(longer / length))));
}

/** Returns a grey picture with three channels; returns a colour picture unchanged. */
export function inColour(picture: Image): Image {
  checkArgument('inColour', 'picture', picture, imageRule);
  if (picture.channels === 3) return picture;
  return { ...picture, channels: 3, data: Uint8Array.from({ length: picture.data.length * 3 }, (_, i) => picture.data[Math.floor(i / 3)]) };
}

/** Options of `contactSheet`. */
export interface SheetOptions {
  /** Number of pictures per row, from 1. */
  columns: number;
  /** Pixels between pictures. Default 1. */
  gap?: number;
  /** Pixels around all of them. Default 0. */
  margin?: number;
  /** Shade of the gaps, 0 to 255, or a colour. Default white. */
  background?: number | readonly [number, number, number];
}

const shade = either(finite(0, 255), arrayOf(finite(0, 255), 3, 3));

const SHEET_OPTIONS: RulesFor<SheetOptions> = {
  columns: integer(1),
  gap: integer(0, 2 ** 15),
  margin: integer(0, 2 ** 15),
  background: shade,
};

/**
 * Arranges pictures in rows, each at the top left of a cell of the size of the largest picture.
 *
 * @example const sheet = contactSheet([example.image, example.image], { columns: 2, gap: 4 });
 */
export function contactSheet(pictures: readonly Image[], options: SheetOptions): Image {
  checkArgument('contactSheet', 'pictures', pictures, arrayOf(imageRule, 1));
  checkFields('contactSheet', options, SHEET_OPTIONS, ['columns']);
  const { columns, gap = 1, margin = 0, background = 255 } = options;
  const cell = cellSize(pictures);
  const rows = Math.ceil(pictures.length / columns);
  const across = Math.min(columns, pictures.length);
  const width = 2 * margin + across * cell.width + (across - 1) * gap;
  const height = 2 * margin + rows * cell.height + (rows - 1) * gap;
  const sheet = blank(width, height, background);
  pictures.forEach((picture, i) => {
    const x = margin + (i % columns) * (cell.width + gap);
    const y = margin + Math.floor(i / columns) * (cell.height + gap);
    paste(sheet, picture, y, x);
  });
  return sheet;
}

const cellSize = (pictures: readonly Image[]) => ({
  width: Math.max(...pictures.map((picture) => picture.width)),
  height: Math.max(...pictures.map((picture) => picture.height)),
});

/** Returns a picture of one colour. */
export function blank(width: number, height: number, background: number | readonly [number, number, number]): Image {
  for (const [name, value] of Object.entries({ width, height })) checkArgument('blank', name, value, side);
  checkArgument('blank', 'background', background, shade);
  checkSize('blank', width, height);
  const colour = typeof background === 'number' ? [background, background, background] : background;
  return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => colour[i % 3]) };
}

/** Puts a text below a picture, both at the left edge, on white. */
export function below(picture: Image, text: Image): Image {
  const sheet = blank(Math.max(picture.width, text.width), picture.height + text.height + 4, 255);
  paste(sheet, picture, 0, 0);
  paste(sheet, text, picture.height + 4, 0);
  return sheet;
}

/**
 * Copies `picture` into `sheet` with its top left corner at (y, x).
 *
 * @throws ShapeError if the sheet is grey, or the picture does not fit into it
 */
export function paste(sheet: Image, picture: Image, y: number, x: number): void {
  checkArgument('paste', 'sheet', sheet, imageRule);
  checkArgument('paste', 'picture', picture, imageRule);
  for (const [name, value] of Object.entries({ y, x })) checkArgument('paste', name, value, integer());
  if (sheet.channels !== 3) throw new ShapeError('paste: the sheet has 1 channel, expected 3; inColour(sheet) makes a sheet of 3');
  checkInside('paste', [y, x, y + picture.height, x + picture.width], sheet.height, sheet.width);
  const { width, height, data } = inColour(picture);
  for (let row = 0; row < height; row++) {
    sheet.data.set(data.subarray(row * width * 3, (row + 1) * width * 3), ((y + row) * sheet.width + x) * 3);
  }
}
