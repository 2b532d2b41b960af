/** Class lists: names of classes from a text file, a name on each line, or from JSON as Keras and Hugging Face write it. */
import { extname } from 'node:path';
import { UsageError } from '../command.js';

/**
 * Names in the order of the classes. Names that stand in the list several times are told apart by their place.
 *
 * @param file as messages call it
 * @throws UsageError naming the line, or what of the JSON is not a list of names
 */
export function readClassList(bytes: Uint8Array, file: string): string[] {
  const text = decodeText(bytes, file);
  const json = parseJson(text, file);
  const names = json === undefined ? fromLines(text, file) : fromJson(json, file);
  if (names.length === 0) throw new UsageError(`${file} names no class: write one name on each line`);
  return tellApart(names.map((name) => name.normalize('NFC')));
}

/** UTF-8 without its byte order mark. */
function decodeText(bytes: Uint8Array, file: string): string {
  const [a, b] = bytes;
  const save = 'save it as UTF-8';
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff))
    throw new UsageError(`${file} line 1: it is UTF-16, expected UTF-8; ${save}`);
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw new UsageError(`${file} line ${lineOf(bytes, zero)}: it holds a zero byte, so it is UTF-16 or no text; ${save}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const line = lineOf(bytes, firstInvalid(bytes));
    throw new UsageError(`${file} line ${line}: it is not UTF-8, probably Latin-1 (Windows-1252); ${save}`);
  }
}

/** The line that a byte stands on, from 1. */
function lineOf(bytes: Uint8Array, place: number): number {
  let line = 1;
  for (let i = 0; i < place; i++) if (bytes[i] === 0x0a || (bytes[i] === 0x0d && bytes[i + 1] !== 0x0a)) line++;
  return line;
}

/** The first byte that belongs to no UTF-8 character: every line but that one decodes. */
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

/** A name on each line, without the blanks around it. Empty lines at the end do not count; one between names may be a lost name. */
function fromLines(text: string, file: string): string[] {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const empty = lines.indexOf('');
  if (empty >= 0)
    throw new UsageError(`${file} line ${empty + 1}: it is empty, and the names after it would move up; write the name or remove the line`);
  return lines;
}

function parseJson(text: string, file: string): unknown {
  const named = extname(file).toLowerCase() === '.json';
  if (!named && !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!named) return undefined;
    throw new UsageError(`${file}: it is not JSON (${(error as Error).message})`, { cause: error });
  }
}

/**
 * A list of names; a map from index to name, or to [id, name] as Keras has it; a map from name to index; or the `id2label` or
 * `label2id` of a Hugging Face configuration.
 */
function fromJson(whole: unknown, file: string): string[] {
  const json = labelsOf(whole);
  const fail = (what: string) => new UsageError(`${file}: ${what}; expected a list of names, { "0": "name", … } or { "name": 0, … }`);
  if (Array.isArray(json)) return json.map((value, i) => nameOf(value, `entry ${i}`, fail));
  if (typeof json !== 'object' || json === null) throw fail('it holds no list');
  const entries = Object.entries(json);
  const byName = entries.every(([, value]) => typeof value === 'number');
  const names = new Map<number, string>();
  for (const [key, value] of entries) {
    const index = byName ? (value as number) : /^\d{1,9}$/.test(key) ? Number(key) : Number.NaN;
    if (!Number.isSafeInteger(index) || index < 0 || index >= entries.length || names.has(index))
      throw fail(`${JSON.stringify(key)} is no index from 0 to ${entries.length - 1} that stands there once`);
    names.set(index, byName ? nameOf(key, `the name of index ${index}`, fail) : nameOf(value, `the name of index ${index}`, fail));
  }
  return entries.map((_, index) => names.get(index)!);
}

/** The labels in a Hugging Face configuration, and anything else as it is. */
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

/** Names of which each stands there once: `crane (class 134)` where there are several cranes. Classes are counted from 0. */
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
