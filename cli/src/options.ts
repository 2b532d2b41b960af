/**
 * The vocabulary of options: one name has one meaning in every command. Options that several commands have are defined here, each with its
 * meaning; a command adds what is particular to it after a colon, as in `--images <n>`: "number of images of the split: sampled at random".
 *
 * Old spellings are accepted by `renamedOption`. They are not in the help, and a notice on standard error names the new spelling.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DeconvMode } from 'zfnet';
import { DATA_SOURCES } from 'zfnet/data';
import { ENGINE_MODES, oneOf, threadCount, UsageError, whole } from './command.js';
import { createReporter } from './terminal/reporter.js';

type Parser<T> = (text: string, before?: T) => T;

/** Builds an option whose description is its meaning, then what the command adds. */
function described<T>(flags: string, meaning: string, detail: string, parser?: Parser<T>, initial?: T): Option {
  const option = new Option(flags, detail === '' ? meaning : `${meaning}${detail.startsWith('(') ? ' ' : ': '}${detail}`);
  if (parser) option.argParser(parser as (text: string, before: T) => T);
  return initial === undefined ? option : option.default(initial);
}

/** Collects the values of a repeatable option. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** Largest map number that `mapList` accepts. It bounds the memory of the list. */
const MOST_MAP = 999_999;

/** Parses a list such as `0-7` or `3,5,8-11`; returns the distinct numbers in ascending order. */
export function mapList(text: string): number[] {
  const maps = new Set<number>();
  for (const part of text.split(',')) {
    const [, from, to = from] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) throw new InvalidArgumentError('Expected numbers such as 0-7 or 3,5,8-11.');
    if (Number(to) > MOST_MAP) throw new InvalidArgumentError(`Expected numbers of at most ${MOST_MAP}.`);
    for (let map = Number(from); map <= Number(to); map++) maps.add(map);
  }
  return [...maps].sort((a, b) => a - b);
}

