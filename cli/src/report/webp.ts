/** Pictures for pages as WebP, several times smaller than PNG. */
import sharp from 'sharp';
import type { Image } from 'zfnet/data';

/** Pictures of fewer pixels than this, such as filters, are kept exactly: their every pixel is looked at. */
const EXACT_BELOW = 48 * 48;

/** `data:image/webp;base64,…` */
export async function webpDataUri({ width, height, channels, data }: Image): Promise<string> {
  const exact = width * height < EXACT_BELOW;
  const bytes = await sharp(data, { raw: { width, height, channels } })
    .webp(exact ? { lossless: true } : { quality: 85, smartSubsample: true, effort: 4 })
    .toBuffer();
  return `data:image/webp;base64,${bytes.toString('base64')}`;
}
