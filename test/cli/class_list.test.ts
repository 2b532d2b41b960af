/** Class lists in the forms that other tools write, and options for the preparation of pixels. */
import { describe, expect, it } from 'vitest';
import { readClassList, tellApart } from '../../cli/src/files/class_list.js';
import { channelNumbers, convention, pixelsOf } from '../../cli/src/importing/conventions.js';
import { matchClasses } from '../../cli/src/run/classes.js';
import type { Dataset, Split } from '../../src/data/index.js';

const read = (text: string | Uint8Array, file = 'names.txt') =>
  readClassList(typeof text === 'string' ? new TextEncoder().encode(text) : text, file);

describe('a class list', () => {
  it.each([
    ['a byte order mark', '\ufeffant\nbee\n', ['ant', 'bee']],
    ['line ends of Windows and blanks', 'ant \r\n bee\t\r\n\r\n', ['ant', 'bee']],
    ['line ends of old Macs', 'ant\rbee\r', ['ant', 'bee']],
    ['a JSON list', '["ant", "bee"]', ['ant', 'bee']],
    ['a map by index', '{"1": "bee", "0": "ant"}', ['ant', 'bee']],
    ['a map of Keras', '{"0": ["n01", "ant"], "1": ["n02", "bee"]}', ['ant', 'bee']],
    ['a map by name', '{"bee": 1, "ant": 0}', ['ant', 'bee']],
    ['a configuration of Hugging Face', '{"model": 3, "id2label": {"0": "ant", "1": "bee"}}', ['ant', 'bee']],
  ])('is read with %s', (_, text, names) => {
    expect(read(text)).toEqual(names);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['an empty line between names', 'ant\n\ncat\n', /names\.txt line 2: it is empty/],
    ['Latin-1', Uint8Array.of(0x61, 0x0a, 0x62, 0xe9, 0x0a), /line 2: it is not UTF-8, probably Latin-1/],
    ['UTF-16', Uint8Array.of(0xff, 0xfe, 0x61, 0x00), /line 1: it is UTF-16, expected UTF-8/],
    ['UTF-16 without a mark', Uint8Array.of(0x61, 0x00, 0x0a, 0x00), /line 1: .*UTF-16/],
    ['no name', '\n', /names no class/],
    ['an index left out', '{"0": "ant", "2": "bee"}', /"2" is not a unique index from 0 to 1/],
    ['a name that is a number', '["ant", 3]', /entry 1 is 3/],
  ])('is refused with %s', (_, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('distinguishes equal names, and does not match a folder of that name', () => {
    const classes = read('crane\nbee\ncrane\n');
    expect(classes).toEqual(['crane (class 0)', 'bee', 'crane (class 2)']);
    expect(tellApart(['a', 'b'])).toEqual(['a', 'b']);
    const split: Split = { length: 2, labels: Int32Array.of(0, 1), get: async () => Promise.reject(new Error('not read')) };
    const dataset = (names: string[]) => ({ name: 'folder', classes: names, splits: { val: split } }) as unknown as Dataset;
    expect(() => matchClasses(split, dataset(['crane', 'bee']), { classes })).toThrow(
      /crane could be any of 2 classes of the run: crane \(class 0\), crane \(class 2\)/,
    );
    expect([...matchClasses(split, dataset(['bee', 'crane (class 2)']), { classes }).labels]).toEqual([1, 2]);
    expect([...matchClasses(split, dataset(['crane', 'bee', 'crane']), { classes }).labels]).toEqual([0, 1]);
  });
});

describe('the preparation of pixels', () => {
  it('is given by a name, a range, or numbers', () => {
    expect(convention('-1..1')).toBe('tensorflow');
    expect(pixelsOf({ preprocess: 'tensorflow' }, 1, false)).toEqual({ channelOrder: 'rgb', mean: [127.5], deviation: [127.5] });
    expect(pixelsOf({ mean: [0.5, 0.5, 0], std: [0.5] }, 3, false)).toMatchObject({
      mean: [127.5, 127.5, 0],
      deviation: [127.5, 127.5, 127.5],
    });
    expect(pixelsOf({ mean: [104, 117, 123] }, 3, false)).toMatchObject({ mean: [104, 117, 123], deviation: [1, 1, 1] });
    expect(pixelsOf({}, 3, true)).toMatchObject({ mean: [0, 0, 0], deviation: [1, 1, 1] });
  });

  it('is refused if its numbers do not fit the channels', () => {
    expect(() => convention('-1..2')).toThrow(/Expected one of torchvision/);
    expect(() => channelNumbers({ above: 0 })('1,0,1')).toThrow(/each above 0/);
    expect(() => channelNumbers()('1,2')).toThrow(/one number, or three/);
    expect(() => pixelsOf({ mean: [1, 2, 3] }, 1, false)).toThrow(/--mean has 3 numbers, the network takes images of 1 channel/);
    expect(() => pixelsOf({ std: [2] }, 3, true)).toThrow(/leave out --preprocess/);
  });
});
