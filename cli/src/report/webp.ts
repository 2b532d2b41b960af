/** Encodes pictures for HTML pages as WebP, which is several times smaller than PNG. */
import sharp from 'sharp';
import type { Image } from 'zfnet/data';

/** Pictures with fewer pixels, such as filters, are encoded without loss, because single pixels matter. */
const EXACT_BELOW = 48 * 48;

/** Returns a picture as a data URI: `data:image/webp;base64,…`. */
export async function webpDataUri({ width, height, channels, data }: Image): Promise<string> {
  const exact = width * height < EXACT_BELOW;
  const bytes = await sharp(data, { raw: { width, height, channels } })
    .webp(exact ? { lossless: true } : { quality: 85, smartSubsample: true, effort: 4 })
    .toBuffer();
  return `data:image/webp;base64,${bytes.toString('base64')}`;
}
