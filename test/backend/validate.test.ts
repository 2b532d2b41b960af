import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError, ZfnetError } from '../../src/backend/errors.js';
import {
  arrayOf,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  integer,
  nearestName,
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

  it('throws the class that is asked for', () => {
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
