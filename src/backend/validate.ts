/**
 * Validation of arguments and options for all public functions: types, ranges, lengths and unknown names.
 *
 * A rule is a test together with the text that an error message uses for the expected value. `checkOptions` applies a table of rules.
 */
import { ValueError, type ZfnetError } from './errors.js';

/** A test for a value. */
export interface Rule {
  /** Description of the values that pass the test, for error messages: `a whole number of at least 1`. */
  readonly expected: string;
  /** The strings that pass the test, if they are an enumeration. Error messages suggest the most similar one. */
  readonly known?: readonly string[];
  test(value: unknown): boolean;
}

/** Rules by option name. */
export type Rules = Readonly<Record<string, Rule>>;

/** One rule for each option of `T`. Adding an option to the type without a rule is a compile error. */
export type RulesFor<T> = { readonly [K in keyof Required<T>]: Rule };

type ErrorClass = new (message: string) => ZfnetError;

/** Creates a rule. */
/* @__NO_SIDE_EFFECTS__ */
export const rule = /* @__NO_SIDE_EFFECTS__ */ (expected: string, test: (value: unknown) => boolean): Rule => ({ expected, test });

/** Rule for a whole number from `least` to `most`, both inclusive. */
/* @__NO_SIDE_EFFECTS__ */
export const integer = /* @__NO_SIDE_EFFECTS__ */ (least = 0, most = Number.MAX_SAFE_INTEGER): Rule =>
  rule(
    most === Number.MAX_SAFE_INTEGER
      ? Number.isFinite(least)
        ? `a whole number of at least ${least}`
        : 'a whole number'
      : `a whole number from ${least} to ${most}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  );

/** Rule for a finite number from `least` to `most`, both inclusive. */
/* @__NO_SIDE_EFFECTS__ */
export const finite = /* @__NO_SIDE_EFFECTS__ */ (least = -Infinity, most = Infinity): Rule =>
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

/** Rule for a finite number above 0. */
export const positive: Rule = rule('a finite number above 0', (value) => Number.isFinite(value) && (value as number) > 0);

/** Rule for any number, including infinities, except NaN. */
export const numeric: Rule = rule('a number', (value) => typeof value === 'number' && !Number.isNaN(value));

export const boolean: Rule = rule('true or false', (value) => typeof value === 'boolean');

export const text: Rule = rule('a string', (value) => typeof value === 'string');

export const func: Rule = rule('a function', (value) => typeof value === 'function');

export const anything: Rule = rule('anything', () => true);

/** Rule for one of the given strings or numbers. */
/* @__NO_SIDE_EFFECTS__ */
export const oneOf = /* @__NO_SIDE_EFFECTS__ */ (...values: readonly (string | number)[]): Rule => ({
  expected: values.length > 3 ? `one of ${values.map(show).join(', ')}` : values.map(show).join(' or '),
  known: values.filter((value) => typeof value === 'string'),
  test: (value) => values.includes(value as string),
});

/** Rule for an array or typed array of `least` to `most` elements that all pass `element`. */
/* @__NO_SIDE_EFFECTS__ */
export const arrayOf = /* @__NO_SIDE_EFFECTS__ */ (element: Rule, least = 0, most = Infinity): Rule =>
  rule(
    `an array of ${least === most ? `${least} elements` : least > 0 ? `at least ${least} elements` : 'elements'}, each ${element.expected}`,
    (value) => {
      if (!Array.isArray(value) && !isTypedArray(value)) return false;
      // Reading a typed array whose buffer was transferred to another thread would throw.
      if (isDetached(value)) return false;
      const items = value as ArrayLike<unknown>;
      if (items.length < least || items.length > most) return false;
      for (let i = 0; i < items.length; i++) if (!element.test(items[i])) return false;
      return true;
    },
  );

/** Rule for null, or a value that passes `inner`. */
/* @__NO_SIDE_EFFECTS__ */
export const orNull = /* @__NO_SIDE_EFFECTS__ */ (inner: Rule): Rule =>
  rule(`${inner.expected}, or null`, (value) => value === null || inner.test(value));

/** Rule for a value that passes at least one of the rules. */
/* @__NO_SIDE_EFFECTS__ */
export const either = /* @__NO_SIDE_EFFECTS__ */ (...rules: readonly Rule[]): Rule =>
  rule(rules.map((each) => each.expected).join(', or '), (value) => rules.some((each) => each.test(value)));

/** Rule for an instance of one of the classes. */
/* @__NO_SIDE_EFFECTS__ */
export const instanceOf = /* @__NO_SIDE_EFFECTS__ */ (...classes: readonly (abstract new (...args: never[]) => unknown)[]): Rule =>
  rule(`a ${classes.map(({ name }) => name).join(' or ')}`, (value) => classes.some((each) => value instanceof each));

/** Rule for an object of any class whose fields pass their rules. */
/* @__NO_SIDE_EFFECTS__ */
export const objectWith = /* @__NO_SIDE_EFFECTS__ */ (expected: string, fields: Rules): Rule =>
  rule(expected, (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
    return Object.entries(fields).every(([name, field]) => field.test((value as Record<string, unknown>)[name]));
  });

/** Rule for a plain object whose values all pass `element`. */
/* @__NO_SIDE_EFFECTS__ */
export const recordOf = /* @__NO_SIDE_EFFECTS__ */ (element: Rule): Rule =>
  rule(`an object of names with ${element.expected} each`, (value) => isPlainObject(value) && Object.values(value).every(element.test));

/** Rule for the signal of an `AbortController`. */
export const abortSignal: Rule = objectWith('an AbortSignal', { aborted: boolean, throwIfAborted: func });

/** Returns whether a value is a typed array of numbers; `BigInt64Array` and `BigUint64Array` are not. */
export const isTypedArray = (value: unknown): value is ArrayLike<number> =>
  ArrayBuffer.isView(value) && !(value instanceof DataView) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);

/** Returns whether a value is a typed array whose buffer was transferred to another thread. */
function isDetached(value: unknown): boolean {
  if (!isTypedArray(value) || value.length > 0) return false;
  try {
    (value as Uint8Array).values();
    return false;
  } catch {
    return true;
  }
}

/** Returns the index of the first NaN or infinity, or -1. */
export function indexOfNonFinite(data: ArrayLike<number>): number {
  if (data instanceof Int32Array || data instanceof Uint8Array) return -1;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

/** Returns whether a value is a plain object: not null, an array or an instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Returns a value as text for an error message: short, on one line, with control characters escaped. */
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

/** Returns the kind of an object as text: `an array of 3`, `a Tensor`. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `a ${name}` : 'an object';
}

/** Returns the text in single quotes, escaped as by `visible`. */
export function quote(value: string): string {
  return `'${visible(value)}'`;
}

/**
 * Returns the text with control characters and characters that reorder or hide text escaped as `\u…`, safe to print in a terminal.
 *
 * @throws ValueError for a value that is no string
 */
export function visible(value: string): string {
  if (typeof value !== 'string') throw new ValueError(`visible: got ${show(value)}, expected a string`);
  // With the flag u, surrogates match only if they are not part of a pair. WebKit before 16.4 has no lookbehind.
  return value.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression searches for control characters.
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu,
    (character) =>
      character === '\n' ? '\\n' : character === '\t' ? '\\t' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Checks one argument. @throws ValueError, or the given class, unless the value passes the rule */
export function checkArgument(op: string, name: string, value: unknown, expected: Rule, error: ErrorClass = ValueError): void {
  if (expected.test(value)) return;
  const nearest = typeof value === 'string' && expected.known ? nearestName(value, expected.known) : null;
  const hint = nearest ? `; did you mean ${quote(nearest)}?` : awaitHint(value);
  throw new error(`${op}: ${name} is ${show(value)}, expected ${expected.expected}${hint}`);
}

/** Returns the advice for a promise that was passed instead of its value. */
const awaitHint = (value: unknown): string => (value instanceof Promise ? '; await it first' : '');

/**
 * Checks an options object against a table of rules. An option with the value `undefined` counts as absent.
 *
 * @throws ValueError, or the given class, for anything but an options object, for an unknown option (with the most similar known name)
 *   and for a value that fails its rule
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
 * Checks an object with required fields against a table of rules.
 *
 * @throws ValueError, or the given class, as `checkOptions`, and for the first missing field
 */
export function checkFields(op: string, value: unknown, rules: Rules, required: readonly string[], error: ErrorClass = ValueError): void {
  if (!isPlainObject(value)) throw new error(`${op}: got ${show(value)}, expected an object { ${required.join(', ')} }${awaitHint(value)}`);
  checkOptions(op, value, rules, error);
  for (const name of required)
    if (value[name] === undefined) throw new error(`${op}: ${name} is missing, expected ${rules[name].expected}`);
}

/**
 * Runs a function whose nested input was only partly checked. A `TypeError` or `RangeError` of the language, such as reading a property
 * of undefined, becomes a `ValueError` that says what to pass; other errors are rethrown.
 */
export function explained<T>(op: string, expected: string, fn: () => T): T {
  const translate = (error: unknown): unknown =>
    error instanceof TypeError || error instanceof RangeError
      ? new ValueError(`${op}: the input is incomplete or of the wrong type (${error.message}); pass ${expected}`, { cause: error })
      : error;
  try {
    const result = fn();
    return (result instanceof Promise ? result.catch((error) => Promise.reject(translate(error))) : result) as T;
  } catch (error) {
    throw translate(error);
  }
}

/** Returns the message for an unknown name: `op: unknown option 'strides', expected one of …; did you mean 'stride'?` */
export function unknownName(op: string, kind: string, name: unknown, known: readonly string[]): string {
  const nearest = typeof name === 'string' ? nearestName(name, known) : null;
  return `${op}: unknown ${kind} ${show(name)}, expected one of ${known.join(', ')}${nearest ? `; did you mean ${quote(nearest)}?` : ''}`;
}

/**
 * Returns a list for an error message: the first `count` names, and the total number if there are more.
 *
 *     firstNames(['a', 'b', 'c'], 2) // 'a, b, … (3 in all)'
 */
export function firstNames(names: readonly (string | number)[], count: number): string {
  checkArgument('firstNames', 'names', names, arrayOf(either(text, numeric)));
  checkArgument('firstNames', 'count', count, integer());
  const shown = names.slice(0, count).join(', ');
  return names.length > count ? `${shown}, … (${names.length} in all)` : shown;
}

/** Returns the known name with the smallest edit distance to `name`, or null if none is similar enough to be a misspelling. */
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

/** Levenshtein distance. */
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
