// The README's TypeScript, compiled against the packed engine under every module resolution, without skipLibCheck.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Project } from '../project.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Values that the README's code uses without defining them. */
const PRELUDE = `import type { Tensor as T } from 'zfnet';
declare const batches: Iterable<{ images: T; labels: T }>;
declare const image: T;
declare const bytes: Uint8Array;
`;

/** What users write about the types: methods of tensors, typed data, and entry points. */
const TYPES = `import { init, tensor, Tensor, Module, Sequential, Conv2d, ReLU, SGD, crossEntropy, scope } from 'zfnet';
import { loadOnnx } from 'zfnet/onnx';
import { loadSafetensors } from 'zfnet/safetensors';
import { openDataset } from 'zfnet/data';
await init({ threads: 1 });
const x: Tensor = tensor([1, 2, 3], [3], { requiresGrad: true });
const y: Tensor = x.mul(2).add(1).sum();
y.backward();
const floats: Float32Array = await tensor([1, 2]).data();
class Block extends Module {
  readonly body = new Sequential([new Conv2d(3, 8, 3), new ReLU()]);
  forward(input: Tensor): Tensor { return this.body.forward(input); }
}
const sgd = new SGD(new Block().parameters(), { lr: 0.1 });
sgd.step();
const total: Tensor = scope(() => x.mul(x).sum());
void [floats, total, crossEntropy, loadOnnx, loadSafetensors, openDataset];
`;

/** Mistakes that the types must refuse. */
const MISTAKES = `import { tensor, conv2d } from 'zfnet';
// @ts-expect-error a text is no data
tensor('abc');
// @ts-expect-error there is no option of this name
conv2d(tensor([1]), tensor([1]), null, { strides: 2 });
// @ts-expect-error there is no method of this name
tensor([1]).multiply(2);
`;

/** Blocks of the language `ts` in README.md. Those of a guide continue each other; `npm run docs:check` compiles and runs them. */
function* blocks() {
  let index = 0;
  for (const [, code] of readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm))
    yield [`README.md, block ${++index}`, code];
}

export const typescript = {
  name: 'typescript',
  async run({ folder, registry, check, wanted }) {
    const ways = [
      { name: 'node16', options: { module: 'node16', moduleResolution: 'node16' } },
      { name: 'nodenext', options: { module: 'nodenext', moduleResolution: 'nodenext' } },
      { name: 'bundler', options: { module: 'esnext', moduleResolution: 'bundler' } },
    ];
    const others = ['typescript: node10, every entry point but zfnet/testing', 'typescript: CommonJS under node16'];
    if (![...others, ...ways.map(({ name }) => `typescript: ${name}`)].some(wanted)) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('zfnet', 'typescript@5.9', 'fast-check', '@types/node@20');
    project.write('types.ts', TYPES);
    project.write('mistakes.ts', MISTAKES);
    const names = [];
    for (const [name, code] of blocks()) {
      const file = `block${names.length + 1}.ts`;
      project.write(file, `// ${name}\n${PRELUDE}${code}\nexport {};\n`);
      names.push(name);
    }
    for (const { name, options } of ways) {
      for (const [types, lib] of [
        [['node'], ['ES2022']],
        [[], ['ES2022', 'DOM']],
      ]) {
        await check(`typescript: ${name}, types of ${types.length > 0 ? 'Node' : 'the DOM'}`, () => {
          const compilerOptions = { ...options, target: 'es2022', lib, types, strict: true, skipLibCheck: false, noEmit: true };
          project.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
          project.run(project.bin('tsc'), ['-p', '.']);
          return `${names.length} blocks of README.md`;
        });
      }
    }
    await check('typescript: node10, every entry point but zfnet/testing', () => {
      // The types of fast-check, which zfnet/testing needs, do not compile under node10.
      const entries = ['data', 'train', 'safetensors', 'onnx', 'interpret', 'models', 'report', 'pictures'];
      const lines = entries.map((name) => `import * as ${name} from 'zfnet/${name}';\nvoid ${name};`);
      project.write('old/main.ts', `import { tensor } from 'zfnet';\n${lines.join('\n')}\nexport const y = tensor([1]).mul(2);\n`);
      const base = { module: 'commonjs', moduleResolution: 'node10', target: 'es2022', lib: ['ES2022'], types: ['node'] };
      const compilerOptions = { ...base, strict: true, skipLibCheck: false, noEmit: true, esModuleInterop: true };
      project.write('old/tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
      project.run(project.bin('tsc'), ['-p', 'old']);
    });
    await check('typescript: CommonJS under node16', () => {
      project.write('cjs/package.json', '{ "type": "commonjs" }');
      project.write('cjs/main.ts', "import { tensor } from 'zfnet';\nexport const y = tensor([1]).mul(2);\n");
      const compilerOptions = {
        module: 'node16',
        moduleResolution: 'node16',
        target: 'es2022',
        lib: ['ES2022'],
        types: ['node'],
        strict: true,
        skipLibCheck: false,
        noEmit: true,
      };
      project.write('cjs/tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
      project.run(project.bin('tsc'), ['-p', 'cjs']);
    });
  },
};
