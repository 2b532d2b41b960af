/** Where an encoded image lies, and what reads it from there: this thread, or the workers of `WorkerReader`. */
import type { Image } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { shownPath } from '../files/paths.js';
import { ParquetShard } from '../sources/parquet/parquet_shard.js';
import { checkImage, decodeImage, type ReadImageOptions } from './image.js';

/** A file of its own, or a row of a parquet file's column. */
export type Place = { readonly file: string } | { readonly file: string; readonly column: string; readonly row: number };

export interface ImageReader {
  /** Throws `DataError` naming the file, and the row, that cannot be read. */
  read(place: Place, options: ReadImageOptions): Promise<Image>;
}

/** The name of a place in messages. */
export const placeName = (place: Place): string => ('row' in place ? `${shownPath(place.file)}, row ${place.row}` : shownPath(place.file));

/** Reads in the thread that asks; decoding goes on in sharp's own threads. */
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
      // A file that is damaged or gone now may be whole again the next time.
      if (error instanceof DataError) this.shards.delete(file);
      throw error;
    }
  }
}
