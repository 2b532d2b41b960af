/** The lock of a run between processes of one system, and between processes in different process namespaces, as in containers. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEARTBEAT_SECONDS, STALE_SECONDS } from '../../cli/src/run/lock_holder.js';
import { FolderStore } from '../../cli/src/run/run_folder.js';
import { lockRun, RunLockedError } from '../../cli/src/run/run_lock.js';

const RACER = join(import.meta.dirname, 'lock_racer.ts');
const UNSHARE = ['unshare', '-p', '-f', '--mount-proc', '--kill-child'];
const canUnshare = spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'true']).status === 0;
if (!canUnshare) console.log('left out: namespaces of process numbers need the privilege to unshare, which this user lacks');

let place = '';
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'zfnet-lock-'));
});
afterAll(() => rm(place, { recursive: true, force: true }));

const fresh = async (name: string) => {
  const folder = join(place, name);
  await mkdir(folder);
  return folder;
};

/** Writes the lock of a dead process, last written `secondsAgo` seconds ago. */
async function leave(folder: string, holder: object, secondsAgo: number): Promise<string> {
  const path = join(folder, 'lock.json');
  await writeFile(
    path,
    `${JSON.stringify({ pid: 7, host: hostname(), since: '2020-01-01T00:00:00Z', born: '1', token: 'x', ...holder })}\n`,
  );
  const then = Date.now() / 1000 - secondsAgo;
  await utimes(path, then, then);
  return path;
}
const ELSEWHERE = { boot: 'another-start', pidNamespace: 'pid:[1]' };

class Racer {
  private readonly lines: AsyncIterator<string>;
  constructor(readonly child: ChildProcess) {
    this.lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }
  static start(apart: boolean): Racer {
    const words = [...(apart ? UNSHARE : []), process.execPath, '--import', 'tsx', RACER];
    return new Racer(spawn(words[0], words.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] }));
  }
  async next(): Promise<string> {
    return (await this.lines.next()).value as string;
  }
  tell(order: { folder: string; at: number; holdMs: number }): void {
    this.child.stdin!.write(`${JSON.stringify(order)}\n`);
  }
}

describe('the lock of a run', () => {
  it('is given to one process in each of 12 races for a stale lock, across namespaces where the system allows them', async () => {
    const racers = [false, false, canUnshare, canUnshare].map(Racer.start);
    try {
      for (const racer of racers) expect(await racer.next()).toBe('ready');
      for (let race = 0; race < 12; race++) {
        const folder = await fresh(`race-${race}`);
        // The last ones start without a lock, or with the incomplete lock of a process that died while writing it.
        if (race < 8) await leave(folder, ELSEWHERE, STALE_SECONDS + 60);
        else if (race < 10) await leave(folder, { pid: 'half' }, 60);
        const at = Date.now() + 100;
        for (const racer of racers) racer.tell({ folder, at, holdMs: 1500 });
        const answers = await Promise.all(racers.map((racer) => racer.next()));
        expect(answers.filter((answer) => answer === 'got')).toHaveLength(1);
        expect(answers.filter((answer) => answer.startsWith('locked'))).toHaveLength(3);
        // The holder keeps the lock for 1.5 s; releasing it takes longer on a busy machine.
        for (let i = 0; i < 100 && (await readdir(folder)).length > 0; i++) await wait(100);
        expect(await readdir(folder)).toEqual([]);
      }
    } finally {
      for (const { child } of racers) child.kill('SIGKILL');
    }
  }, 120_000);

  it.skipIf(!canUnshare)('is respected by a container of the same host name, and taken over a minute after its last update', async () => {
    const folder = await fresh('container');
    const racer = Racer.start(true);
    expect(await racer.next()).toBe('ready');
    racer.tell({ folder, at: Date.now(), holdMs: 60_000 });
    expect(await racer.next()).toBe('got');
    const holder = JSON.parse(await readFile(join(folder, 'lock.json'), 'utf8'));
    expect(holder.host).toBe(hostname());
    const { mtimeMs } = await stat(join(folder, 'lock.json'));
    await expect(lockRun(folder)).rejects.toThrow(/another container or on another machine; its last heartbeat was \d+ s ago/);
    await wait(HEARTBEAT_SECONDS * 1000 + 3000);
    expect((await stat(join(folder, 'lock.json'))).mtimeMs).toBeGreaterThan(mtimeMs);
    expect(JSON.parse(await readFile(join(folder, 'lock.json'), 'utf8'))).toEqual(holder);
    racer.child.kill('SIGKILL');
    await wait(500);
    await expect(lockRun(folder)).rejects.toThrow(RunLockedError);
    await leave(folder, holder, STALE_SECONDS + 1);
    await (await lockRun(folder)).release();
  });

  it('names a machine that has not updated it lately, and is taken over afterwards', async () => {
    const folder = await fresh('machine');
    await leave(folder, { ...ELSEWHERE, host: 'far' }, STALE_SECONDS - 30);
    await expect(lockRun(folder)).rejects.toThrow(
      /process 7 on far.*its last heartbeat was (29|3\d) s ago.*after 60 s.*remove .*lock\.json/,
    );
    await leave(folder, { ...ELSEWHERE, host: 'far' }, STALE_SECONDS + 1);
    await (await lockRun(folder)).release();
  });

  it('is taken over from a process that died while taking it over', async () => {
    const folder = await fresh('claimed');
    await leave(folder, ELSEWHERE, 100);
    const first = await lockRun(folder);
    await first.release();
    const path = await leave(folder, ELSEWHERE, 100);
    const { createHash } = await import('node:crypto');
    const claim = `${path}.${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)}.part`;
    await writeFile(claim, `${JSON.stringify({ pid: 9, host: hostname(), since: '', born: '1', token: 'y', ...ELSEWHERE })}\n`);
    await expect(lockRun(folder)).rejects.toThrow(RunLockedError);
    const then = Date.now() / 1000 - 100;
    await utimes(claim, then, then);
    await (await lockRun(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is checked by its holder, which stops writing after losing it and leaves the new lock alone', async () => {
    const folder = await fresh('robbed');
    const lock = await lockRun(folder);
    const store = new FolderStore(folder, '', lock.check);
    await store.append('metrics.jsonl', '1');
    await rm(join(folder, 'lock.json'));
    await expect(store.append('metrics.jsonl', '2')).rejects.toThrow(/no longer holds the lock.*it was removed/);
    const path = await leave(folder, { ...ELSEWHERE, host: 'far' }, 0);
    await expect(store.append('metrics.jsonl', '2')).rejects.toThrow(/no longer holds the lock.*process 7 on far/);
    await expect(store.write('last.safetensors', new Uint8Array(1))).rejects.toThrow(RunLockedError);
    await lock.release();
    expect(existsSync(path)).toBe(true);
    expect(await readFile(join(folder, 'metrics.jsonl'), 'utf8')).toBe('1\n');
    expect(existsSync(join(folder, 'last.safetensors'))).toBe(false);
  });

  it('does not follow a link in its place', async () => {
    const folder = await fresh('linked');
    await writeFile(join(place, 'target'), 'mine');
    await symlink(join(place, 'target'), join(folder, 'lock.json'));
    await expect(lockRun(folder)).rejects.toThrow(/lock\.json is not a regular file; remove it/);
    expect(await readFile(join(place, 'target'), 'utf8')).toBe('mine');
  });
});
