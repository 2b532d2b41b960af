/**
 * Compiles the kernels into build/: one WebAssembly file for each target of asconfig.json, each also deflated in
 * a JavaScript module of base64 text, which every runtime and bundler can load, and the kernels' signatures as TypeScript.
 * `node assembly/build.mjs`
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { DecoratorFlags } from 'assemblyscript';
import asc from 'assemblyscript/asc';
import binaryen from 'assemblyscript/binaryen';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const out = 'build';
const targets = Object.keys(JSON.parse(readFileSync('asconfig.json', 'utf8')).targets);

const time = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const sources = ['asconfig.json', 'package.json', ...readdirSync('assembly', { recursive: true }).map((name) => join('assembly', name))];
const newest = Math.max(...sources.map(time));

/** Writes a file under a temporary name and renames it, because another process may be reading the old one. */
function write(name, contents) {
  const part = join(out, `${name}.${process.pid}`);
  writeFileSync(part, contents);
  renameSync(part, join(out, name));
}

/** The functions of the `.d.ts` that asc writes, as one interface. */
function kernelInterface(declarations) {
  const functions = [...declarations.matchAll(/^ {2}export function (.*;)$/gm)].map(([, signature]) => `  ${signature}\n`);
  return `/** Functions that every build of the kernels exports. Written by assembly/build.mjs. */\nexport interface Kernels {\n${functions.join('')}}\n`;
}

/**
 * Functions of assembly/math.ts that are inlined whatever their size. A loop that calls two of them then shares their constants, each of
 * which costs V8 three instructions. They cannot have AssemblyScript's decorator `@inline`, because TypeScript and the linter refuse
 * decorators of functions.
 */
const INLINED = ['exp4', 'log4', 'sigmoid4', 'tanh4', 'pow4', 'pow2'];

/**
 * Inlines small functions before asc optimises for size, which is enough for the speed of the inner loops. The limits are those of asc when
 * it optimises for speed alone, which would make the code a third larger.
 */
const inlining = {
  afterInitialize(program) {
    for (const name of INLINED) program.elementsByName.get(`assembly/math/${name}`).decoratorFlags |= DecoratorFlags.Inline;
  },
  afterCompile(module) {
    binaryen.setOptimizeLevel(3);
    binaryen.setShrinkLevel(0);
    binaryen.setAlwaysInlineMaxSize(12);
    binaryen.setFlexibleInlineMaxSize(70);
    binaryen.setOneCallerInlineMaxSize(200);
    module.runPasses(['inlining-optimizing']);
  },
};

async function compile(target) {
  const files = {};
  const started = new Date();
  const { error, stderr } = await asc.main(['--config', 'asconfig.json', '--target', target, '--bindings', 'raw'], {
    transforms: [inlining],
    writeFile(name, contents) {
      if (name.endsWith('.wasm')) files.wasm = contents;
      else if (name.endsWith('.d.ts')) files.types = contents;
    },
  });
  if (error) {
    console.error(`${stderr}`);
    console.error(`assembly: ${target}: ${error.message}`);
    process.exit(1);
  }
  write('kernels.d.ts', kernelInterface(files.types));
  write(`${target}.d.ts`, '/** The WebAssembly module, deflated (RFC 1951), in base64. */\nexport declare const deflated: string;\n');
  write(`${target}.js`, `export const deflated = '${deflateRawSync(files.wasm, { level: 9 }).toString('base64')}';\n`);
  write(`${target}.wasm`, files.wasm);
  // The marker shows that all files are complete. Its time is the start of the build, so that a source saved meanwhile counts as newer.
  utimesSync(join(out, `${target}.wasm`), started, started);
  console.log(`assembly: ${target}.wasm ${files.wasm.length} bytes`);
}

mkdirSync(out, { recursive: true });
for (const target of targets) {
  if (time(join(out, `${target}.wasm`)) <= newest) await compile(target);
}
