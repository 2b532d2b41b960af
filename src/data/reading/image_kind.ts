/** Detects the format of an image file by its first bytes, and reads TIFF tags that `sharp` does not report. */

/** Number of bytes at the start of a file that `imageKind` needs. */
export const HEAD_BYTES = 512;

/** The supported formats. */
export type ImageKind = 'JPEG' | 'PNG' | 'WebP' | 'GIF' | 'TIFF' | 'AVIF' | 'HEIC' | 'SVG';

const CONVERT = 'convert it to JPEG or PNG';
const HEIC_BRANDS = ['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'hevm', 'hevs'];

/** Formats that are recognised but not supported: the signature `characters` (one per byte) at the offset `at`. */
const OTHERS: readonly [name: string, at: number, characters: string][] = [
  ['BMP', 6, '\0\0\0\0'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 4, 'JXL '],
  ['JPEG 2000', 4, 'jP  '],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['Photoshop (PSD)', 0, '8BPS'],
  ['Windows icon', 0, '\0\0\x01\0'],
  ['OpenEXR', 0, '\x76\x2f\x31\x01'],
  ['Radiance HDR', 0, '#?'],
  ['FITS', 0, 'SIMPLE  ='],
  ...Array.from('123456', (digit): [string, number, string] => ['PNM', 0, `P${digit}\n`]),
  ['PDF', 0, '%PDF'],
  ['NumPy', 0, '\x93NUMPY'],
  ['ZIP', 0, 'PK\x03\x04'],
  ['gzip', 0, '\x1f\x8b'],
  ['video', 4, 'ftyp'],
  ['Matroska', 0, '\x1a\x45\xdf\xa3'],
  ['DICOM', 128, 'DICM'],
];

/**
 * Returns the format of a file that begins with the bytes `head`.
 *
 * @throws Error for an unsupported format; the message names it and says what to do
 */
export function imageKind(head: Uint8Array): ImageKind {
  if (head.length === 0) throw new Error('the file is empty, expected a picture; fetch it again');
  const text = Array.from(head.subarray(0, HEAD_BYTES), (byte) => String.fromCharCode(byte)).join('');
  if (text.startsWith('\xff\xd8')) return 'JPEG';
  if (text.startsWith('\x89PNG')) return 'PNG';
  if (/^GIF8[79]a/.test(text)) return 'GIF';
  if (/^RIFF[\s\S]{4}WEBP/.test(text)) return 'WebP';
  if (['II*\0', 'II+\0', 'MM\0*', 'MM\0+'].includes(text.slice(0, 4))) return 'TIFF';
  const brands = brandsOf(head, text);
  if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return 'AVIF';
  if (brands.some((brand) => HEIC_BRANDS.includes(brand) || brand === 'mif1' || brand === 'msf1')) return 'HEIC';
  for (const [name, at, characters] of OTHERS)
    if (text.startsWith(characters, at) && (name !== 'BMP' || text.startsWith('BM')))
      throw new Error(`it is a ${name} file, an unsupported image format; ${CONVERT}`);
  if (/^(\xef\xbb\xbf)?\s*<(\?xml|!--|!DOCTYPE svg|svg)/i.test(text) && /<svg[\s>]/i.test(text)) return 'SVG';
  if (/^(\xef\xbb\xbf)?\s*<(!DOCTYPE html|html)/i.test(text))
    throw new Error('it is a web page, not a picture: unsupported image format; fetch the picture again');
  throw new Error('unsupported image format, expected JPEG, PNG, WebP, GIF, TIFF or AVIF');
}

/** Returns the major brand and the compatible brands of an ISO base media file (AVIF, HEIC). */
function brandsOf(head: Uint8Array, text: string): string[] {
  if (head.length < 16 || text.slice(4, 8) !== 'ftyp') return [];
  const length = Math.min(new DataView(head.buffer, head.byteOffset).getUint32(0), head.length);
  return Array.from({ length: Math.max(0, Math.floor((length - 8) / 4)) }, (_, i) => text.slice(8 + 4 * i, 12 + 4 * i));
}

/** Error message for a HEIC file that cannot be decoded. */
export const HEIC_ADVICE =
  'it is a HEIC (HEVC) picture, which the installed sharp cannot decode; convert it to JPEG, for example with "magick in.heic out.jpg", "heif-convert in.heic out.jpg" or "sips -s format jpeg in.heic --out out.jpg"';

const TAG = { photometric: 262, samples: 277, extra: 338 } as const;
const MOST_TAGS = 4096;

/**
 * Whether a TIFF has further channels that are not alpha, such as near infrared: its tag ExtraSamples is 0 (unspecified) or missing.
 *
 * @param read reads the bytes `start` to `end` of the file
 */
export async function hasForeignSamples(read: (start: number, end: number) => Promise<Uint8Array>): Promise<boolean> {
  const tags = await tiffTags(read).catch(() => new Map<number, number>());
  const colours = { 0: 1, 1: 1, 2: 3 }[tags.get(TAG.photometric) ?? -1];
  const samples = tags.get(TAG.samples) ?? 1;
  return colours !== undefined && samples > colours && (tags.get(TAG.extra) ?? 0) === 0;
}

/** Reads the first value of each 16-bit tag in the first image directory. */
async function tiffTags(read: (start: number, end: number) => Promise<Uint8Array>): Promise<Map<number, number>> {
  const view = async (start: number, length: number) => {
    const bytes = await read(start, start + length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const head = await view(0, 16);
  const little = head.getUint8(0) === 0x49;
  const big = head.getUint16(2, little) === 43;
  const at = big ? Number(head.getBigUint64(8, little)) : head.getUint32(4, little);
  const counted = await view(at, big ? 8 : 2);
  const count = Math.min(big ? Number(counted.getBigUint64(0, little)) : counted.getUint16(0, little), MOST_TAGS);
  const [entry, first] = big ? [20, 8] : [12, 2];
  const entries = await view(at + first, count * entry);
  const tags = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const tag = entries.getUint16(i * entry, little);
    // An entry can contain two 16-bit values; only the first is needed here.
    if (entries.getUint16(i * entry + 2, little) === 3) tags.set(tag, entries.getUint16(i * entry + entry - (big ? 8 : 4), little));
  }
  return tags;
}
