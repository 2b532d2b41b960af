/** The optional packages that read parquet files. */
import { importOptional } from '../../files/packages.js';

type Hyparquet = typeof import('hyparquet');

/** The parquet reader, its decompressors, and its decoder of page headers. */
export interface ParquetPackages {
  readonly hyparquet: Hyparquet;
  readonly compressors: import('hyparquet').Compressors;
  readonly parquetHeader: typeof import('hyparquet/src/column.js').parquetHeader;
}

let packages: Promise<ParquetPackages> | undefined;

/** Loads the parquet reader and its decompressors. Throws `DataError` naming a missing package. */
export function loadPackages(): Promise<ParquetPackages> {
  packages ??= (async () => {
    const neededFor = 'reading parquet files';
    const hyparquet = await importOptional<Hyparquet>('hyparquet', neededFor);
    const { compressors } = await importOptional<typeof import('hyparquet-compressors')>('hyparquet-compressors', neededFor);
    const { parquetHeader } = await importOptional<typeof import('hyparquet/src/column.js')>('hyparquet/src/column.js', neededFor);
    return { hyparquet, compressors, parquetHeader };
  })();
  return packages;
}
