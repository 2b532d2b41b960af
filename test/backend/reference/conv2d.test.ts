/** The reference backend against values worked out by hand and central differences: conv2d. */
import { describe, expect, it } from 'vitest';
import { type ConvOptions, convParams } from '../../../src/backend/params.js';
import { backend, expectGrad, get, noise, numericGrad, output, plain, product, put } from './support.js';

describe('conv2d', () => {
  it('a 2×3 kernel over 4×5 with asymmetric padding and a stride that leaves a remainder', () => {
    // Padded by 1 above and 2 on the left: 5×7 places, windows at rows 0, 2 and columns 0, 2, 4 (row 4 is left over).
    //   . . . . . . .
    //   . . 1 2 3 4 5
    //   . . 6 7 8 9 10
    //   . . 11 12 13 14 15
    //   . . 16 17 18 19 20
    const p = convParams('conv2d', [1, 1, 4, 5], [1, 1, 2, 3], { stride: 2, padding: [1, 2, 0, 0] });
    expect([p.oh, p.ow]).toEqual([2, 3]);
    const x = put(Array.from({ length: 20 }, (_, i) => i + 1));
    const w = put([1, 2, 3, -1, 10, 100]);
    const y = [
      100 * 1, // [0 0 0; 0 0 1]
      -1 + 20 + 300, // [0 0 0; 1 2 3]
      -3 + 40 + 500, // [0 0 0; 3 4 5]
      3 * 6 + 100 * 11, // [0 0 6; 0 0 11]
      6 + 14 + 24 - 11 + 120 + 1300, // [6 7 8; 11 12 13]
      8 + 18 + 30 - 13 + 140 + 1500, // [8 9 10; 13 14 15]
    ];
    expect(output(6, (out) => backend.conv2d(out, x, w, null, plain(p)))).toEqual(y);
    const bias = put([-330]);
    const biased = y.map((value) => value - 330);
    expect(output(6, (out) => backend.conv2d(out, x, w, bias, plain(p)))).toEqual(biased);
    expect(output(6, (out) => backend.conv2d(out, x, w, bias, { ...plain(p), relu: true }))).toEqual(
      biased.map((value) => Math.max(value, 0)),
    );
  });

  it('sums over channels, for each image and output channel', () => {
    const p = convParams('conv2d', [2, 2, 1, 2], [2, 2, 1, 1]);
    const x = put([1, 2, 3, 4, 5, 6, 7, 8]);
    const w = put([1, 10, 2, -1]);
    expect(output(8, (y) => backend.conv2d(y, x, w, put([0, 100]), plain(p)))).toEqual([31, 42, 99, 100, 75, 86, 103, 104]);
  });

  it('dilation spreads the taps, groups separate the channels', () => {
    const dilated = convParams('conv2d', [1, 1, 1, 5], [1, 1, 1, 2], { dilation: [1, 3] });
    expect(output(2, (y) => backend.conv2d(y, put([1, 2, 3, 4, 5]), put([1, 10]), null, plain(dilated)))).toEqual([41, 52]);

    const grouped = convParams('conv2d', [1, 4, 1, 1], [2, 2, 1, 1], { groups: 2 });
    expect(output(2, (y) => backend.conv2d(y, put([1, 2, 3, 4]), put([1, 10, 100, 1000]), null, plain(grouped)))).toEqual([21, 4300]);
  });

  it('a dilated kernel in padding on all sides', () => {
    // Taps at oy − 2 and oy: only one of them ever meets the single pixel.
    const p = convParams('conv2d', [1, 1, 1, 1], [1, 1, 2, 2], { dilation: 2, padding: 2 });
    expect([p.oh, p.ow]).toEqual([3, 3]);
    const y = output(9, (out) => backend.conv2d(out, put([2]), put([1, 2, 3, 4]), null, plain(p)));
    expect(y).toEqual([8, 0, 6, 0, 0, 0, 4, 0, 2]);
  });

  const cases: { name: string; x: number[]; w: number[]; options: ConvOptions }[] = [
    { name: 'plain', x: [2, 3, 5, 4], w: [4, 3, 3, 2], options: {} },
    { name: 'stride remainder, asymmetric padding', x: [2, 2, 6, 7], w: [3, 2, 3, 2], options: { stride: [2, 3], padding: [1, 0, 2, 1] } },
    { name: 'dilation', x: [1, 2, 6, 7], w: [3, 2, 2, 3], options: { dilation: [3, 2], padding: [2, 3] } },
    { name: 'groups', x: [2, 4, 5, 5], w: [6, 2, 3, 3], options: { groups: 2, stride: 2, padding: 1 } },
    { name: 'depthwise', x: [2, 3, 4, 5], w: [3, 1, 3, 3], options: { groups: 3, padding: 1 } },
    { name: 'stride beyond the kernel', x: [1, 2, 7, 8], w: [2, 2, 1, 2], options: { stride: 3 } },
  ];
  it.each(cases)('gradients equal the numeric ones: $name', ({ x: xShape, w: wShape, options }) => {
    const p = convParams('conv2d', xShape, wShape, options);
    const x = noise(product(xShape), 1);
    const w = noise(product(wShape), 2);
    const b = noise(p.o, 3);
    const dy = noise(p.n * p.o * p.oh * p.ow, 4);
    expectGrad(
      output(x.length, (dx) => backend.conv2dInputGrad(dx, put(dy), put(w), p)),
      numericGrad(x, dy, (input, y) => backend.conv2d(y, input, put(w), put(b), plain(p))),
    );
    expectGrad(
      output(w.length, (dw) => backend.conv2dWeightGrad(dw, put(x), put(dy), p)),
      numericGrad(w, dy, (weight, y) => backend.conv2d(y, put(x), weight, put(b), plain(p))),
    );
    expectGrad(
      output(p.o, (db) => backend.channelSum(db, put(dy), p.n, p.o, p.oh * p.ow)),
      numericGrad(b, dy, (bias, y) => backend.conv2d(y, put(x), put(w), bias, plain(p))),
    );
  });

  it('the gradient check catches a kernel that is not flipped', () => {
    const p = convParams('conv2d', [1, 1, 4, 4], [1, 1, 2, 2]);
    const x = noise(16);
    const w = noise(4, 2);
    const dy = noise(9, 3);
    const wrong = output(16, (dx) => backend.conv2dInputGrad(dx, put(dy), put(w.toReversed()), p));
    const numeric = numericGrad(x, dy, (input, y) => backend.conv2d(y, input, put(w), null, plain(p)));
    expect(() => expectGrad(wrong, numeric)).toThrow();
  });

  it('channelSum and channelAdd', () => {
    const x = [1, 2, 3, 4, 5, 6, 7, 8]; // [2, 2, 2]
    expect(output(2, (db) => backend.channelSum(db, put(x), 2, 2, 2))).toEqual([14, 22]);
    const y = put(x);
    backend.channelAdd(y, put([10, 20]), 2, 2, 2);
    expect(get(y)).toEqual([11, 12, 23, 24, 15, 16, 27, 28]);
  });
});
