/** The import rule as a table: imports point down, never up or sideways. See ARCHITECTURE.md. */
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type Import, importsIn, importsOf, sourceFiles } from './support/imports.js';

interface Room {
  /** Files or folders. */
  holds: string[];
  /** Rooms that it may import, besides itself. */
  may: string[];
  /** Packages that are bundled into it. */
  bundled?: string[];
  /** Optional packages, which users may install; they are imported as types, or when they are needed. */
  optional?: string[];
}

const MIDDLE = ['tensor', 'low'];
const UPPER = ['nn', 'data', 'formats', ...MIDDLE];

const ROOMS: Record<string, Room> = {
  low: {
    holds: ['backend', 'params', 'errors', 'philox', 'profiling', 'validate', 'shared_class', 'node_module'].map(
      (name) => `src/backend/${name}.ts`,
    ),
    may: [],
  },
  reference: { holds: ['src/backend/reference/'], may: ['low'] },
  // Counts memory without computing, for dry runs; unlike the other backends, it may be named below the entry points.
  shapes: { holds: ['src/backend/shapes/'], may: ['low'] },
  wasm: { holds: ['src/backend/wasm/'], may: ['low', 'built kernels'] },
  webgpu: { holds: ['src/backend/webgpu/'], may: ['low'] },
  tensor: { holds: ['src/tensor/'], may: ['low'] },
  nn: { holds: ['src/nn/'], may: ['shapes', ...MIDDLE] },
  data: { holds: ['src/data/'], may: MIDDLE, optional: ['sharp', 'hyparquet', 'hyparquet-compressors'] },
  profile: { holds: ['src/profile/'], may: MIDDLE },
  // A network from a file is a module, so that it can be trained and looked into like any other.
  formats: { holds: ['src/formats/'], may: ['nn', ...MIDDLE], bundled: ['@bufbuild/protobuf'] },
  analysis: { holds: ['src/analysis/'], may: UPPER },
  zfnet: { holds: ['src/zfnet/'], may: ['analysis', ...UPPER] },
  deconv: { holds: ['src/deconv/'], may: ['analysis', ...UPPER] },
  interpret: { holds: ['src/interpret/'], may: UPPER },
  report: {
    holds: ['src/report/'],
    may: ['zfnet', 'deconv', 'analysis', ...UPPER],
    bundled: ['fast-png', 'fflate', '@observablehq/plot', 'linkedom'],
  },
  // The entry points, the only ones to name backends.
  entry: {
    holds: ['src/index.ts', 'src/train.ts', 'src/models.ts', 'src/testing.ts', 'src/testing/'],
    may: ['zfnet', 'deconv', 'interpret', 'analysis', 'profile', 'reference', 'wasm', 'webgpu', ...UPPER],
    optional: ['fast-check'],
  },
  'built kernels': { holds: ['build/'], may: [] },
};

const own = JSON.parse(readFileSync('package.json', 'utf8'));

/** The published entry points: what other packages of this repository may import. */
const isEntry = (specifier: string) => Object.keys(own.exports).some((key) => posix.join('zfnet', key) === specifier);
const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
const isBuiltin = (specifier: string) => specifier.startsWith('node:') || builtinModules.includes(specifier);
const isRelative = (specifier: string) => specifier.startsWith('.');

/** The file that a relative import means: `../nn/index.js` is `src/nn/index.ts`. */
const target = ({ from, specifier }: Import) => posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');

const roomOf = (path: string) =>
  Object.entries(ROOMS).find(([, { holds }]) =>
    holds.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place)),
  )?.[0];

