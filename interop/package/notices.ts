// Writes the licences of the packages whose code is bundled into the engine's files.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of the package that a bundled file belongs to; undefined for the project's own files. */
function packageFolder(file: string): string | undefined {
  const at = file.lastIndexOf('node_modules/');
  if (at < 0) return undefined;
  const parts = file.slice(at + 'node_modules/'.length).split('/');
  const name = parts.slice(0, parts[0].startsWith('@') ? 2 : 1).join('/');
  return file.slice(0, at) + join('node_modules', name);
}

/**
 * Text of one package's notice: name, version, licence identifier, and the licence file of the package.
 *
 * @throws if the package has neither a licence file nor a licence identifier
 */
function noticeOf(folder: string): { name: string; text: string } {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((each) => /^(licen[sc]e|copying)/i.test(each));
  if (!file && !license) throw new Error(`${name} is bundled but names no licence`);
  const holder = typeof author === 'string' ? author : author?.name;
  const text = file
    ? readFileSync(join(folder, file), 'utf8').trim()
    : `The package contains no licence text. Its manifest names the licence ${license}${holder ? ` and the author ${holder}` : ''}.`;
  return { name, text: `## ${name} ${version} (${license ?? 'see below'})\n\n${text.replace(/\r/g, '')}\n` };
}

/** Writes `file` from the metafiles of esbuild, and returns the names of the bundled packages. */
export function writeNotices(metafiles: readonly string[], file: string): string[] {
  const folders = new Set<string>();
  for (const path of metafiles) {
    if (!existsSync(path)) throw new Error(`there is no ${path}`);
    const { outputs } = JSON.parse(readFileSync(path, 'utf8')) as { outputs: Record<string, { inputs: object }> };
    for (const { inputs } of Object.values(outputs)) {
      for (const input of Object.keys(inputs)) {
        const folder = packageFolder(input);
        if (folder) folders.add(folder);
      }
    }
  }
  const notices = [...folders].map(noticeOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  const head =
    '# Third-party notices\n\nThe files of this package contain code of the packages below, under the licences given with each.\n';
  writeFileSync(file, [head, ...notices.map(({ text }) => text)].join('\n'));
  return notices.map(({ name }) => name);
}
