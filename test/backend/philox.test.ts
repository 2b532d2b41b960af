/** Philox against the known answers published with Random123 (kat_vectors), and how seed and counter fill its words. */
import { describe, expect, it } from 'vitest';
import { philox, philox4x32 } from '../../src/backend/philox.js';

const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32-10', () => {
  const ones = 0xffffffff;
  it.each([
    { counter: [0, 0, 0, 0], key: [0, 0], words: '6627e8d5 e169c58d bc57ac4c 9b00dbd8' },
    { counter: [ones, ones, ones, ones], key: [ones, ones], words: '408f276d 41c83b0e a20bc7c6 6d5451fd' },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      words: 'd16cfe09 94fdcceb 5001e420 24126ea1',
    },
  ])('gives the published words $words', ({ counter: [c0, c1, c2, c3], key: [k0, k1], words }) => {
    const out = new Uint32Array(4);
    philox4x32(c0, c1, c2, c3, k0, k1, out);
    expect(hex(out)).toBe(words);
  });

  it('fills key and counter with the halves of seed and counter', () => {
    const direct = new Uint32Array(4);
    const split = new Uint32Array(4);
    philox4x32(0x89abcdef, 0x1234, 0, 0, 0x76543210, 0x1fedc, direct);
    philox(0x1fedc * 2 ** 32 + 0x76543210, 0x1234 * 2 ** 32 + 0x89abcdef, split);
    expect(split).toEqual(direct);
  });

  it('accepts the largest safe integers', () => {
    const direct = new Uint32Array(4);
    const split = new Uint32Array(4);
    philox4x32(ones, 0x1fffff, 0, 0, ones, 0x1fffff, direct);
    philox(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, split);
    expect(split).toEqual(direct);
  });
});