/** The fault of an import in the engine, or null. */
function wrongInEngine(found: Import): string | null {
  const { from, specifier, kind } = found;
  const room = roomOf(from);
  if (!room) return `${from} is in no room of the table`;
  if (isBuiltin(specifier))
    return kind === 'static' ? `${from} imports ${specifier} at once, which browsers do not have; use import() where it is needed` : null;
  if (!isRelative(specifier)) {
    if (ROOMS[room].bundled?.includes(packageOf(specifier))) return null;
    if (!ROOMS[room].optional?.includes(packageOf(specifier))) return `${from} (${room}) imports the package ${specifier}`;
    return kind === 'static' ? `${from} cannot do without the package ${specifier}, which is optional` : null;
  }
  const to = roomOf(target(found));
  if (!to) return `${from} imports ${target(found)}, which is in no room of the table`;
  return to === room || ROOMS[room].may.includes(to) ? null : `${from} (${room}) imports ${target(found)} (${to})`;
}

/** The fault of an import in a workspace package, or null: it may use only the published entry points. */
function wrongInWorkspace(found: Import, folder: string, dependencies: readonly string[]): string | null {
  const { from, specifier } = found;
  if (isRelative(specifier)) return target(found).startsWith(`${folder}/`) ? null : `${from} reaches out of ${folder} to ${target(found)}`;
  if (isBuiltin(specifier) || isEntry(specifier)) return null;
  return dependencies.includes(packageOf(specifier)) ? null : `${from} imports ${specifier}, which is not among its dependencies`;
}

const engine = sourceFiles('src');

/** Node's global variables that a file reads properties of, with its path. Bundlers add polyfills of them to pages. */
function nodeGlobalsIn(path: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const read = ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node) || ts.isTypeOfExpression(node);
    if (read && ts.isIdentifier(node.expression) && ['process', 'Buffer'].includes(node.expression.text))
      found.push(`${path}: ${node.expression.text}`);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return found;
}

describe('the engine', () => {
  it('imports only downwards', () => {
    expect(engine.flatMap(importsOf).map(wrongInEngine).filter(Boolean)).toEqual([]);
  });

  it('reads `process` and `Buffer` of Node from the global object only', () => {
    expect(engine.flatMap((path) => nodeGlobalsIn(path, readFileSync(path, 'utf8')))).toEqual([]);
    expect(nodeGlobalsIn('a.ts', 'Buffer.from(process.argv[1]); typeof process;')).toEqual([
      'a.ts: Buffer',
      'a.ts: process',
      'a.ts: process',
    ]);
  });

  it('has every file in a room of the table, and files in every room', () => {
    expect(engine.filter((path) => !roomOf(path))).toEqual([]);
    const used = new Set(engine.map(roomOf));
    const planned = ['webgpu', 'built kernels'];
    expect(Object.keys(ROOMS).filter((room) => !used.has(room) && !planned.includes(room))).toEqual([]);
    expect(engine.flatMap(importsOf).length).toBeGreaterThan(300);
  });

  it('has no two rooms that may import each other', () => {
    for (const [room, { may }] of Object.entries(ROOMS)) for (const below of may) expect(ROOMS[below].may).not.toContain(room);
  });

  it('installs nothing: its packages are bundled or optional', () => {
    expect(own.dependencies).toBeUndefined();
    const bundled = Object.values(ROOMS).flatMap(({ bundled = [] }) => bundled);
    expect(bundled.filter((name) => !(name in own.devDependencies))).toEqual([]);
    for (const name of Object.keys(own.peerDependencies ?? {})) expect(own.peerDependenciesMeta?.[name]?.optional, name).toBe(true);
  });
});

describe.each(['cli', 'web'])('%s', (folder) => {
  const files = sourceFiles(folder);
  const manifest = existsSync(`${folder}/package.json`) ? JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) : {};

  it('uses only the published entry points of the engine', () => {
    const wrong = (found: Import) =>
      wrongInWorkspace(found, folder, Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }));
    expect(files.flatMap(importsOf).map(wrong).filter(Boolean)).toEqual([]);
    expect(files.length > 0).toBe(existsSync(folder));
  });
});

