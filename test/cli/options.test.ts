/** The options of all commands: one name has one meaning everywhere, and old spellings still work. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DATA_SOURCES } from '../../src/data/index.js';

interface Option {
  flags: string;
  long: string;
  description: string;
  hidden: boolean;
}

/** The part of Commander's commands that is used here. */
interface Command {
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
  name(): string;
  createCommand(name: string): Command;
  option(flags: string, description: string): Command;
  action(run: () => void): Command;
  opts(): Record<string, unknown>;
  parseAsync(words: readonly string[], from: { from: 'user' }): Promise<unknown>;
}

// The compiler does not follow these imports: it checks the command line with a configuration of its own.
const cli = (name: string) => import(/* @vite-ignore */ join(import.meta.dirname, '../../cli/src', name));
const { createProgram } = (await cli('program.ts')) as { createProgram: () => Command };
const { sourcesHelp } = (await cli('options.ts')) as { sourcesHelp: () => string };
const { UsageError } = (await cli('command.ts')) as { UsageError: ErrorConstructor };

/** The meaning of an option: its description up to the first detail. */
const meaning = ({ description }: Option) => description.split(/[:;,(]/)[0].trim();
/** The form of its value: `<n,...>` is several of `<n>`. */
const type = ({ flags }: Option) => /[<[].*$/.exec(flags)?.[0].replace(/,?\.\.\./, '') ?? 'flag';

/** Names of options that mean different things in different commands, with these meanings. */
function ambiguous(commands: readonly Command[]): [string, string[]][] {
  const found = new Map<string, Set<string>>();
  for (const command of commands)
    for (const option of command.options) {
      if (option.hidden) continue;
      const name = option.long;
      found.set(name, (found.get(name) ?? new Set()).add(`${type(option)} ${meaning(option)}`));
    }
  return [...found].flatMap(([name, meanings]) => (meanings.size > 1 ? [[name, [...meanings]]] : []));
}

describe('the vocabulary', () => {
  it('gives every option of every command one meaning and one type of value', () => {
    const { commands } = createProgram();
    expect(commands.length).toBeGreaterThan(20);
    expect(ambiguous(commands)).toEqual([]);
  });

  it('finds names with two meanings or types', () => {
    const command = (name: string) => createProgram().createCommand(name);
    const one = command('one').option('--size <n>', 'number of images');
    expect(ambiguous([one, command('two').option('--size <n>', 'number of images: at random')])).toEqual([]);
    expect(ambiguous([one, command('two').option('--size <n>', 'height and width')])).toEqual([
      ['--size', ['<n> number of images', '<n> height and width']],
    ]);
    expect(ambiguous([one, command('two').option('--size <list>', 'number of images')])).toHaveLength(1);
  });

  it('hides old spellings in the help', () => {
    for (const command of createProgram().commands)
      for (const { hidden, description } of command.options) expect(hidden).toBe(description.startsWith('old spelling of'));
  });

  it('lists every kind of data source in the README', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const missing = DATA_SOURCES.filter(({ scheme, rest }) => scheme !== '' && !readme.includes(rest ? `${scheme}:` : scheme));
    expect(missing).toEqual([]);
  });

  it('lists every kind of data source in the help of train', () => {
    for (const { form, description } of DATA_SOURCES) expect(sourcesHelp()).toMatch(new RegExp(`  ${form} +${description.slice(0, 20)}`));
  });
});

describe('old spellings', () => {
  afterEach(() => vi.restoreAllMocks());

  async function parsed(...args: string[]): Promise<{ options: Record<string, unknown>; notice: string }> {
    const command = createProgram().commands.find((each) => each.name() === 'top9')!;
    command.action(() => undefined);
    let notice = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      notice += text;
      return true;
    });
    await command.parseAsync(['run', ...args], { from: 'user' });
    return { options: command.opts(), notice };
  }

  it('set the new option, with a notice', async () => {
    const { options, notice } = await parsed('--layer', 'conv1', '--layer', 'conv5', '--examples', '7');
    expect(options).toMatchObject({ layers: ['conv1', 'conv5'], images: 7, rules: 'deconvnet' });
    expect(notice).toMatch(/--layer is now spelled --layers; .*\n.*--examples is now spelled --images/);
    expect((await parsed('--modes')).options).toMatchObject({ rules: 'all' });
  });

  it('of --mode with the name of rules set --rules, and leave the engine its default mode', async () => {
    const { options, notice } = await parsed('--mode', 'guided');
    expect(options).toMatchObject({ rules: 'guided', mode: undefined });
    expect(notice).toContain('--mode guided is now spelled --rules');
    expect(await parsed('--mode', 'fast')).toMatchObject({ options: { rules: 'deconvnet', mode: 'fast' }, notice: '' });
    await expect(parsed('--mode', 'loud')).rejects.toThrow(/Expected one of strict, fast/);
  });

  it('print nothing under --json and --quiet', async () => {
    for (const flag of ['--json', '--quiet']) expect((await parsed('--examples', '7', flag)).notice).toBe('');
  });

  it('are wrong usage beside the new spelling, and with a wrong value', async () => {
    await expect(parsed('--examples', '7', '--images', '8')).rejects.toThrow(UsageError);
    await expect(parsed('--examples', '0')).rejects.toThrow(/Expected a whole number, at least 1/);
  });
});
