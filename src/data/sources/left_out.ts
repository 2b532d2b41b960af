/** Counts the items of a folder that are not images, for one warning about all of them. */
import { firstNames } from '../../backend/validate.js';
import { plural } from '../words.js';

/** Extensions of files that often accompany images; they are skipped without a warning. */
const COMPANIONS =
  /^\.(txt|csv|tsv|json|jsonl|xml|ya?ml|md|rst|html?|log|db|ini|lnk|url|py|ipynb|sh|bat|toml|cfg|pkl|npy|npz|h5|parquet|zip|tar|gz|pdf)$/;
/** Extensions of unsupported image formats, for which the warning recommends a conversion. */
const CONVERTIBLE = /^\.(bmp|heic|heif|jxl|jp2|j2k|psd|tga|ppm|pgm|pbm|pnm|svg|ico|exr|hdr|raw|cr2|cr3|nef|arw|dng|dcm|raf|orf)$/;

/** The counts of skipped files and other items of a source. */
export class LeftOut {
  private readonly endings = new Map<string, number>();
  private readonly others = new Map<string, { count: number; first: string }>();

  /** Counts a file without the extension of a supported format. */
  addFile(name: string): void {
    const ending = /[^.](\.[^.]+)$/.exec(name)?.[1].toLowerCase() ?? '';
    if (COMPANIONS.test(ending) || /^(license|licence|readme|makefile|copying)$/i.test(name)) return;
    this.endings.set(ending, (this.endings.get(ending) ?? 0) + 1);
  }

  /**
   * Counts another item.
   *
   * @param what description in the singular: `named pipe`
   */
  add(what: string, path: string): void {
    const known = this.others.get(what);
    if (known) known.count++;
    else this.others.set(what, { count: 1, first: path });
  }

  /** Returns the warning that lists the skipped items, or undefined if there are none. */
  sentence(source: string): string | undefined {
    const byCount = [...this.endings].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const total = byCount.reduce((sum, [, count]) => sum + count, 0);
    const parts: string[] = [];
    if (total > 0) {
      const listed = byCount.map(([ending, count]) => `${count} ${ending || 'without an ending'}`);
      const convertible = byCount.some(([ending]) => CONVERTIBLE.test(ending)) ? '; convert pictures among them to JPEG or PNG' : '';
      parts.push(`${plural(total, 'file')} that ${total === 1 ? 'is' : 'are'} not read as images (${firstNames(listed, 8)}${convertible})`);
    }
    for (const [what, { count, first }] of this.others) parts.push(`${plural(count, what)} (${count > 1 ? 'the first: ' : ''}${first})`);
    return parts.length > 0 ? `${source}: left out: ${parts.join('; ')}` : undefined;
  }
}
