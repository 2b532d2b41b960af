/**
 * Reads a parquet file page by page: random access to an image reads its page (and the dictionary page, if there is one), not the
 * whole row group. Most writers limit pages to 1 MiB. pyarrow checks the size only every 1,024 rows, so that a row group of Hugging
 * Face (a hundred photographs) is a single page of about 10 MiB, which takes about 30 ms to read and decompress. The optional package
 * `hyparquet` decodes the pages. Their positions are found by reading one page header after the other, because older files have no
 * page index.
 */
import type { ColumnMetaData, FileMetaData, SchemaElement, SchemaTree } from 'hyparquet';
import { DataError, reasonOf } from '../../errors.js';
import { ByteCache } from '../../files/cache.js';
import { readRange, sizeOfFile } from '../../files/file_bytes.js';
import { importOptional } from '../../files/packages.js';

/** Size in bytes of the cache of decompressed pages, for sequential reading. */
const PAGE_CACHE_BYTES = 64 * 2 ** 20;
/** Number of bytes first read for a page header, and the maximum. */
const HEADER_BYTES = 4096;
const MAX_HEADER_BYTES = 2 ** 20;
/** Length in bytes of the signature `PAR1` at the start of a file. */
const MAGIC = 4;

/** Byte range of a page in its file, including the header. */
interface PageRange {
  readonly start: number;
  readonly end: number;
  /** Decompressed length in bytes. */
  readonly unpacked: number;
}

interface DataPage extends PageRange {
  /** Index of its first row in the row group. */
  readonly firstRow: number;
  readonly rows: number;
}

/** One column of one row group. */
interface Chunk {
  readonly meta: ColumnMetaData;
  readonly dictionary: PageRange | undefined;
  readonly pages: readonly DataPage[];
}

type Hyparquet = typeof import('hyparquet');

interface Packages {
  readonly hyparquet: Hyparquet;
  readonly compressors: import('hyparquet').Compressors;
  readonly parquetHeader: typeof import('hyparquet/src/column.js').parquetHeader;
}

let packages: Promise<Packages> | undefined;

/** Loads the parquet reader and its decompressors. Throws `DataError` naming a missing package. */
function loadPackages(): Promise<Packages> {
  packages ??= (async () => {
    const neededFor = 'reading parquet files';
    const hyparquet = await importOptional<Hyparquet>('hyparquet', neededFor);
    const { compressors } = await importOptional<typeof import('hyparquet-compressors')>('hyparquet-compressors', neededFor);
    const { parquetHeader } = await importOptional<typeof import('hyparquet/src/column.js')>('hyparquet/src/column.js', neededFor);
    return { hyparquet, compressors, parquetHeader };
  })();
  return packages;
}

/** An open parquet file. */
export class ParquetShard {
  private readonly chunks = new Map<string, Promise<Chunk>>();
  private readonly unpacked = new ByteCache<Promise<unknown[]>>(PAGE_CACHE_BYTES);
  /** The top-level columns with their nested fields. */
  readonly columns: readonly SchemaTree[];
  /** Index of the first row of each row group, and the total number of rows. */
  private readonly groupStarts: readonly number[];

