/**
 * Part of `npm run test:soak`, alone `npm run test:kill`: runs that are killed (`kill -9`) several times at random moments after the start
 * of the process, and resumed each time, leave the same files byte for byte as a run without a stop.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { philox } from '../../src/backend/philox.js';
import { pick } from '../soak/settings.js';
import { start, TINY, workplace, zfnet } from './support.js';

/** Number of kills: 6 in the short form, 60 in the long form. */
const RUNS = pick(2, 20);
/** Number of kills per run, after which the run finishes undisturbed. */
const KILLS = 3;
/** Seed of the random moments; another seed gives other moments. */
const SEED = Number(process.env.KILL_SEED ?? Date.now() % 100_000);

const place = workplace();
const RECIPE = ['--data', 'bars', '--epochs', '12', '--lr', '0.02', '--checkpoint-steps', '2', ...TINY];

/** Returns a random number from 0 to 1 for an index of the sequence. */
function draw(i: number): number {
  const words = new Uint32Array(4);
  philox(SEED, i, words);
  return words[0] / 2 ** 32;
}

/** All results of training except times: the checkpoints of all epochs, with weights, velocities and positions in training. */
async function filesOf(run: string): Promise<Record<string, Buffer>> {
  const folder = join(place.path, run);
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.safetensors')).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))])));
}

async function killedRun(run: string, first: number, milliseconds: number): Promise<number> {
  const isThere = () => existsSync(join(place.path, run, 'config.json'));
  const command = () => ['train', '--out', run, ...(isThere() ? ['--resume', '--threads', '1'] : RECIPE)];
  let kills = 0;
  for (let k = 0; k < KILLS; k++) {
    const { child, ended } = start(place.path, command());
    // Each start gets its share of the time, so that the run is not over before its last kill.
    const timer = setTimeout(() => child.kill('SIGKILL'), (draw(first + k) * 1.2 * milliseconds) / KILLS);
    const { signal, status, stderr } = await ended;
    clearTimeout(timer);
    if (signal === 'SIGKILL') kills++;
    else expect(`${status} ${stderr}`).toMatch(/^0 /);
  }
  const last = await zfnet(place.path, ...command());
  expect(`${last.status} ${last.stderr}`).toMatch(/^0 /);
  return kills;
}

describe(`kill -9 at random moments (KILL_SEED=${SEED})`, () => {
  it(`${RUNS} of ${RUNS} resume to the same bytes`, { timeout: 7_200_000 }, async () => {
    const began = performance.now();
    expect((await zfnet(place.path, 'train', '--out', 'straight', ...RECIPE)).status).toBe(0);
    const milliseconds = performance.now() - began;
    const expected = await filesOf('straight');
    expect(Object.keys(expected)).toHaveLength(14);
    let kills = 0;
    for (let i = 0; i < RUNS; i++) {
      kills += await killedRun(`killed-${i}`, i * KILLS, milliseconds);
      const found = await filesOf(`killed-${i}`);
      expect(Object.keys(found)).toEqual(Object.keys(expected));
      for (const [name, bytes] of Object.entries(expected)) expect(Buffer.compare(found[name], bytes), `killed-${i}/${name}`).toBe(0);
    }
    console.log(`resume after kill -9: byte-identical, ${RUNS} of ${RUNS} (${kills} kills, seed ${SEED})`);
    expect(kills).toBeGreaterThanOrEqual((RUNS * KILLS) / 2);
  });
});
