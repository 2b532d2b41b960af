/**
 * The examples of docstrings and the `ts` blocks of documents: writes them as modules to `build/examples`, type-checks and runs them.
 * Functions and classes without an example are listed, except those in `without_example.txt`, which users do not call directly.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { examplePaths } from './documents.js';
import { checkedBlocks, docstringExamples, documentExample, type Example, exportsByName, moduleOf } from './examples.js';
import { given } from './examples_given.js';
import type { PublicSymbols } from './public_names.js';

const FOLDER = 'build/examples';
const EXCEPTIONS = new URL('without_example.txt', import.meta.url);

/** Functions and classes that lack an example, and exceptions that have one or do not exist. */
export function missingExamples(symbols: PublicSymbols): string[] {
  const { without } = docstringExamples(symbols);
  const excepted = new Set(readFileSync(EXCEPTIONS, 'utf8').split('\n').filter(Boolean));
  return [
    ...without.filter((name) => !excepted.has(name)).map((name) => `${name} has no @example`),
    ...[...excepted].filter((name) => !without.includes(name)).map((name) => `${name} is in without_example.txt for no reason`),
  ];
}

/**
 * Writes the modules of all examples, or of those whose place contains a text, and returns the example of each file. Those that are only
 * type-checked are in a folder below.
 */
function writeModules(symbols: PublicSymbols, only: string): Map<string, Example> {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'checked'), { recursive: true });
  const exported = exportsByName(symbols);
  const names = new Set(Object.keys(given));
  const write = (examples: readonly Example[], folder: string, toRoot: string) =>
    examples
      .filter(({ place }) => place.includes(only))
      .map((example, i): [string, Example] => {
        const path = join(folder, `${String(i).padStart(3, '0')}.ts`);
        writeFileSync(path, moduleOf(example, exported, names, toRoot));
        return [path, example];
      });
  const run = [...docstringExamples(symbols).examples, ...examplePaths().flatMap((path) => documentExample(path) ?? [])];
  const checked = examplePaths().flatMap(checkedBlocks);
  return new Map([...write(run, FOLDER, '../..'), ...write(checked, join(FOLDER, 'checked'), '../../..')]);
}

/** Errors of the type checker in the modules. */
function typeErrors(modules: ReadonlyMap<string, Example>): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');
  const program = ts.createProgram([...modules.keys()], {
    ...options,
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
    verbatimModuleSyntax: false,
  });
  return [...modules].flatMap(([path, { place }]) => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((each) => {
      const text = ts.flattenDiagnosticMessageText(each.messageText, ' ');
      const line = source?.text.slice(0, each.start).split('\n').length ?? 0;
      return `${place}: ${text} (${path}:${line}: ${source?.text.split('\n')[line - 1].trim()})`;
    });
  });
}

/** Type-checks and runs the examples; returns their number, and one text per failure. */
export function checkExamples(symbols: PublicSymbols, only = ''): { count: number; failures: string[] } {
  const modules = writeModules(symbols, only);
  const failures = typeErrors(modules);
  if (failures.length > 0) return { count: modules.size, failures };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'test/api/run_examples.ts', FOLDER], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  if (stdout) console.log(stdout.trim());
  return { count: modules.size, failures: status === 0 ? [] : [stderr.trim() || `the examples ended with status ${status}`] };
}