describe('kernels', () => {
  it('import only each other, and only the build imports them', () => {
    const kernels = sourceFiles('assembly').filter((path) => path.endsWith('.ts'));
    const outside = kernels.flatMap(importsOf).filter((found) => !target(found).startsWith('assembly/'));
    expect(outside).toEqual([]);
    const users = [...engine, ...sourceFiles('cli'), ...sourceFiles('web'), ...sourceFiles('test'), ...sourceFiles('bench')].flatMap(
      importsOf,
    );
    expect(users.filter((found) => isRelative(found.specifier) && target(found).startsWith('assembly/'))).toEqual([]);
    expect(kernels.length).toBeGreaterThan(10);
  });
});

describe('the rule itself', () => {
  const wrong = (from: string, code: string) => importsIn(from, code).map(wrongInEngine);

  it.each([
    ['src/tensor/tensor.ts', "import { Module } from '../nn/module.js';", /\(tensor\) imports src\/nn\/module\.ts \(nn\)/],
    [
      'src/zfnet/model/model.ts',
      "export { deconvnet } from '../../deconv/index.js';",
      /\(zfnet\) imports src\/deconv\/index\.ts \(deconv\)/,
    ],
    ['src/deconv/deconvnet.ts', "const zfnet = await import('../zfnet/index.js');", /\(deconv\) imports .* \(zfnet\)/],
    ['src/nn/module.ts', "import type { Dataset } from '../data/dataset.js';", /\(nn\) imports .* \(data\)/],
    ['src/nn/module.ts', "type Load = typeof import('../formats/safetensors.js');", /\(nn\) imports .* \(formats\)/],
    ['src/tensor/ops/relu.ts', "import { x } from '../../backend/reference/index.js';", /\(tensor\) imports .* \(reference\)/],
    ['src/zfnet/training/train.ts', "import { createWasmBackend } from '../../backend/wasm/index.js';", /\(zfnet\) imports .* \(wasm\)/],
    ['src/backend/wasm/gemm.ts', "import { gemm } from '../../../assembly/gemm/gemm.js';", /assembly\/gemm\/gemm\.ts, which is in no room/],
    ['src/backend/params.ts', "import { Tensor } from '../tensor/index.js';", /\(low\) imports/],
    ['src/nn/layers/linear.ts', "import '../../../build/simd.js';", /\(nn\) imports build\/simd\.ts \(built kernels\)/],
    ['src/tensor/tensor.ts', "import { readFileSync } from 'node:fs';", /imports node:fs at once/],
    ['src/zfnet/training/train.ts', "import _ from 'lodash';", /\(zfnet\) imports the package lodash/],
    ['src/testing.ts', "import fc from 'fast-check';", /cannot do without the package fast-check/],
    ['src/utils.ts', "import { x } from './index.js';", /in no room of the table/],
  ])('%s may not: %s', (from, code, message) => {
    expect(wrong(from, code)).toEqual([expect.stringMatching(message)]);
  });

  it('accepts imports that point down, and ignores examples in comments', () => {
    expect(wrong('src/nn/module.ts', "import { Tensor } from '../tensor/index.js'; // import x from '../zfnet/index.js'")).toEqual([null]);
    expect(wrong('src/data/reading/image.ts', "import type Sharp from 'sharp'; const { join } = await import('node:path');")).toEqual([
      null,
      null,
    ]);
    expect(wrong('src/index.ts', "import { createWasmBackend } from './backend/wasm/index.js';")).toEqual([null]);
  });

  it('keeps the command line to published entry points', () => {
    const [inside, around, unknown] = importsIn(
      'cli/src/main.ts',
      "import 'zfnet/data'; import '../../src/index.js'; import 'zfnet/tensor/index.js';",
    ).map((found) => wrongInWorkspace(found, 'cli', ['commander']));
    expect(inside).toBeNull();
    expect(around).toMatch(/reaches out of cli to src\/index\.ts/);
    expect(unknown).toMatch(/not among its dependencies/);
  });
});
