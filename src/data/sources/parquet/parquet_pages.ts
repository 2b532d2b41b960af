/**
 * Reads single pages of a parquet file. The optional package `hyparquet` decodes them. Their positions are found by reading one page
 * header after the other, because older files have no page index.
 */
import type { ColumnMetaData, FileMetaData, SchemaElement, SchemaTree } from 'hyparquet';
import { ByteCache } from '../../files/cache.js';
import { readRange } from '../../files/file_bytes.js';
import type { ParquetPackages } from './parquet_packages.js';

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

/** Byte range and rows of a page of values. */
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

/** The pages of one open file. */
export class PageReader {
  private readonly chunks = new Map<string, Promise<Chunk>>();
  private readonly unpacked = new ByteCache<Promise<unknown[]>>(PAGE_CACHE_BYTES);

  constructor(
    private readonly file: string,
    private readonly packages: ParquetPackages,
    private readonly metadata: FileMetaData,
    /** Length of the file. */
    private readonly bytes: number,
  ) {}

  /** Reads the value of a column in one row of a row group. */
  async value(column: string, group: number, row: number): Promise<unknown> {
    const chunk = await this.chunk(column, group);
    const page = chunk.pages.find(({ firstRow, rows }) => row < firstRow + rows);
    if (!page) throw new Error(`the pages of row group ${group} end before its row ${row}`);
    return (await this.page(column, chunk, page))[row - page.firstRow];
  }

  /** Returns the maximum number of bytes that are decompressed to read one value of a row group. */
  async bytesPerValue(column: string, group: number): Promise<number> {
    const chunk = await this.chunk(column, group);
    return chunk.pages.reduce((most, page) => Math.max(most, unpackedBytes(chunk, page)), 0);
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

/** Memory in bytes of the values of a page: dictionary values are views of the dictionary page. */
const unpackedBytes = ({ dictionary }: Chunk, page: DataPage): number => page.unpacked + (dictionary?.unpacked ?? 0);

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
