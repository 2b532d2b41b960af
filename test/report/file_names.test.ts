/**
 * Names of layers and classes as names of files, tested as strings: they must be distinct and stay in their folder on every file system.
 */
import { describe, expect, it } from 'vitest';
import { pictureFile, safeFileName } from '../../src/report/index.js';

const HOSTILE = [
  '',
  '.',
  '..',
  '../../pwned',
  'x/../../../../pwned',
  '/etc/passwd',
  'C:\\Windows\\x',
  'a\0b',
  'a\nb',
  '\u001b[31mred',
  '\u202egnp.exe',
  'CON',
  'con',
  'nul.txt',
  'NUL',
  'com1',
  'lpt9.png',
  'aux ',
  'trailing.',
  'trailing ',
  'trailing',
  ' leading',
  '.hidden',
  '-rf',
  'conv1',
  'Conv1',
  'CONV1',
  'café',
  'cafe\u0301',
  '卷积1',
  '卷积2',
  'a:b',
  'a*b?',
  'a"b',
  'a|b',
  'a_b',
  'a/b',
  'a\\b',
  '\ud800',
  '\udc00',
  '__proto__',
  'constructor',
  'x'.repeat(300),
  `${'x'.repeat(300)}y`,
  '界'.repeat(300),
  'x'.repeat(80),
  'x'.repeat(81),
  '😀'.repeat(100),
];

describe('safeFileName', () => {
  it('leaves plain lower-case names unchanged', () => {
    for (const name of ['conv1', 'fc7', 'pool5', 'layer1.0.conv2', 'a', '0', 'features_3-relu']) expect(safeFileName(name)).toBe(name);
  });

  it('gives letters, digits, dots, hyphens and underscores, no reserved name, and at most 80 bytes', () => {
    for (const name of HOSTILE) {
      const file = safeFileName(name);
      expect(file).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*[a-z0-9]$/);
      expect(file).not.toContain('..');
      expect(file).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
      expect(Buffer.byteLength(file)).toBeLessThanOrEqual(80);
      expect(safeFileName(name)).toBe(file);
    }
  });

  it('keeps distinct names distinct on file systems that ignore case and Unicode forms', () => {
    const files = new Set(HOSTILE.map((name) => safeFileName(name).normalize('NFC').toLowerCase()));
    expect(files.size).toBe(HOSTILE.length);
  });

  it('gives no plain name the file name of a name that needed a hash', () => {
    const file = safeFileName('Conv1');
    expect(safeFileName(file)).not.toBe(file);
    expect(safeFileName(file.toLowerCase())).not.toBe(file.toLowerCase());
  });

  it('keeps 100,000 similar names distinct', () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `/features/Conv_${i}`);
    expect(new Set(names.map(safeFileName)).size).toBe(names.length);
  });
});

describe('pictureFile', () => {
  it('puts the experiment in front', () => {
    expect(pictureFile('top9', '')).toBe('top9.png');
    expect(pictureFile('top9', 'conv5')).toBe('top9-conv5.png');
    expect(pictureFile('top9', 'x/../../y')).toMatch(/^top9-x_y-[0-9a-z]{13}\.png$|^top9-x_.*y-[0-9a-z]{13}\.png$/);
  });
});
