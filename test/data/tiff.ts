/** Writes TIFF files with any sample format, which `sharp` cannot write. */

type Samples = Uint8Array | Uint16Array | Uint32Array | Int16Array | Float32Array;

export interface Tiff {
  width: number;
  height: number;
  channels: number;
  /** [height, width, channels] */
  samples: Samples;
  /** Meaning of the samples after the colours: 0 unspecified, 1 or 2 opacity; if undefined, the tag is missing. */
  extra?: number;
}

/** An uncompressed TIFF in one strip, little-endian. */
export function tiffFile({ width, height, channels, samples, extra }: Tiff): Uint8Array {
  const format = samples instanceof Float32Array ? 3 : samples instanceof Int16Array ? 2 : 1;
  const tags: [tag: number, type: 3 | 4, values: number[]][] = [
    [256, 3, [width]],
    [257, 3, [height]],
    [258, 3, new Array(channels).fill(8 * samples.BYTES_PER_ELEMENT)],
    [259, 3, [1]],
    [262, 3, [channels >= 3 ? 2 : 1]],
    [273, 4, [0]],
    [277, 3, [channels]],
    [278, 3, [height]],
    [279, 4, [samples.byteLength]],
    ...(extra === undefined ? [] : [[338, 3, [extra]] as [number, 3, number[]]]),
    [339, 3, new Array(channels).fill(format)],
  ];
  const head = 8 + 2 + 12 * tags.length + 4;
  const bytes = new Uint8Array(head + 16 * tags.length + samples.byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x49, 42, 0, 8, 0, 0, 0]);
  view.setUint16(8, tags.length, true);
  let free = head;
  for (const [i, [tag, type, values]] of tags.entries()) {
    const at = 10 + 12 * i;
    const length = type === 3 ? 2 : 4;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, values.length, true);
    const far = values.length * length > 4;
    if (far) view.setUint32(at + 8, free, true);
    for (const [j, value] of (tag === 273 ? [head + 16 * tags.length] : values).entries()) {
      const to = (far ? free : at + 8) + j * length;
      if (type === 3) view.setUint16(to, value, true);
      else view.setUint32(to, value, true);
    }
    if (far) free += 16;
  }
  bytes.set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), head + 16 * tags.length);
  return bytes;
}
