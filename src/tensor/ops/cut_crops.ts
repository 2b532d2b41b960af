/** Crops of 8-bit images as the input of a network, computed by the backend. */
import type { Backend } from '../../backend/backend.js';
import type { CropParams } from '../../backend/params.js';
import { empty, fromHost, type Tensor } from '../tensor.js';

/** The images of a batch, and where its crops are cut from them. */
export interface CropSources {
  /** Pixels of images of `side` × `side` pixels one after the other, channels last. */
  pixels: Uint8Array;
  /** Mean image, [channels, side, side]. */
  mean: Float32Array;
  /** Four numbers per crop: number of the image, top row, left column, and 1 for a mirrored crop or 0. */
  places: Int32Array;
}

/**
 * @internal Cuts crops and subtracts the mean image on a backend that has the kernel `cutCrops`, so that images are uploaded as bytes.
 *
 * @returns [crops, channels, size, size]
 */
export function cutCrops({ pixels, mean, places }: CropSources, p: CropParams, backend: Backend): Tensor {
  const { channels, size } = p;
  const y = empty('cutCrops', [places.length / 4, channels, size, size], 'float32', backend);
  const uploads = [pixels, mean, places].map((data) => fromHost(data, [data.length], { backend }));
  try {
    const [bytes, average, table] = uploads.map(({ storage }) => storage);
    backend.cutCrops!({ y: y.storage }, { pixels: bytes, mean: average, places: table }, p);
    return y;
  } catch (error) {
    y.dispose();
    throw error;
  } finally {
    for (const upload of uploads) upload.dispose();
  }
}
