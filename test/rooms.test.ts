/** Limits on the layout: no file imports itself through others, folders stay small, and functions and classes stay short. */
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { sourceFiles } from './support/imports.js';

const files = new Map([...sourceFiles('src'), ...sourceFiles('cli/src')].map((path) => [path, readFileSync(path, 'utf8')]));

const MOST_FILES = 12;
const MOST_FUNCTION_LINES = 60;
const MOST_CLASS_LINES = 150;

/** Folders that may hold more files, each with one file per thing of a kind. */
const ONE_KIND: Readonly<Record<string, string>> = {
  'src/backend/reference': 'kernel family',
  'src/backend/wasm': 'kernel family',
  'src/backend/webgpu/kernels': 'kernel family',
  'src/tensor/ops': 'operation',
  'src/nn/layers': 'layer family',
  'src/nn/models': 'network',
  'src/formats/onnx/ops': 'operator family',
  'src/report/experiments': 'experiment',
  'src/report/sections': 'section of the report',
  'cli/src/commands': 'command',
};

/** Functions that return all kernels of a family, one closure per kernel. Their length is the number of kernels. */
const KERNELS = ['src/backend/wasm/elementwise.ts elementwise', 'src/backend/wasm/reduce.ts reduce', 'src/backend/wasm/conv2d.ts conv2d'];

/** Functions and classes that are still too long. The list only shrinks: an entry that is no longer needed fails the test. */
const TOO_LONG: readonly string[] = ['src/backend/wasm/runtime/thread_pool.ts ThreadPool'];

/** Files that each file imports: statically, dynamically or as a type. */
function importGraph(texts: ReadonlyMap<string, string>): Map<string, string[]> {
  const targets = (path: string, text: string) =>
    ts
      .preProcessFile(text, true, true)
      .importedFiles.map(({ fileName }) => posix.join(posix.dirname(path), fileName).replace(/\.js$/, '.ts'))
      .filter((target) => texts.has(target));
  return new Map([...texts].map(([path, text]) => [path, targets(path, text)]));
}

/** The import cycles that a depth-first search finds, each as the list of its files. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const path: string[] = [];
  const found: string[][] = [];
  const visit = (file: string) => {
    const at = path.indexOf(file);
    if (at >= 0) found.push(path.slice(at));
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return found;
}

const isFunction = (node: ts.Node) =>
  ts.isFunctionDeclaration(node) ||
  ts.isFunctionExpression(node) ||
  ts.isArrowFunction(node) ||
  ts.isMethodDeclaration(node) ||
  ts.isConstructorDeclaration(node) ||
  ts.isAccessor(node);

/** The name of a function or class, or of the variable or property that holds it. */
function nameOf(node: ts.Node, parent: ts.Node, source: ts.SourceFile): string {
  const { name } = node as ts.NamedDeclaration;
  if (name) return name.getText(source);
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) ? parent.name.getText(source) : 'anonymous';
}

/** The functions and classes of a file that are longer than allowed. */
function longParts(path: string, text: string): { name: string; lines: number }[] {
  if (text.split('\n').length <= MOST_FUNCTION_LINES) return [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const found: { name: string; lines: number }[] = [];
  const visit = (node: ts.Node, parent: ts.Node) => {
    const most = isFunction(node) ? MOST_FUNCTION_LINES : ts.isClassLike(node) ? MOST_CLASS_LINES : Number.POSITIVE_INFINITY;
    const lines = lineOf(node.end) - lineOf(node.getStart(source)) + 1;
    if (lines > most) found.push({ name: `${path} ${nameOf(node, parent, source)}`, lines });
    ts.forEachChild(node, (child) => visit(child, node));
  };
  visit(source, source);
  return found;
}

describe('files', () => {
  it('do not import themselves through others, type imports and dynamic imports included', () => {
    expect(cycles(importGraph(files))).toEqual([]);
  });
});

describe('folders', () => {
  it('hold at most twelve files, unless they have one file per thing of a kind', () => {
    const counts = new Map<string, number>();
    for (const path of files.keys()) counts.set(posix.dirname(path), (counts.get(posix.dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([folder, count]) => count > MOST_FILES && !(folder in ONE_KIND))).toEqual([]);
    for (const folder of Object.keys(ONE_KIND)) expect(existsSync(folder), folder).toBe(true);
  });
});

describe('functions and classes', () => {
  const found = [...files].flatMap(([path, text]) => longParts(path, text));

  it('have at most 60 and 150 lines', () => {
    expect(found.filter(({ name }) => !KERNELS.includes(name) && !TOO_LONG.includes(name))).toEqual([]);
  });

  it('have left the lists of exceptions as soon as they were short enough', () => {
    const names = found.map(({ name }) => name);
    expect([...KERNELS, ...TOO_LONG].filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('the checks themselves', () => {
  const cyclesOf = (edges: Record<string, string[]>) => cycles(new Map(Object.entries(edges)));

  it('find cycles of two and of more files, and accept a shared dependency', () => {
    expect(cyclesOf({ a: ['b'], b: ['a'] })).toEqual([['a', 'b']]);
    expect(cyclesOf({ a: ['b'], b: ['c'], c: ['d'], d: ['b'] })).toEqual([['b', 'c', 'd']]);
    expect(cyclesOf({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] })).toEqual([]);
  });

  it('count type imports and dynamic imports', () => {
    const texts = new Map([
      ['src/a.ts', "import type { B } from './b.js';"],
      ['src/b.ts', "const c = () => import('./c.js');"],
      ['src/c.ts', "type A = import('./a.js').A; // import './d.js'"],
      ['src/d.ts', "import './a.js';"],
    ]);
    expect(cycles(importGraph(texts))).toEqual([['src/a.ts', 'src/b.ts', 'src/c.ts']]);
  });

  it('measure functions and classes', () => {
    const lines = (line: string, count: number) => `${line}\n`.repeat(count);
    expect(longParts('a.ts', `function f() {\n${lines('x();', 59)}}\n`)).toEqual([{ name: 'a.ts f', lines: 61 }]);
    expect(longParts('a.ts', `function f() {\n${lines('x();', 58)}}\n`)).toEqual([]);
    expect(longParts('a.ts', `const f = () => {\n${lines('x();', 59)}};\n`)).toEqual([{ name: 'a.ts f', lines: 61 }]);
    expect(longParts('a.ts', `class C {\n${lines('x = 1;', 149)}}\n`)).toEqual([{ name: 'a.ts C', lines: 151 }]);
  });
});
