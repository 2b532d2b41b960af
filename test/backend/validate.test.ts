import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError, ZfnetError } from '../../src/backend/errors.js';
import {
  arrayOf,
  boolean,
  checkArgument,
  checkFields,
  checkOptions,
  explained,
  finite,
  integer,
  nearestName,
  objectWith,
  oneOf,
  orNull,
  show,
  visible,
} from '../../src/backend/validate.js';

const RULES = {
  stride: integer(1),
  momentum: finite(0, 1),
  mode: oneOf('strict', 'fast'),
  bias: boolean,
  sizes: arrayOf(integer(1), 1),
  name: orNull(integer()),
};
const check = (options: unknown) => () => checkOptions('op', options, RULES);

describe('checkOptions', () => {
  it('takes no options, known options, and options that are undefined', () => {
    expect(check(undefined)).not.toThrow();
    expect(check({ stride: 2, momentum: 0.9, mode: 'fast', bias: false, sizes: [1, 2], name: null })).not.toThrow();
    expect(check({ stride: undefined, strides: undefined })).not.toThrow();
    expect(check(Object.create(null))).not.toThrow();
  });

  it.each([
    [null, /options are null, expected an object such as \{ stride \}/],
    [[1], /options are \[1\]/],
    ['text', /options are 'text'/],
    [new Map(), /options are a Map/],
    [{ strides: 1 }, /unknown option 'strides', expected one of stride, .*; did you mean 'stride'\?/],
    [{ __proto__: null, toString: 1 }, /unknown option 'toString'/],
    [{ stride: null }, /stride is null, expected a whole number of at least 1/],
    [{ stride: 0.5 }, /stride is 0.5/],
    [{ stride: '1' }, /stride is '1'/],
    [{ momentum: Number.NaN }, /momentum is NaN, expected a number from 0 to 1/],
    [{ mode: 'quick' }, /mode is 'quick', expected 'strict' or 'fast'/],
    [{ sizes: [] }, /sizes is \[\], expected an array of at least 1 elements/],
    [{ sizes: [1, {}] }, /sizes is \[1, an object\]/],
  ])('refuses %o', (options, message) => {
    expect(check(options)).toThrow(ValueError);
    expect(check(options)).toThrow(message);
    expect(check(options)).toThrow(ZfnetError);
  });

  it('throws the requested error class', () => {
    expect(() => checkArgument('op', 'size', -1, integer(), ShapeError)).toThrow(ShapeError);
  });
});

describe('names and values in messages', () => {
  it('finds the nearest name across cases and separators', () => {
    expect(nearestName('weight_decay', ['lr', 'weightDecay'])).toBe('weightDecay');
    expect(nearestName('classses', ['classes', 'channels'])).toBe('classes');
    expect(nearestName('nothing like it', ['lr'])).toBeNull();
  });

  it('shows any value on one short line without control characters', () => {
    expect(show('a\u001b[31m\n\u202e')).toBe("'a\\u001b[31m\\n\\u202e'");
    expect(show('x'.repeat(1000)).length).toBeLessThan(70);
    expect(show(new Float32Array(1000)).length).toBeLessThan(60);
    expect(show(Object.create(null))).toBe('an object');
    expect(
      show(
        new Proxy(
          {},
          {
            getPrototypeOf: () => {
              throw new Error('no');
            },
          },
        ),
      ),
    ).toBe('an object');
    expect(visible('Käse 狗 🐶')).toBe('Käse 狗 🐶');
    expect(visible('\ud800')).toBe('\\ud800');
  });
});

describe('checkFields', () => {
  const check = (value: unknown) => () => checkFields('op', value, RULES, ['stride', 'mode']);

  it('requires the mandatory fields', () => {
    expect(check({ stride: 1, mode: 'fast' })).not.toThrow();
    expect(check({ stride: 1 })).toThrow("op: mode is missing, expected 'strict' or 'fast'");
    expect(check({ stride: 1, mode: undefined })).toThrow('op: mode is missing');
    expect(check({ stride: 1, mode: 'fast', modes: 1 })).toThrow("did you mean 'mode'?");
    for (const value of [undefined, null, 3, []]) expect(check(value)).toThrow(/^op: got .*, expected an object \{ stride, mode \}/);
  });
});

describe('structures', () => {
  it('recognises objects by their fields', () => {
    const split = objectWith('a split', { length: integer() });
    for (const value of [null, undefined, 3, {}, { length: -1 }]) expect(split.test(value)).toBe(false);
    expect(split.test({ length: 3 })).toBe(true);
    expect(split.test([1])).toBe(true);
  });

  it('says that a promise must be awaited', () => {
    expect(() => checkArgument('op', 'split', Promise.resolve(1), integer())).toThrow(
      'op: split is a Promise, expected a whole number of at least 0; await it first',
    );
    expect(check(Promise.resolve({}))).toThrow(/await it first/);
  });
});

describe('explained', () => {
  it('turns JavaScript errors into typed ones, thrown or rejected', async () => {
    const fail = (): number => {
      throw new TypeError('x is undefined');
    };
    expect(() => explained('op', 'what op() gave', fail)).toThrow(ValueError);
    expect(() => explained('op', 'what op() gave', fail)).toThrow(
      /op: the input is incomplete .*\(x is undefined\); pass what op\(\) gave/,
    );
    await expect(explained('op', 'rows', async () => fail())).rejects.toThrow(ValueError);
    expect(await explained('op', 'rows', async () => 3)).toBe(3);
    expect(() =>
      explained('op', 'rows', () => {
        throw new ShapeError('as it is');
      }),
    ).toThrow(new ShapeError('as it is'));
  });
});
