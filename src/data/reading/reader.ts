/** The location of an encoded image, and the interface of the readers that decode it: in this thread, or in worker threads. */
import type { Image } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { shownPath } from '../files/paths.js';
import { ParquetShard } from '../sources/parquet/parquet_shard.js';
import { checkImage, decodeImage, type ReadImageOptions } from './image.js';

/** Location of an encoded image: a file, or a row of a column of a parquet file. */
export type Place = { readonly file: string } | { readonly file: string; readonly column: string; readonly row: number };

/** Reads and decodes images. */
export interface ImageReader {
  /**
   * Decodes the image at `place`.
   *
   * @throws DataError naming the file (and the row) that cannot be read
   */
  read(place: Place, options: ReadImageOptions): Promise<Image>;
}

/** Name of an image location in messages. */
export const placeName = (place: Place): string => ('row' in place ? `${shownPath(place.file)}, row ${place.row}` : shownPath(place.file));

/** Reads files in the calling thread; `sharp` decodes in its own threads. */
export class LocalReader implements ImageReader {
  private readonly shards = new Map<string, Promise<ParquetShard>>();

  async read(place: Place, options: ReadImageOptions): Promise<Image> {
    const name = placeName(place);
    const encoded = await this.encoded(place).catch((error) => {
      throw error instanceof DataError ? error : new DataError(`${name}: ${reasonOf(error)}`, place.file, error);
    });
    return decodeImage(encoded, options, name, place.file);
  }

  /** Throws if an image's header, or with `whole` any of its pixels, cannot be read. */
  async check(place: Place, whole: boolean, options: ReadImageOptions = {}): Promise<void> {
    await checkImage(await this.encoded(place), whole, options);
  }

  private async encoded(place: Place): Promise<string | Uint8Array> {
    if (!('row' in place)) return place.file;
    const { file, column, row } = place;
    let shard = this.shards.get(file);
    if (!shard) {
      shard = ParquetShard.open(file);
      this.shards.set(file, shard);
    }
    try {
      return await (await shard).image(column, row);
    } catch (error) {
      // Open the file again at the next request: it may have been restored by then.
      if (error instanceof DataError) this.shards.delete(file);
      throw error;
    }
  }
}
