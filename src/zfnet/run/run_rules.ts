/** Checks for values that are read from the files of a run, since JSON from a file may contain anything. */
import {
  arrayOf,
  boolean,
  finite,
  integer,
  isPlainObject,
  oneOf,
  positive,
  type Rule,
  type Rules,
  rule,
  show,
  text,
} from '../../backend/validate.js';
import { FormatError } from '../../formats/errors.js';
import { ZfnetError } from '../../tensor/index.js';
import { PRESETS, REMOVABLE_LAYERS } from '../model/model.js';

/** Rule for a field that may be absent. */
export const optional = (inner: Rule): Rule => rule(inner.expected, (value) => value === undefined || inner.test(value));

/** Rule for an object whose own values all pass `inner`. */
const recordOf = (inner: Rule): Rule =>
  rule(`an object whose values are each ${inner.expected}`, (value) => isPlainObject(value) && Object.values(value).every(inner.test));

/** Plausible limits: larger image sides or counts of classes, maps or units are taken for a damaged file. */
const SIDE = integer(1, 8192);
const COUNT = integer(1, 10_000_000);

/** Rule for a path below the run's folder, with forward slashes. */
const innerPath = rule(
  'a path below the folder of the run',
  (value) =>
    typeof value === 'string' &&
    value !== '' &&
    !/[\0\\]|^[a-z]:/i.test(value) &&
    value.split('/').every((part) => !['', '.', '..'].includes(part)),
);

export const ARCHITECTURE_RULES: Rules = {
  preset: oneOf(...Object.keys(PRESETS)),
  classes: COUNT,
  inputSize: SIDE,
  channels: integer(1, 1024),
  width: rule('a number above 0 and at most 1000', (value) => positive.test(value) && (value as number) <= 1000),
  dropout: rule('a number of at least 0 and below 1', (value) => finite(0, 1).test(value) && value !== 1),
  without: optional(arrayOf(oneOf(...REMOVABLE_LAYERS))),
  maps: optional(arrayOf(COUNT)),
  units: optional(arrayOf(COUNT)),
  auxiliary: optional(boolean),
};

export const PREPROCESS_RULES: Rules = {
  inputSize: SIDE,
  side: SIDE,
  channels: oneOf(1, 3),
  scale: positive,
  mirror: optional(boolean),
  deviation: optional(arrayOf(positive)),
};

export const DATA_RULES: Rules = {
  source: text,
  fingerprint: text,
  classes: arrayOf(text),
  trainExamples: integer(),
  valExamples: integer(),
  seed: optional(integer()),
  sizes: optional(recordOf(integer())),
  valFraction: optional(finite(0, 1)),
  location: optional(text),
  imageColumn: optional(text),
  labelColumn: optional(text),
  pixelLimit: optional(integer(1)),
};

export const NETWORK_RULES: Rules = {
  file: innerPath,
  channelOrder: oneOf('rgb', 'bgr'),
  layout: optional(oneOf('nchw', 'nhwc')),
  output: optional(text),
  scores: optional(oneOf('softmax', 'log-softmax', 'sigmoid', 'none', 'sigmoid-logits')),
  batch: optional(integer(1)),
  mean: arrayOf(finite()),
};

export const ENGINE_RULES: Rules = { backend: text, mode: text };

export const CHANGE_RULES: Rules = { epoch: integer(), option: text };

/** One line of `metrics.jsonl`. */
export const METRICS_RULES: Rules = {
  epoch: integer(1),
  step: integer(),
  lr: finite(0),
  trainLoss: finite(),
  trainTop1Error: finite(0, 1),
  valTop1Error: rule('a number from 0 to 1, or null', (value) => value === null || finite(0, 1).test(value)),
  valTop5Error: rule('a number from 0 to 1, or null', (value) => value === null || finite(0, 1).test(value)),
  imagesPerSecond: finite(0),
  peakBytes: optional(finite(0)),
};

/** Advice at the end of each message about a value in a file. */
const REMEDY = 'restore the file from a copy';

/** @throws FormatError unless the value passes the rule. `where` names the file and the place in it: `config.json: training.seed`. */
export function checkField(where: string, value: unknown, expected: Rule): void {
  if (expected.test(value)) return;
  throw new FormatError(
    value === undefined
      ? `${where} is missing, expected ${expected.expected}; ${REMEDY}`
      : `${where} is ${show(value)}, expected ${expected.expected}; ${REMEDY}`,
  );
}

/**
 * Checks the fields of an object by a table of rules. Fields without a rule are not checked.
 *
 * @throws FormatError for a value that is not an object, and for a field that fails its rule
 */
export function checkFields(where: string, value: unknown, rules: Rules): asserts value is Record<string, unknown> {
  if (!isPlainObject(value))
    checkField(
      where,
      value,
      rule('an object', () => false),
    );
  const fields = value as Record<string, unknown>;
  for (const [name, expected] of Object.entries(rules))
    checkField(`${where}${where.endsWith(':') ? ' ' : '.'}${name}`, Object.hasOwn(fields, name) ? fields[name] : undefined, expected);
}

/** Runs a check of the library on values from a file. Its errors become `FormatError`s that name the place in the file. */
export function checkedBy<T>(where: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ZfnetError)) throw error;
    throw new FormatError(`${where}: ${error.message}; ${REMEDY}`, { cause: error });
  }
}
