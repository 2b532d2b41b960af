/** Mutations of JSON values and of JSON texts: the structure stays valid, one field becomes something else. */
import { EDGES, mutateBytes } from './mutate_bytes.js';
import type { Random } from './random.js';

const JUNK: readonly unknown[] = [
  ...EDGES,
  0.5,
  1e21,
  1e308,
  -1e-9,
  null,
  true,
  false,
  '',
  '0',
  'x',
  '__proto__',
  'constructor',
  'toString',
  '../../x',
  '/dev/null',
  'a\u0000b',
  '\ud800',
  '\u202e\u001b[31m',
  'x'.repeat(300),
  [],
  [null],
  [[[[]]]],
  [-1, 0.5, 'x'],
  {},
  { length: -1 },
  { __proto__: null, x: 1 },
];

type Container = Record<string, unknown> | unknown[];
interface Field {
  readonly inside: Container;
  readonly key: string;
}

const isContainer = (value: unknown): value is Container =>
  typeof value === 'object' && value !== null && !(ArrayBuffer.isView(value) || value instanceof ArrayBuffer);

/** Every field of a value, its own and those of the values in it. */
function fieldsOf(value: unknown, into: Field[] = []): Field[] {
  if (!isContainer(value)) return into;
  for (const key of Object.keys(value)) {
    into.push({ inside: value, key });
    fieldsOf((value as Record<string, unknown>)[key], into);
  }
  return into;
}

function mutateField({ inside, key }: Field, random: Random, junk: readonly unknown[]): void {
  const fields = inside as Record<string, unknown>;
  const kind = random.below(10);
  const rename = (name: string) => {
    Object.defineProperty(fields, name, { value: fields[key], enumerable: true, configurable: true, writable: true });
    delete fields[key];
  };
  // As a rule of the same type, so that more than the check of types is reached.
  const alike = junk.filter((value) => typeof value === typeof fields[key] && value !== null);
  const other = () => structuredClone(random.pick(alike.length > 0 && random.chance(0.6) ? alike : junk));
  if (kind < 6) fields[key] = other();
  else if (kind === 6) {
    if (Array.isArray(inside)) inside.splice(Number(key), 1);
    else delete fields[key];
  } else if (kind === 7 && !Array.isArray(inside)) rename(random.pick(['__proto__', 'constructor', 'hasOwnProperty', '', `${key}x`]));
  else if (kind === 8 && Array.isArray(inside)) inside.push(...Array.from({ length: random.pick([1, 2, 100]) }, () => fields[key]));
  else if (kind === 8) fields[random.pick(['__proto__x', 'extra', '0'])] = other();
  else if (typeof fields[key] === 'number') fields[key] = (fields[key] as number) + random.pick([-1, 1, 0.5]);
  else if (typeof fields[key] === 'string')
    fields[key] = random.pick([`${fields[key]}`.slice(1), `${fields[key]}\u0000`, ` ${fields[key]}`]);
  else fields[key] = other();
}

/** A deep copy of a value of JSON (which may also hold typed arrays) with one to three fields changed. */
export function mutateValue<T>(value: T, random: Random, junk: readonly unknown[] = JUNK): T {
  const copy = structuredClone(value);
  const times = random.chance(0.8) ? 1 : 2 + random.below(2);
  for (let i = 0; i < times; i++) {
    const fields = fieldsOf(copy);
    if (fields.length === 0) break;
    mutateField(random.pick(fields), random, junk);
  }
  return copy;
}

/** A JSON text with fields changed, or, in one case of four, with its bytes changed. */
export function mutateJson(text: string, random: Random, others: readonly string[] = []): Uint8Array {
  const encoder = new TextEncoder();
  if (random.chance(0.25))
    return mutateBytes(
      encoder.encode(text),
      random,
      others.map((other) => encoder.encode(other)),
    );
  if (random.chance(0.05)) return encoder.encode(JSON.stringify(random.pick(JUNK)) ?? '');
  if (random.chance(0.02)) return encoder.encode('['.repeat(50_000) + ']'.repeat(random.pick([0, 50_000])));
  return encoder.encode(JSON.stringify(mutateValue(JSON.parse(text), random)));
}
