/** Reads lists of class names: a text file with one name per line, or JSON as written by Keras and Hugging Face. */
import { extname } from 'node:path';
import { UsageError } from '../command.js';
import { parseJson } from './json.js';

/**
 * Returns the names in the order of the classes. Repeated names get a suffix with the class index: see `tellApart`.
 *
 * @param file name of the file for error messages
 * @throws UsageError that names the invalid line or JSON entry
 */
export function readClassList(bytes: Uint8Array, file: string): string[] {
  const text = decodeText(bytes, file);
  const json = jsonOf(text, file);
  const names = json === undefined ? fromLines(text, file) : fromJson(json, file);
  if (names.length === 0) throw new UsageError(`${file} names no class: write one name on each line`);
  return tellApart(names.map((name) => name.normalize('NFC')));
}

/** Decodes UTF-8 and removes the byte order mark. */
function decodeText(bytes: Uint8Array, file: string): string {
  const [a, b] = bytes;
  const save = 'save it as UTF-8';
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff))
    throw new UsageError(`${file} line 1: it is UTF-16, expected UTF-8; ${save}`);
  const zero = bytes.indexOf(0);
  if (zero >= 0)
    throw new UsageError(`${file} line ${lineOf(bytes, zero)}: it contains a zero byte, so it is UTF-16 or not a text file; ${save}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const line = lineOf(bytes, firstInvalid(bytes));
    throw new UsageError(`${file} line ${line}: it is not UTF-8, probably Latin-1 (Windows-1252); ${save}`);
  }
}

/** Returns the line number of a byte, counted from 1. */
function lineOf(bytes: Uint8Array, place: number): number {
  let line = 1;
  for (let i = 0; i < place; i++) if (bytes[i] === 0x0a || (bytes[i] === 0x0d && bytes[i + 1] !== 0x0a)) line++;
  return line;
}

/** Returns the start of the first line that is not valid UTF-8. */
function firstInvalid(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let start = 0;
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && bytes[i] !== 0x0a && bytes[i] !== 0x0d) continue;
    try {
      decoder.decode(bytes.subarray(start, i));
    } catch {
      return start;
    }
    start = i + 1;
  }
  return 0;
}

/**
 * Reads one name per line and trims it. Empty lines at the end are ignored; an empty line between names may be a lost name and is an error.
 */
function fromLines(text: string, file: string): string[] {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const empty = lines.indexOf('');
  if (empty >= 0)
    throw new UsageError(
      `${file} line ${empty + 1}: it is empty, which would shift the class indices after it; write a name or remove the line`,
    );
  return lines;
}

function jsonOf(text: string, file: string): unknown {
  const named = extname(file).toLowerCase() === '.json';
  if (!named && !/^\s*[[{]/.test(text)) return undefined;
  const { value, error } = parseJson(text);
  if (error && named) throw new UsageError(`${file}: it is not JSON (${error.message})`, { cause: error });
  return value;
}

/**
 * Reads names from JSON: a list of names; an object from index to name, or to [id, name] as in Keras; an object from name to index; or a
 * Hugging Face configuration with `id2label` or `label2id`.
 */
function fromJson(whole: unknown, file: string): string[] {
  const json = labelsOf(whole);
  const fail = (what: string) => new UsageError(`${file}: ${what}; expected a list of names, { "0": "name", … } or { "name": 0, … }`);
  if (Array.isArray(json)) return json.map((value, i) => nameOf(value, `entry ${i}`, fail));
  if (typeof json !== 'object' || json === null) throw fail('it contains no list');
  const entries = Object.entries(json);
  const byName = entries.every(([, value]) => typeof value === 'number');
  const names = new Map<number, string>();
  for (const [key, value] of entries) {
    const index = byName ? (value as number) : /^\d{1,9}$/.test(key) ? Number(key) : Number.NaN;
    if (!Number.isSafeInteger(index) || index < 0 || index >= entries.length || names.has(index))
      throw fail(`${JSON.stringify(key)} is not a unique index from 0 to ${entries.length - 1}`);
    names.set(index, byName ? nameOf(key, `the name of index ${index}`, fail) : nameOf(value, `the name of index ${index}`, fail));
  }
  return entries.map((_, index) => names.get(index)!);
}

/** Returns the labels of a Hugging Face configuration; returns any other JSON unchanged. */
function labelsOf(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json;
  const { id2label, label2id } = json as Record<string, unknown>;
  return [id2label, label2id].find((inner) => typeof inner === 'object' && inner !== null) ?? json;
}

function nameOf(value: unknown, where: string, fail: (what: string) => UsageError): string {
  // Keras: ["n01440764", "tench"].
  const name = Array.isArray(value) && value.length === 2 ? value[1] : value;
  if (typeof name !== 'string' || name.trim() === '') throw fail(`${where} is ${JSON.stringify(value)}`);
  return name.trim();
}

/** Makes names unique: a repeated name gets its class index, counted from 0, as in `crane (class 134)`. */
export function tellApart(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  if (counts.size === names.length) return [...names];
  const taken = new Set(names);
  return names.map((name, i) => {
    if (counts.get(name) === 1) return name;
    let apart = `${name} (class ${i})`;
    while (taken.has(apart)) apart += '*';
    taken.add(apart);
    return apart;
  });
}
