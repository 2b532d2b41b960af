/** Runs a model with a fixed batch size on batches of any size. */
import { concat, permute, ShapeError, slice, type Tensor } from '../../../tensor/index.js';

/** Order of the channels and axes of a model's input. */
export interface InputOrder {
  channelOrder: 'rgb' | 'bgr';
  layout: 'nchw' | 'nhwc';
}

/** Converts images [N, C, H, W] to the channel and axis order of a model. Gradients are converted back by the backward pass. */
export function inOrderOfModel(x: Tensor, { channelOrder, layout }: InputOrder): Tensor {
  const [n, channels, height, width] = x.shape;
  let feed = x;
  if (channelOrder === 'bgr') {
    const planes = Array.from({ length: channels }, (_, c) => slice(x, [0, c, 0, 0], [n, c + 1, height, width]));
    feed = concat(planes.reverse(), 1);
  }
  return layout === 'nhwc' ? permute(feed, [0, 2, 3, 1]) : feed;
}

/**
 * Runs a model for each part of `batch` images, and concatenates its results along the first axis.
 *
 * @param names the results of `run`
 */
export function inBatches(
  feed: Tensor,
  batch: number,
  names: readonly string[],
  run: (part: Tensor) => Record<string, Tensor>,
): Record<string, Tensor> {
  const [n, ...rest] = feed.shape;
  const parts: Record<string, Tensor>[] = [];
  for (let start = 0; start < n; start += batch) {
    const end = Math.min(start + batch, n);
    const part = slice(feed, [start, 0, 0, 0], [end, ...rest]);
    const results = run(end - start === batch ? part : filled(part, batch));
    parts.push(Object.fromEntries(names.map((name) => [name, rowsOf(results[name], batch, end - start, name)])));
  }
  if (parts.length === 1) return parts[0];
  const joined = (name: string) =>
    concat(
      parts.map((part) => part[name]),
      0,
    );
  return Object.fromEntries(names.map((name) => [name, joined(name)]));
}

/** Fills a batch by repeating its last image. */
function filled(part: Tensor, batch: number): Tensor {
  const [n, ...rest] = part.shape;
  const last = slice(part, [n - 1, 0, 0, 0], [n, ...rest]);
  return concat([part, ...new Array<Tensor>(batch - n).fill(last)], 0);
}

/** Returns the results of the images without those of the padding, and restores a batch axis of 1 that the model has removed. */
function rowsOf(result: Tensor, batch: number, images: number, name: string): Tensor {
  const { shape } = result;
  if (batch === 1) return shape[0] === 1 ? result : result.reshape([1, ...shape]);
  if (shape[0] !== batch) throw new ShapeError(`onnx: layer ${name} gives shape [${shape}] for a batch of ${batch} images`);
  return images === batch ? result : slice(result, [0, ...shape.slice(1).map(() => 0)], [images, ...shape.slice(1)]);
}
