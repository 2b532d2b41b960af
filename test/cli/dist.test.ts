/** Uncaught errors of the built package: a readable stack, and few lines of the source. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const DIST = join(ROOT, 'dist');

describe('dist', () => {
  it.each([
    ["const z = await import('zfnet'); await z.init({ backend: 'reference' }); z.tensor([1, 2, 3], [2, 2])", 'ShapeError'],
    ["const z = await import('zfnet'); await z.init({ threads: 1 }); z.add(z.ones([2]), z.ones([3]))", 'ShapeError'],
    ["const z = await import('zfnet'); await z.init({ threads: 0 })", 'ValueError'],
    ["const z = await import('zfnet/safetensors'); z.readSafetensors(new Uint8Array(3))", 'FormatError'],
    ["const z = await import('zfnet/onnx'); await z.loadOnnx(new Uint8Array(3))", 'BackendError'],
    ["const z = await import('zfnet/data'); await z.openDataset('missing-folder')", 'DataError'],
    ["const z = await import('zfnet/report'); z.decodePng(new Uint8Array(3))", 'Error'],
  ])('prints less than 4 KB for an uncaught error: %s', (program, name) => {
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain(name);
    expect(stderr).toMatch(/at .*dist\/.*\.js:\d+:\d+/);
    expect(stderr.length).toBeLessThan(4096);
  });

  it('has no long lines outside the embedded kernels, the tables of character names in the report, and the minified script', () => {
    for (const file of readdirSync(DIST).filter((name) => /\.c?js$/.test(name))) {
      const lines = readFileSync(join(DIST, file), 'utf8').split('\n');
      const hasTables = /^(simd|relaxed|scalar|report|zfnet\.iife)/.test(file);
      const longest = Math.max(...lines.map(({ length }) => length));
      if (!hasTables) expect([file, longest <= 2000]).toEqual([file, true]);
    }
  });
});
