/** `npm run test:soak`: processes that race for the lock of one run; some are killed while they hold it. Two never hold it at once. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pick } from './settings.js';

const ROOT = join(import.meta.dirname, '../..');
const RACES = pick(2, 12);
const PROCESSES = pick(5, 12);
const TIMES = pick(12, 60);
const SEED = process.env.SOAK_SEED ?? String(Date.now() % 100_000);

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  said: string;
}

function racer(folder: string, seed: string): Promise<Ended> {
  const args = ['--import', 'tsx', join(import.meta.dirname, 'lock_racer.ts'), folder, String(TIMES), seed];
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'cli/tsconfig.json') };
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text;
    });
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (status, signal) => done({ status, signal, said }));
  });
}

describe(`races for a run's lock (SOAK_SEED=${SEED})`, () => {
  it(`${RACES} races of ${PROCESSES} processes: one at a time has it`, { timeout: 3_600_000 }, async () => {
    let [taken, killed] = [0, 0];
    for (let race = 0; race < RACES; race++) {
      const folder = mkdtempSync(join(tmpdir(), 'zfnet-lock-'));
      try {
        const ended = await Promise.all(Array.from({ length: PROCESSES }, (_, i) => racer(folder, `${SEED}/${race}/${i}`)));
        for (const { status, signal, said } of ended) {
          if (signal === 'SIGKILL') killed++;
          else expect(`${status} ${said}`).toMatch(/^0 \d+ taken\n$/);
          taken += Number(/(\d+) taken/.exec(said)?.[1] ?? 0);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    console.log(`lock races: ${RACES} of ${PROCESSES} processes each; the lock was taken ${taken} times, ${killed} were killed with it`);
    expect(taken).toBeGreaterThan(0);
  });
});
