/** Attribution by occlusion (Zeiler & Fergus 2013): how much the score falls when a rectangle of the input is replaced. */
import { ShapeError, type Tensor, type TypedArray, tensor } from '../tensor/index.js';
import { imageSize, type Subject, targetScores } from './network.js';

/** Elements of the inputs that are run in one forward pass. */
const MOST_ELEMENTS = 2 ** 20;

/** Size of the rectangle, and pixels from one position to the next. */
export interface OcclusionWindow {
  window: readonly [number, number];
  stride: readonly [number, number];
}

/** Positions of a window along an axis; the last ones may extend beyond the image, where they are clipped. */
function positions(extent: number, window: number, stride: number): [number, number][] {
  const count = Math.max(Math.ceil((extent - window) / stride), 0) + 1;
  return Array.from({ length: count }, (_, i) => [i * stride, Math.min(i * stride + window, extent)] as [number, number]).filter(
    ([begin, end]) => begin < end,
  );
}

/**
 * Each pixel gets the mean of score(x) − score(x with the rectangle replaced by the baseline) over the rectangles that cover it, the same
 * in every channel; a pixel that no rectangle covers gets 0.
 *
 * @param baseline values of the replacement, of the subject's shape
 */
export async function occlusion(subject: Subject, baseline: TypedArray, { window, stride }: OcclusionWindow): Promise<Tensor> {
  const { shape, values, backend } = subject;
  if (shape.length !== 4) throw new ShapeError(`attribute: occlusion needs images [N, C, H, W], got [${shape}]`);
  const [n, channels, height, width] = shape;
  const places = positions(height, window[0], stride[0]).flatMap((rows) =>
    positions(width, window[1], stride[1]).map((columns) => ({ rows, columns })),
  );
  const whole = await targetScores(subject, values, 1);
  const sums = new Float64Array(n * height * width);
  const counts = new Float64Array(height * width);
  const each = Math.max(1, Math.floor(MOST_ELEMENTS / values.length));
  for (let first = 0; first < places.length; first += each) {
    const some = places.slice(first, first + each);
    const scores = await targetScores(subject, occluded(subject, baseline, some), some.length);
    some.forEach(({ rows, columns }, k) => {
      for (let y = rows[0]; y < rows[1]; y++) {
        for (let x = columns[0]; x < columns[1]; x++) {
          counts[y * width + x]++;
          for (let i = 0; i < n; i++) sums[(i * height + y) * width + x] += whole[i] - scores[k * n + i];
        }
      }
    });
  }
  const result = new Float32Array(values.length);
  const plane = height * width;
  for (let i = 0; i < n; i++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++) result[(i * channels + c) * plane + p] = counts[p] > 0 ? sums[i * plane + p] / counts[p] : 0;
  return tensor(result, shape, { backend });
}

interface Place {
  rows: [number, number];
  columns: [number, number];
}

/** One copy of the batch per place, with the rectangle replaced. */
function occluded(subject: Subject, baseline: TypedArray, places: readonly Place[]): Float32Array {
  const { shape, values } = subject;
  const [n, channels, height, width] = shape;
  const size = n * imageSize(subject);
  const result = new Float32Array(size * places.length);
  places.forEach(({ rows, columns }, k) => {
    result.set(values, k * size);
    for (let plane = 0; plane < n * channels; plane++) {
      for (let y = rows[0]; y < rows[1]; y++) {
        const row = (plane * height + y) * width;
        result.set(baseline.subarray(row + columns[0], row + columns[1]), k * size + row + columns[0]);
      }
    }
  });
  return result;
}