  private constructor(
    readonly file: string,
    private readonly packages: Packages,
    readonly metadata: FileMetaData,
    /** Length of the file. */
    readonly bytes: number,
  ) {
    checkRows(metadata, bytes);
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
      const within = row - this.groupStarts[group];
      const chunk = await this.chunk(column, group);
      const page = chunk.pages.find(({ firstRow, rows }) => within < firstRow + rows);
      if (!page) throw new Error(`its pages end before row ${row}`);
      value = (await this.page(column, chunk, page))[within - page.firstRow];
    } catch (error) {
      throw this.fault(`column ${column}`, error);
    }
    const bytes = value instanceof Uint8Array ? value : (value as { bytes?: unknown } | null | undefined)?.bytes;
    if (bytes instanceof Uint8Array && bytes.length > 0) return bytes;
    throw new Error(`${column} contains no image, or only the path of one; expected the bytes of an image file`);
  }

  /** Returns the maximum number of bytes that are decompressed to read one image of the first row group; 0 if there is none. */
  async bytesAnImage(column: string): Promise<number> {
    if (this.metadata.row_groups.length === 0) return 0;
    try {
      const chunk = await this.chunk(column, 0);
      return chunk.pages.reduce((most, page) => Math.max(most, unpackedBytes(chunk, page)), 0);
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

  private chunk(column: string, group: number): Promise<Chunk> {
    const key = `${group}/${column}`;
    let chunk = this.chunks.get(key);
    if (!chunk) {
      chunk = this.walk(column, group);
      this.chunks.set(key, chunk);
    }
    return chunk;
  }

  /** Finds the pages of a column in a row group by reading the page headers in sequence. */
  private async walk(column: string, group: number): Promise<Chunk> {
    const meta = this.metadata.row_groups[group].columns
      .map(({ meta_data }) => meta_data)
      .find((meta) => meta?.path_in_schema[0] === column && (meta.path_in_schema.length === 1 || meta.path_in_schema[1] === 'bytes'));
    if (!meta) throw new Error(`row group ${group} lacks it`);
    // Some writers omit the offset of the dictionary page; then it is at the offset of the first data page.
    const { dictionary_page_offset, data_page_offset, total_compressed_size } = meta;
    let at = Number(dictionary_page_offset || data_page_offset);
    const end = at + Number(total_compressed_size);
    if (!(at >= 0 && end >= at && end <= this.bytes)) throw new Error(`row group ${group} would end at byte ${end} of ${this.bytes}`);
    const expected = Number(this.metadata.row_groups[group].num_rows);
    let dictionary: PageRange | undefined;
    const pages: DataPage[] = [];
    for (let firstRow = 0; at < end; ) {
      const { header, start } = await this.header(at, end);
      const range = { start: at, end: start + header.compressed_page_size, unpacked: header.uncompressed_page_size };
      checkUnpacked(range);
      // Lists and maps are not read here, so there is one value per row.
      const rows = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_rows;
      if (header.type === 'DICTIONARY_PAGE') dictionary = range;
      else if (rows !== undefined) {
        if (!(rows >= 0 && firstRow + rows <= expected))
          throw new Error(`the pages of row group ${group} hold ${firstRow + rows} rows or more, expected ${expected}`);
        pages.push({ ...range, firstRow, rows });
        firstRow += rows;
      }
      at = range.end;
    }
    return { meta, dictionary, pages };
  }

  /** Reads the page header at offset `at`; returns it with the offset of its end. */
  private async header(at: number, end: number) {
    for (let length = HEADER_BYTES; ; length *= 4) {
      const bytes = await readRange(this.file, at, Math.min(at + length, end));
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      try {
        const header = this.packages.parquetHeader(reader);
        if (!(header.compressed_page_size >= 0)) throw new Error(`there is no page at byte ${at}`);
        return { header, start: at + reader.offset };
      } catch (error) {
        // A header can contain the minimum and maximum values, which may be long: read more bytes and try again.
        if (!(error instanceof RangeError) || at + length >= end || length >= MAX_HEADER_BYTES) throw error;
      }
    }
  }

  /** Returns the values of one page, cached for sequential reading. */
  private page(column: string, chunk: Chunk, page: DataPage): Promise<unknown[]> {
    const key = `${column}/${page.start}`;
    let values = this.unpacked.get(key);
    if (!values) {
      values = this.unpack(column, chunk, page);
      this.unpacked.set(key, values, unpackedBytes(chunk, page));
    }
    return values;
  }

  /** Decodes one page by passing it to `hyparquet` as a parquet file that contains only this page and its dictionary. */
  private async unpack(column: string, { meta, dictionary }: Chunk, page: DataPage): Promise<unknown[]> {
    const parts = await Promise.all(
      [dictionary, page].filter((range) => range !== undefined).map(({ start, end }) => readRange(this.file, start, end)),
    );
    const bytes = new Uint8Array(MAGIC + parts.reduce((sum, part) => sum + part.length, 0));
    let at = MAGIC;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const { hyparquet, compressors } = this.packages;
    const rows = BigInt(page.rows);
    const { statistics: _, ...plain } = meta;
    const alone: ColumnMetaData = {
      ...plain,
      num_values: rows,
      total_compressed_size: BigInt(bytes.length - MAGIC),
      dictionary_page_offset: dictionary ? BigInt(MAGIC) : undefined,
      data_page_offset: BigInt(MAGIC + (dictionary ? parts[0].length : 0)),
    };
    const metadata: FileMetaData = {
      ...this.metadata,
      schema: schemaOf(hyparquet.parquetSchema(this.metadata), meta.path_in_schema),
      num_rows: rows,
      row_groups: [{ columns: [{ file_offset: 0n, meta_data: alone }], num_rows: rows, total_byte_size: BigInt(bytes.length) }],
    };
    const file = { byteLength: bytes.length, slice: (start: number, end?: number) => bytes.buffer.slice(start, end) };
    // `utf8: false`, so that binary columns stay binary even if the writer declared them as strings.
    const found = await hyparquet.parquetReadObjects({ file, metadata, columns: [column], compressors, utf8: false });
    return found.map((row) => row[column]);
  }
}

/** Limits of decompression: bytes that are always allowed; the compression ratio beyond those; and bytes of a page. */
const FREE_BYTES = 64 * 2 ** 20;
const MOST_RATIO = 100;
const MOST_UNPACKED = 768 * 2 ** 20;

/** Throws, before decompression, if a page header declares a length out of proportion to its compressed length. */
function checkUnpacked({ start, end, unpacked }: PageRange): void {
  const most = Math.min(MOST_UNPACKED, Math.max(FREE_BYTES, MOST_RATIO * (end - start)));
  if (!(unpacked >= 0 && unpacked <= most))
    throw new Error(
      `its page at byte ${start} declares that ${end - start} bytes decompress to ${unpacked}, more than the limit of ${most}`,
    );
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

/** Memory in bytes of the values of a page: dictionary values are views of the dictionary page. */
const unpackedBytes = ({ dictionary }: Chunk, page: DataPage): number => page.unpacked + (dictionary?.unpacked ?? 0);

/** Adapts a file to the interface that `hyparquet` reads from. */
function rangesOf(file: string, byteLength: number) {
  return { byteLength, slice: async (start: number, end = byteLength) => (await readRange(file, start, end)).buffer };
}

/** Returns the elements of a schema from the root to one column. */
function schemaOf(tree: SchemaTree, path: readonly string[]): SchemaElement[] {
  const kept: SchemaElement[] = [{ ...tree.element, num_children: 1 }];
  for (const [depth, name] of path.entries()) {
    const child = tree.children.find(({ element }) => element.name === name);
    if (!child) throw new Error(`the schema has no ${path.join('.')}`);
    kept.push({ ...child.element, num_children: depth + 1 < path.length ? 1 : undefined });
    tree = child;
  }
  return kept;
}
