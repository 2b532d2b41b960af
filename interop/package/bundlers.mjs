// How each bundler builds `main.js` and `entries.js`: with its defaults, since the engine promises to need no settings.

/** Script that calls a bundler's API and prints its warnings. */
const script = (project, text) => {
  project.write('build.mjs', text);
  return project.runBoth('node', ['build.mjs']);
};

const WEBPACK = (name) => `import bundler from '${name}';
const { webpack = bundler, rspack = webpack } = bundler;
const run = ${name === 'webpack' ? 'webpack' : 'rspack'};
run({ mode: 'production', entry: { main: './main.js', entries: './entries.js' }, 
      output: { path: process.cwd() + '/out', filename: '[name].js' }, performance: { hints: false } }, (error, stats) => {
  if (error) throw error;
  console.log(stats.toString({ colors: false, all: false, errors: true, warnings: true }));
  if (stats.hasErrors()) process.exit(1);
});`;

export const BUNDLERS = [
  {
    name: 'esbuild',
    packages: ['esbuild'],
    output: 'out',
    firefox: true,
    build: (project) =>
      project.runBoth(project.bin('esbuild'), [
        ...['main.js', 'entries.js', '--bundle', '--minify', '--splitting', '--format=esm', '--outdir=out', '--log-level=warning'],
      ]),
  },
  {
    name: 'rollup',
    packages: ['rollup', '@rollup/plugin-node-resolve'],
    output: 'out',
    build: (project) =>
      script(
        project,
        `import { rollup } from 'rollup';
import resolve from '@rollup/plugin-node-resolve';
const bundle = await rollup({ input: ['main.js', 'entries.js'], plugins: [resolve({ browser: true })], onLog: (level, log) => console.log(level, log.message) });
await bundle.write({ dir: 'out', format: 'es' });`,
      ),
  },
  { name: 'webpack', packages: ['webpack'], output: 'out', build: (project) => script(project, WEBPACK('webpack')) },
  { name: 'rspack', packages: ['@rspack/core@1'], output: 'out', build: (project) => script(project, WEBPACK('@rspack/core')) },
  {
    name: 'vite',
    packages: ['vite@7'],
    output: 'dist',
    build: (project) =>
      script(
        project,
        `import { build } from 'vite';
await build({ logLevel: 'warn', base: './', build: { modulePreload: false, chunkSizeWarningLimit: 5000, rollupOptions: { input: { main: 'main.js', entries: 'entries.js' },
  output: { entryFileNames: '[name].js' } } } });`,
      ),
  },
  {
    name: 'vite8',
    packages: ['vite@8'],
    output: 'dist',
    build: (project) =>
      script(
        project,
        `import { build } from 'vite';
await build({ logLevel: 'warn', base: './', build: { modulePreload: false, chunkSizeWarningLimit: 5000, rolldownOptions: { input: { main: 'main.js', entries: 'entries.js' },
  output: { entryFileNames: '[name].js' } } } });`,
      ),
  },
  {
    name: 'parcel',
    packages: ['parcel'],
    output: 'dist',
    build: (project) =>
      project.runBoth(project.bin('parcel'), ['build', 'index.html', '--no-source-maps', '--public-url', './', '--dist-dir', 'dist']),
    keepsHtml: true,
    withoutCsp: 'Parcel writes an inline script into its page, which the policy forbids',
  },
];
