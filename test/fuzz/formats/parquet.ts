/** Parquet files, as pyarrow wrote them (test/fixtures/parquet.py), with every compression: bytes, footers and descriptions changed. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Files, Format } from '../format.js';
import { concat, EDGES, mutateBytes } from '../mutate_bytes.js';
import { mutateJson } from '../mutate_json.js';
import type { Random } from '../random.js';
import { readSource, writeAll } from './pixels.js';

const FIXTURES = join(import.meta.dirname, '../../fixtures/parquet');
const NAME = 'data.parquet';
const encoder = new TextEncoder();

/** Changes only bytes of the footer, which contains all positions; the length of the footer stays correct. */
function mutateFooter(bytes: Uint8Array, random: Random): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = bytes.length - 8 - view.getUint32(bytes.length - 8, true);
  const footer = mutateBytes(bytes.slice(start, bytes.length - 8), random, []);
  const tail = new Uint8Array(8);
  new DataView(tail.buffer).setUint32(0, footer.length, true);
  tail.set(encoder.encode('PAR1'), 4);
  return concat(bytes.subarray(0, start), footer, tail);
}

/** Changes Hugging Face's JSON within the description; it must keep its length, so it is filled up with blanks. */
function mutateFeatures(bytes: Uint8Array, random: Random): Uint8Array {
  const all = Buffer.from(bytes);
  const start = all.indexOf('{"info"');
  if (start < 0) return mutateFooter(bytes, random);
  let depth = 0;
  let end = start;
  do {
    if (all[end] === 0x7b) depth++;
    if (all[end] === 0x7d) depth--;
    end++;
  } while (depth > 0);
  const changed = mutateJson(all.subarray(start, end).toString(), random).slice(0, end - start);
  const filled = new Uint8Array(end - start).fill(0x20);
  filled.set(changed);
  return concat(bytes.subarray(0, start), filled, bytes.subarray(end));
}

/** Changes the bytes of a page's header: kind, sizes, number of values. */
function mutatePageHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const at = 4 + random.below(24);
  copy[at] = random.chance(0.5) ? random.below(256) : Number(BigInt.asUintN(8, BigInt(random.pick(EDGES))));
  return copy;
}

export const parquet: Format = {
  async open() {
    const names = readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.parquet'))
      .sort();
    const valid = names.map((name) => new Uint8Array(readFileSync(join(FIXTURES, name))));
    return {
      make(random): Files {
        const bytes = random.pick(valid);
        const mutate = random.pick([mutateFooter, mutateFooter, mutateFeatures, mutatePageHeader, mutateBytes]);
        return { [NAME]: mutate(bytes, random, valid) };
      },
      async attempt(files, folder) {
        await writeAll(folder, files);
        await readSource(`parquet:${join(folder, NAME)}`);
      },
    };
  },
};
