// Packs the engine and the command line, and publishes both to a registry.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** The folders of the packages, the engine first because the command line depends on it. */
const PACKAGES = [PROJECT, join(PROJECT, 'cli')];

/** Returns `{ name, file, files, bytes }` of each package. The packages must be built already: lifecycle scripts do not run. */
export function publishAll(folder, { env, url }) {
  mkdirSync(folder, { recursive: true });
  return PACKAGES.map((cwd) => {
    const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd,
      encoding: 'utf8',
      env,
    });
    const [{ name, filename, files, size }] = JSON.parse(output);
    const file = join(folder, filename);
    execFileSync('npm', ['publish', file, '--ignore-scripts', '--registry', url, '--provenance=false'], { env, stdio: 'pipe' });
    return { name, file, files: files.map(({ path }) => path), bytes: size };
  });
}
