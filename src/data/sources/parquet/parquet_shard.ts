/**
 * Reads a parquet file page by page: random access to an image reads its page (and the dictionary page, if there is one), not the
 * whole row group. Most writers limit pages to 1 MiB. pyarrow checks the size only every 1,024 rows, so that a row group of Hugging
 * Face (a hundred photographs) is a single page of about 10 MiB, which takes about 30 ms to read and decompress.
 */
import type { FileMetaData, SchemaTree } from 'hyparquet';
import { DataError, reasonOf } from '../../errors.js';
import { readRange, sizeOfFile } from '../../files/file_bytes.js';
import { loadPackages, type ParquetPackages } from './parquet_packages.js';
import { PageReader } from './parquet_pages.js';

/** An open parquet file. */
export class ParquetShard {
  /** The top-level columns with their nested fields. */
  readonly columns: readonly SchemaTree[];
  /** Index of the first row of each row group, and the total number of rows. */
  private readonly groupStarts: readonly number[];
  private readonly pages: PageReader;

  private constructor(
    readonly file: string,
    private readonly packages: ParquetPackages,
    readonly metadata: FileMetaData,
    /** Length of the file. */
    readonly bytes: number,
  ) {
    checkRows(metadata, bytes);
    this.pages = new PageReader(file, packages, metadata, bytes);
    this.columns = packages.hyparquet.parquetSchema(metadata).children;
    let row = 0;
    this.groupStarts = [0, ...metadata.row_groups.map((group) => (row += Number(group.num_rows)))];
  }

  /** Reads the footer of a parquet file. Throws `DataError` if the file is missing, truncated or not a parquet file. */
  static async open(file: string): Promise<ParquetShard> {
    const found = await loadPackages();
    try {
      const size = await sizeOfFile(file);
      const metadata = await found.hyparquet.parquetMetadataAsync(rangesOf(file, size));
      return new ParquetShard(file, found, metadata, size);
    } catch (error) {
      throw new DataError(`${file}: cannot be read as a parquet file: ${reasonOf(error)}; if it is truncated, fetch it again`, file, error);
    }
  }

  /** Reads a column of numbers or strings, one value per row; missing values are null or undefined. */
  async column(name: string): Promise<unknown[]> {
    const { hyparquet, compressors } = this.packages;
    try {
      const file = rangesOf(this.file, this.bytes);
      const rows = await hyparquet.parquetReadObjects({ file, metadata: this.metadata, columns: [name], compressors });
      return rows.map((row) => row[name]);
    } catch (error) {
      throw this.fault(`column ${name}`, error);
    }
  }

  /**
   * Reads the encoded image of a row: the bytes of the column, or of its field `bytes`.
   *
   * @throws DataError if the file cannot be read
   * @throws Error if the row contains no image
   */
  async image(column: string, row: number): Promise<Uint8Array> {
    let value: unknown;
    try {
      const group = this.groupStarts.findIndex((start) => row < start) - 1;
      value = await this.pages.value(column, group, row - this.groupStarts[group]);
    } catch (error) {
      throw this.fault(`column ${column}`, error);
    }
    const bytes = value instanceof Uint8Array ? value : (value as { bytes?: unknown } | null | undefined)?.bytes;
    if (bytes instanceof Uint8Array && bytes.length > 0) return bytes;
    throw new Error(`${column} contains no image, or only the path of one; expected the bytes of an image file`);
  }

  /** Returns the maximum number of bytes that are decompressed to read one image of the first row group; 0 if there is none. */
  async bytesPerImage(column: string): Promise<number> {
    if (this.metadata.row_groups.length === 0) return 0;
    try {
      return await this.pages.bytesPerValue(column, 0);
    } catch (error) {
      throw this.fault(`column ${column}`, error);
    }
  }

  private fault(where: string, error: unknown): DataError {
    return new DataError(
      `${this.file}: ${where} cannot be read: ${reasonOf(error)}; the file may be damaged or gone, fetch it again`,
      this.file,
      error,
    );
  }
}

/** Up to this number of rows a file may have any length; beyond it, at least one byte per row. */
const FREE_ROWS = 1_000_000;

/** Throws for row groups with an impossible number of rows. */
function checkRows({ row_groups }: FileMetaData, bytes: number): void {
  let total = 0;
  for (const { num_rows, columns } of row_groups) {
    const rows = Number(num_rows);
    if (!Number.isSafeInteger(rows) || rows < 0 || !Array.isArray(columns)) throw new Error(`a row group claims ${num_rows} rows`);
    total += rows;
  }
  if (total > Math.max(FREE_ROWS, bytes)) throw new Error(`it claims ${total} rows in ${bytes} bytes`);
}

/** Adapts a file to the interface that `hyparquet` reads from. */
function rangesOf(file: string, byteLength: number) {
  return { byteLength, slice: async (start: number, end = byteLength) => (await readRange(file, start, end)).buffer };
}
