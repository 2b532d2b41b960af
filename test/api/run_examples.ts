/**
 * Runs example modules one after the other, each with an engine of its own, in a folder with the files that examples read. Prints a line
 * for each that fails, and a summary. `node --import tsx test/api/run_examples.ts FOLDER`.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openDataset } from '../../src/data/index.js';
import { init, shutdown } from '../../src/index.js';
import { encodePng } from '../../src/report/pictures/index.js';

const folder = resolve(process.argv[2]);
const work = mkdtempSync(join(tmpdir(), 'zfnet-examples-'));
process.chdir(work);

/** Writes the pictures that examples read: `dog.png`, and `pictures/CLASS/N.png` for two classes. */
async function writePictures(): Promise<void> {
  const { splits, classes } = await openDataset('scenes', { imageSize: 72, sizes: { train: 48, val: 24, 'unseen-style': 24 } });
  for (let i = 0; i < 48; i++) {
    const { image, label } = await splits.train.get(i);
    if (i === 0) writeFileSync('dog.png', encodePng(image));
    if (label > 1) continue;
    mkdirSync(join('pictures', classes[label]), { recursive: true });
    for (let copy = 0; copy < 6; copy++) writeFileSync(join('pictures', classes[label], `${i}-${copy}.png`), encodePng(image));
  }
}

await writePictures();
const silent = { log: console.log, table: console.table };
const failures: string[] = [];
const modules = readdirSync(folder).filter((name) => name.endsWith('.ts'));
for (const name of modules) {
  const path = join(folder, name);
  const place = readFileSync(path, 'utf8').split('\n', 1)[0].replace('// ', '');
  const start = performance.now();
  Object.assign(console, { log: () => {}, table: () => {} });
  try {
    await init(place.endsWith('.md') ? {} : { threads: 1 });
    await import(pathToFileURL(path).href);
  } catch (error) {
    failures.push(`${place}: ${error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join('\n    ') : error}`);
  } finally {
    Object.assign(console, silent);
    await shutdown();
  }
  const seconds = (performance.now() - start) / 1000;
  if (seconds > 3) console.log(`${place} took ${seconds.toFixed(1)} s`);
}
for (const failure of failures) console.error(failure);
console.log(`${modules.length} examples run, ${failures.length} failed`);
process.exit(failures.length > 0 ? 1 : 0);
