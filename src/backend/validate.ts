/**
 * Validation of arguments and options, in one way for every public function: types, ranges, lengths and unknown names.
 * A rule is a test with the words for what it expects; `checkOptions` applies a table of rules to an options object.
 */
import { ValueError, type ZfnetError } from './errors.js';

/** One rule for one value: the test and the words that the error message uses for what passes it. */
export interface Rule {
  readonly expected: string;
  /** The strings that pass, where they are few: the nearest one is suggested. */
  readonly known?: readonly string[];
  test(value: unknown): boolean;
}

/** Rules by option name. */
export type Rules = Readonly<Record<string, Rule>>;

/** A rule for every option of `T`: the compiler asks for a rule when an option is added to the type. */
export type RulesFor<T> = { readonly [K in keyof Required<T>]: Rule };

type ErrorClass = new (message: string) => ZfnetError;

export const rule = (expected: string, test: (value: unknown) => boolean): Rule => ({ expected, test });

/** A whole number from `least` to `most`, both included. */
export const integer = (least = 0, most = Number.MAX_SAFE_INTEGER): Rule =>
  rule(
    most === Number.MAX_SAFE_INTEGER
      ? Number.isFinite(least)
        ? `a whole number of at least ${least}`
        : 'a whole number'
      : `a whole number from ${least} to ${most}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  );

/** A finite number from `least` to `most`, both included. */
export const finite = (least = -Infinity, most = Infinity): Rule =>
  rule(
    most === Infinity
      ? least === -Infinity
        ? 'a finite number'
        : `a finite number of at least ${least}`
      : least === -Infinity
        ? `a finite number of at most ${most}`
        : `a number from ${least} to ${most}`,
    (value) => Number.isFinite(value) && (value as number) >= least && (value as number) <= most,
  );

/** A finite number above 0. */
export const positive: Rule = rule('a finite number above 0', (value) => Number.isFinite(value) && (value as number) > 0);

/** Any number, infinities included, but not NaN. */
export const numeric: Rule = rule('a number', (value) => typeof value === 'number' && !Number.isNaN(value));

export const boolean: Rule = rule('true or false', (value) => typeof value === 'boolean');

export const text: Rule = rule('a string', (value) => typeof value === 'string');

export const func: Rule = rule('a function', (value) => typeof value === 'function');

export const anything: Rule = rule('anything', () => true);

/** One of the given strings or numbers. */
export const oneOf = (...values: readonly (string | number)[]): Rule => ({
  expected: values.length > 3 ? `one of ${values.map(show).join(', ')}` : values.map(show).join(' or '),
  known: values.filter((value) => typeof value === 'string'),
  test: (value) => values.includes(value as string),
});

/** An array (or typed array) whose elements all pass `element`, of a length from `least` to `most`. */
export const arrayOf = (element: Rule, least = 0, most = Infinity): Rule =>
  rule(
    `an array of ${least === most ? `${least} elements` : least > 0 ? `at least ${least} elements` : 'elements'}, each ${element.expected}`,
    (value) => {
      if (!Array.isArray(value) && !isTypedArray(value)) return false;
      // The buffer of an empty typed array may have been transferred away; reading such an array throws.
      if (isDetached(value)) return false;
      const items = value as ArrayLike<unknown>;
      if (items.length < least || items.length > most) return false;
      for (let i = 0; i < items.length; i++) if (!element.test(items[i])) return false;
      return true;
    },
  );

/** `inner`, or null. */
export const orNull = (inner: Rule): Rule => rule(`${inner.expected}, or null`, (value) => value === null || inner.test(value));

/** Whatever passes one of the rules. */
export const either = (...rules: readonly Rule[]): Rule =>
  rule(rules.map((each) => each.expected).join(', or '), (value) => rules.some((each) => each.test(value)));

/** An instance of one of the classes. */
export const instanceOf = (...classes: readonly (abstract new (...args: never[]) => unknown)[]): Rule =>
  rule(`a ${classes.map(({ name }) => name).join(' or ')}`, (value) => classes.some((each) => value instanceof each));

/** An object of any class whose fields pass their rules. */
export const objectWith = (expected: string, fields: Rules): Rule =>
  rule(expected, (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
    return Object.entries(fields).every(([name, field]) => field.test((value as Record<string, unknown>)[name]));
  });

/** A plain object whose values all pass `element`. */
export const recordOf = (element: Rule): Rule =>
  rule(`an object of names with ${element.expected} each`, (value) => isPlainObject(value) && Object.values(value).every(element.test));

/** What cancels work: the signal of an `AbortController`. */
export const abortSignal: Rule = objectWith('an AbortSignal', { aborted: boolean, throwIfAborted: func });

/** Any typed array of numbers, `BigInt64Array` and the like not among them. */
export const isTypedArray = (value: unknown): value is ArrayLike<number> =>
  ArrayBuffer.isView(value) && !(value instanceof DataView) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);

function isDetached(value: unknown): boolean {
  if (!isTypedArray(value) || value.length > 0) return false;
  try {
    (value as Uint8Array).values();
    return false;
  } catch {
    return true;
  }
}

/** The place of the first NaN or infinity, or -1. */
export function indexOfNonFinite(data: ArrayLike<number>): number {
  if (data instanceof Int32Array || data instanceof Uint8Array) return -1;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

/** A plain object: not null, not an array, not a class instance. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A value as it is shown in an error: short, on one line, with control characters escaped. */
export function show(value: unknown): string {
  if (typeof value === 'string') return quote(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name ? `the function ${quote(value.name)}` : 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    if (Array.isArray(value) || isTypedArray(value)) {
      const items = value as ArrayLike<unknown>;
      const shown = Array.from({ length: Math.min(items.length, 8) }, (_, i) =>
        typeof items[i] === 'object' ? kindOf(items[i]) : show(items[i]),
      );
      return `[${shown.join(', ')}${items.length > 8 ? `, … ${items.length} in all` : ''}]`;
    }
    return kindOf(value);
  } catch {
    return 'an object';
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `a ${name}` : 'an object';
}

/** The text in single quotes, with control characters and characters that reorder text written as `\u…`. */
export function quote(value: string): string {
  return `'${visible(value)}'`;
}

/** The text with control characters and characters that reorder or hide text written as `\u…`, safe to print in a terminal. */
export function visible(value: string): string {
  if (typeof value !== 'string') throw new ValueError(`visible: got ${show(value)}, expected a string`);
  return value.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (character) =>
      character === '\n' ? '\\n' : character === '\t' ? '\\t' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** @throws ValueError (or the class given) unless the value passes the rule */
export function checkArgument(op: string, name: string, value: unknown, expected: Rule, error: ErrorClass = ValueError): void {
  if (expected.test(value)) return;
  const nearest = typeof value === 'string' && expected.known ? nearestName(value, expected.known) : null;
  const hint = nearest ? `; did you mean ${quote(nearest)}?` : awaitHint(value);
  throw new error(`${op}: ${name} is ${show(value)}, expected ${expected.expected}${hint}`);
}

/** What to do about a promise where its value is expected. */
const awaitHint = (value: unknown): string => (value instanceof Promise ? '; await it first' : '');

/**
 * Checks an options object against a table of rules. An option that is `undefined` counts as absent.
 *
 * @throws ValueError for something that is not an options object, for an unknown name (with the nearest known one), and for a
 * value that fails its rule
 */
export function checkOptions(op: string, options: unknown, rules: Rules, error: ErrorClass = ValueError): void {
  if (options === undefined) return;
  if (!isPlainObject(options))
    throw new error(
      `${op}: options are ${show(options)}, expected an object such as { ${Object.keys(rules)[0] ?? ''} }${awaitHint(options)}`,
    );
  for (const name of Object.keys(options)) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Object.hasOwn(rules, name)) throw new error(unknownName(op, 'option', name, Object.keys(rules)));
    checkArgument(op, name, value, rules[name], error);
  }
}

/**
 * Returns the value of an option that was renamed, given under its new or its old name; undefined if it is absent.
 *
 * @throws ValueError if both names are given with different values
 */
export function renamedOption<T>(op: string, options: object, name: string, oldName: string): T | undefined {
  const { [name]: value, [oldName]: oldValue } = options as Record<string, T | undefined>;
  if (value === undefined || oldValue === undefined) return value ?? oldValue;
  const equal =
    value === oldValue ||
    (Array.isArray(value) && Array.isArray(oldValue) && value.length === oldValue.length && value.every((each, i) => each === oldValue[i]));
  if (!equal)
    throw new ValueError(
      `${op}: ${name} is ${show(value)} and ${oldName} is ${show(oldValue)}, expected one of them; ${oldName} is the old name, leave it out`,
    );
  return value;
}

/**
 * As `checkOptions`, for an object that is an argument of its own and has fields that must be there.
 *
 * @throws ValueError naming the first field that is missing
 */
export function checkFields(op: string, value: unknown, rules: Rules, required: readonly string[], error: ErrorClass = ValueError): void {
  if (!isPlainObject(value)) throw new error(`${op}: got ${show(value)}, expected an object { ${required.join(', ')} }${awaitHint(value)}`);
  checkOptions(op, value, rules, error);
  for (const name of required)
    if (value[name] === undefined) throw new error(`${op}: ${name} is missing, expected ${rules[name].expected}`);
}

/**
 * Runs a function whose input is deep and only partly checked. An error of the language (a property read of undefined, an invalid
 * length) becomes a `ValueError` that says what to pass; other errors are thrown as they are.
 */
export function explained<T>(op: string, expected: string, fn: () => T): T {
  const translate = (error: unknown): unknown =>
    error instanceof TypeError || error instanceof RangeError
      ? new ValueError(`${op}: the input is incomplete or of another kind (${error.message}); pass ${expected}`, { cause: error })
      : error;
  try {
    const result = fn();
    return (result instanceof Promise ? result.catch((error) => Promise.reject(translate(error))) : result) as T;
  } catch (error) {
    throw translate(error);
  }
}

/** `op: unknown option 'strides', expected one of …; did you mean 'stride'?` */
export function unknownName(op: string, kind: string, name: unknown, known: readonly string[]): string {
  const nearest = typeof name === 'string' ? nearestName(name, known) : null;
  return `${op}: unknown ${kind} ${show(name)}, expected one of ${known.join(', ')}${nearest ? `; did you mean ${quote(nearest)}?` : ''}`;
}

/** The known name that is nearest to `name` by edit distance, if it is near enough to be a misspelling. */
export function nearestName(name: string, known: readonly string[]): string | null {
  const plain = (value: string) => value.toLowerCase().replace(/[_-]/g, '');
  let best: string | null = null;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  if (name.length > 60) return null;
  for (const candidate of known) {
    const distance = editDistance(plain(name), plain(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++)
      row[j] = Math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    previous = row;
  }
  return previous[b.length];
}
