// The packed files themselves: manifest and types by the tools of the field, licences of bundled code, and files that must be there.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';

const extract = (file, path) => execFileSync('tar', ['-xzOf', file, `package/${path}`], { encoding: 'utf8', maxBuffer: 1 << 26 });

export const manifest = {
  name: 'manifest',
  async run({ tarballs, check }) {
    const [engine, commandLine] = tarballs;
    for (const { name, file, files, bytes } of tarballs) {
      await check(`manifest: publint of ${name}`, () => {
        execFileSync(process.execPath, ['node_modules/publint/src/cli.js', 'run', file, '--strict'], { stdio: 'pipe', encoding: 'utf8' });
        return `${files.length} files, ${(bytes / 1e6).toFixed(2)} MB`;
      });
      await check(`manifest: licence and README of ${name}`, () => {
        for (const wanted of ['LICENSE', 'README.md', 'dist/THIRD-PARTY-NOTICES.md'].slice(0, name === 'zfnet' ? 3 : 2))
          if (!files.includes(wanted)) throw new Error(`${wanted} is not in the package`);
      });
    }
    await check('manifest: types of every entry point (attw)', () => {
      // `node10` cannot read `exports`: its types come from `typesVersions`, which the suite `typescript` compiles.
      const attw = [
        'node_modules/@arethetypeswrong/cli/dist/index.js',
        engine.file,
        '--profile',
        'node16',
        '--exclude-entrypoints',
        'simd.wasm',
        'worker.js',
      ];
      execFileSync(process.execPath, attw, { stdio: 'pipe', encoding: 'utf8' });
    });
    await check('manifest: files that are loaded by their address', () => {
      const { unpkg, jsdelivr } = JSON.parse(extract(engine.file, 'package.json'));
      for (const wanted of [unpkg, jsdelivr, 'dist/simd.wasm', 'dist/worker.js'])
        if (!engine.files.includes(wanted.replace('./', ''))) throw new Error(`${wanted} is not in the package`);
    });
    await check('manifest: source maps', () => {
      const scripts = engine.files.filter((file) => /^dist\/(?!worker|simd|relaxed).*\.c?js$/.test(file));
      for (const script of scripts) {
        const named = [...extract(engine.file, script).matchAll(/^\/\/# sourceMappingURL=(\S+)$/gm)].map(([, name]) => `dist/${name}`);
        if (named.length !== 1 || !engine.files.includes(named[0]))
          throw new Error(`${script} names the maps [${named}], which must be one file`);
      }
      const code = extract(engine.file, 'dist/index.js').split('\n');
      const line = code.findIndex((text) => text.startsWith('async function init('));
      const map = new SourceMap(JSON.parse(extract(engine.file, 'dist/index.js.map')));
      const { originalSource } = map.findEntry(line, 0);
      if (!originalSource?.endsWith('src/index.ts')) throw new Error(`init() points to ${originalSource}, expected src/index.ts`);
      return `${scripts.length} scripts`;
    });
    await check('manifest: notices name every bundled package', () => {
      const notices = extract(engine.file, 'dist/THIRD-PARTY-NOTICES.md');
      const bundled = JSON.parse(readFileSync('../../build/bundled.json', 'utf8'));
      const missing = bundled.filter((name) => !notices.includes(`## ${name} `));
      if (missing.length > 0) throw new Error(`no notice of ${missing.join(', ')}`);
      return `${bundled.length} packages`;
    });
    await check('manifest: the command line depends on a published version', () => {
      const { dependencies } = JSON.parse(extract(commandLine.file, 'package.json'));
      const local = Object.entries(dependencies).filter(([, version]) => /^(file|link|workspace):/.test(version));
      if (local.length > 0) throw new Error(`dependencies that only exist in the repository: ${JSON.stringify(local)}`);
    });
  },
};