/** Formats numbers as `mapList` parses them: `3,5,8-11`. */
export function mapsText(maps: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const map of maps) {
    const last = runs.at(-1);
    if (last && last[1] === map - 1) last[1] = map;
    else runs.push([map, map]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

// The options. ------------------------------------------------------------------------------------------------------------------------

const OWN_DATA = 'the images that the run was trained on';

/** `--data`: a source of images. The forms are listed in the help of `train`. */
export const dataOption = (byDefault = OWN_DATA, detail = ''): Option =>
  described('--data <source>', 'image source', `written as for train --data${detail} (default: ${byDefault})`);

/** Help text on the kinds of data source. */
export function sourcesHelp(): string {
  const width = Math.max(...DATA_SOURCES.map(({ form }) => form.length));
  return ['Forms of --data:', ...DATA_SOURCES.map(({ form, description }) => `  ${form.padEnd(width)}  ${description}`)].join('\n');
}

/** `--split`: one of the splits of the source. */
export const splitOption = (initial?: string, detail = 'val, train or another of its splits'): Option =>
  described('--split <name>', 'split of the source', detail, undefined, initial);

/** `--images`: how many images of the split are used. */
export const imagesOption = (detail: string, initial?: number, least = 1): Option =>
  described('--images <n>', 'number of images of the split', detail, whole({ min: least }), initial);

/** `--layer`: the name of one layer. */
export const layerOption = (detail: string): Option => described('--layer <name>', 'layer', detail);

/** `--layers`: names of several layers. `layersNamed` takes the values apart, since the layer names of imported networks may contain commas. */
export const layersOption = (byDefault: string): Option =>
  described('--layers <list>', 'layers', `names separated by commas (default: ${byDefault})`, collect);

/** `--map`: the number of one map. */
export const mapOption = (detail: string): Option => described('--map <k>', 'map', detail, whole({ min: 0 }));

/** `--maps`: the numbers of several maps. */
export const mapsOption = (byDefault = 'all'): Option =>
  described('--maps <list>', 'maps', `numbers such as 0-7 or 3,5,8-11 (default: ${byDefault})`, mapList);

/** `--out`: the file or folder that the command writes. */
export const outOption = (detail: string, initial?: string, parser?: Parser<string>): Option =>
  described('--out <path>', 'where to write', detail, parser, initial);

/** `--batch-size`: how many inputs are computed together. */
export const batchSizeOption = (detail: string, initial?: number): Option =>
  described('--batch-size <n>', 'batch size', detail, whole({ min: 1 }), initial);

/** `--class`: the class whose probability is measured. `several`: once per image. */
export const classOption = (detail: string, several = false): Option =>
  described('--class <name>', 'class whose probability is measured', detail, several ? (collect as Parser<unknown>) : undefined);

/** `--grey`: the shade of masks and squares. */
export const greyOption = (what: string): Option =>
  described('--grey <shade>', 'grey level', `${what}, 0 to 255 (default: the mean of the mean image)`, whole({ min: 0, max: 255 }));

/** `--steps`: how long something is optimised. */
export const stepsOption = (detail: string, initial: number): Option =>
  described('--steps <n>', 'number of optimisation steps', detail, whole({ min: 1 }), initial);

/** `--repeat`: how many steps are measured. */
export const repeatOption = (detail: string, initial: number): Option =>
  described('--repeat <n>', 'number of steps to measure', detail, whole({ min: 1 }), initial);

/** `--baselines`: whether simple methods are measured too. */
export const baselinesOption = (detail = ''): Option =>
  described('--baselines', 'also measure guessing, a linear classifier on pixels and the nearest neighbour in pixels', detail);

/** The rules of the backward pass, by their names in the library's table `RULES`; the paper's come first. */
export const RULE_NAMES = ['deconvnet', 'gradient', 'guided'] as const satisfies readonly DeconvMode[];

/**
 * `--rules`: the rules of the backward pass that projects activations to pixels. It was called `--mode`, like the option of every command
 * that chooses between `strict` and `fast` arithmetic; `--rules` is the library's word (`RULES`, `backward({ rules })`). `--mode` with the
 * name of rules is still accepted: see `engineModeOption`.
 *
 * @param all value that stands for all rules side by side, if the command has one
 */
export function rulesOption(all?: string): Option {
  const names = [...RULE_NAMES, ...(all === undefined ? [] : [all])];
  const detail = `${RULE_NAMES.join(', ')}${all === undefined ? '' : `, or ${all} (side by side)`}`;
  return described('--rules <name>', 'rules of the backward pass', detail, oneOf(names), 'deconvnet');
}

/** `--mode` of every command. In commands with `--rules` it also accepts the name of rules, its meaning there in earlier versions. */
function engineModeOption(command: Command): Option {
  const description = 'strict: the same bits on every machine; fast: relaxed SIMD, other rounding (default: strict)';
  const option = new Option('--mode <mode>', description);
  if (!command.options.some(({ long }) => long === '--rules')) return option.choices(ENGINE_MODES);
  command.hook('preAction', () => {
    const mode = command.getOptionValue('mode') as string | undefined;
    if (!RULE_NAMES.some((name) => name === mode)) return;
    replaceValue(command, ['mode', `--mode ${mode}`], ['rules', `--rules ${mode}`], mode);
    command.setOptionValue('mode', undefined);
  });
  return option.argParser((text: string) => {
    if (![...ENGINE_MODES, ...RULE_NAMES].some((name) => name === text))
      throw new InvalidArgumentError(`Expected one of ${ENGINE_MODES.join(', ')}.`);
    return text;
  });
}

/** Adds the common options after a command's own options. */
export function addCommonOptions(command: Command): Command {
  const common = (flags: string, text: string) => new Option(flags, text).helpGroup('Common options:');
  const all = [
    common('--json', 'print the result as one JSON value on standard output'),
    common('--backend <name>', 'backend that computes; reference is slow and serves for comparison (default: wasm)').choices([
      'wasm',
      'webgpu',
      'reference',
    ]),
    common('--threads <n>', 'number of threads of the wasm backend, or auto (default: auto)').argParser(threadCount),
    engineModeOption(command).helpGroup('Common options:'),
    common('--seed <n>', 'seed of the random numbers (default: 0)').argParser(whole({ min: 0 })),
    common('--quiet', 'print no progress'),
    common('--verbose', 'print more details, and the stack trace of an error'),
  ];
  const own = new Set(command.options.map(({ long }) => long));
  const images = command.registeredArguments.some((argument) => /^images?$/.test(argument.name()));
  const data = (flags: string, text: string) => new Option(flags, text).helpGroup('Data sources:');
  if (own.has('--data')) {
    command.addOption(data('--image-column <name>', 'parquet sources: column with the images, if several columns contain images'));
    command.addOption(data('--label-column <name>', 'parquet sources: column with the labels (default: recognised by its name)'));
  }
  if (own.has('--data') || images)
    command.addOption(
      data('--max-pixels <n>', 'largest number of pixels of an image; larger images are refused (default: 100 million)').argParser(
        whole({ min: 1 }),
      ),
    );
  for (const option of all) command.addOption(option);
  return command;
}

// Old spellings. ----------------------------------------------------------------------------------------------------------------------

/**
 * Accepts an old spelling of an option. It has the same parser as the new one; a notice on standard error names the new spelling, except
 * under --json and --quiet.
 *
 * @param old flags of the old spelling, such as `--examples <n>`
 * @param now the new name, such as `--images`
 * @param value the value that an old flag without a value stands for
 * @throws UsageError, when the command runs, if both spellings are given
 */
export function renamedOption(command: Command, old: string, now: string, value?: string): Command {
  const target = command.options.find(({ long }) => long === now);
  if (!target) throw new Error(`${command.name()} has no option ${now}`);
  const option = new Option(old, `old spelling of ${now}`).hideHelp();
  if (target.parseArg && value === undefined) option.argParser(target.parseArg);
  command.addOption(option);
  const [from, to] = [option.attributeName(), target.attributeName()];
  return command.hook('preAction', () => {
    if (command.getOptionValueSource(from) !== 'cli') return;
    replaceValue(command, [from, option.long!], [to, now], value ?? command.getOptionValue(from));
    command.setOptionValue(from, undefined);
  });
}

type Named = readonly [attribute: string, spelling: string];

function replaceValue(command: Command, [, old]: Named, [to, now]: Named, value: unknown): void {
  if (command.getOptionValueSource(to) === 'cli') throw new UsageError(`${old} is the old spelling of ${now}: give one of them`);
  command.setOptionValueWithSource(to, value, 'cli');
  const { json, quiet } = command.opts<{ json?: boolean; quiet?: boolean }>();
  if (!json && !quiet) createReporter().warn(`${old} is now spelled ${now}; a later release will no longer accept the old spelling`);
}
