/** Rendering a scene from hand-made pictures: the position of the emoji, its colours, and the background. */
import { describe, expect, it } from 'vitest';
import { renderScene, type Scene } from '../../src/data/index.js';
import { pickLevel } from '../../src/data/scenes/pictures.js';
import { cosine, sine } from '../../src/data/trigonometry.js';
import { assetsOf, photograph, type Rgba, scene, sprite } from './drawn_assets.js';
import { failure, farthest, pixel } from './support.js';

const NOTHING: Rgba = [0, 0, 0, 0];
const RED: Rgba = [220, 30, 40, 255];
const BLUE: Rgba = [20, 50, 230, 255];

/** 24 texels high (16 to 40), 40 wide (8 to 48): red on the left, blue on the right. */
const flag = sprite((y, x) => (y < 16 || y >= 40 || x < 8 || x >= 48 ? NOTHING : x < 28 ? RED : BLUE));
const draw = (changed: Partial<Scene>, size = 200) => renderScene(assetsOf(flag), scene(changed), size, { mask: true });

/** Name of the colour at a pixel. */
function colourAt(drawn: ReturnType<typeof renderScene>, y: number, x: number): string {
  const [red, , blue] = pixel(drawn.image, y, x);
  return red > 150 && blue < 100 ? 'red' : blue > 150 && red < 100 ? 'blue' : 'wall';
}

describe('a sprite', () => {
  it('has a tight box around its opaque texels, and levels of half the side each', () => {
    expect(flag.box).toEqual([16, 8, 40, 48]);
    expect(flag.levels.map((level) => level.side)).toEqual([64, 32, 16, 8]);
    for (const { side, rgba } of flag.levels) {
      const alpha = rgba.reduce((sum, value, i) => sum + (i % 4 === 3 ? value : 0), 0);
      expect(alpha / side ** 2).toBeCloseTo((255 * 24 * 40) / 64 ** 2, 0);
    }
  });

  it('is stored multiplied by its alpha', () => {
    const soft = sprite((y, x) => (y < 20 || x < 20 ? NOTHING : [200, 100, 50, 51]));
    expect([...soft.levels[0].rgba.subarray((30 * 64 + 30) * 4, (30 * 64 + 30) * 4 + 4)]).toEqual([40, 20, 10, 51]);
  });

  it('is sampled at the level nearest in scale', () => {
    expect([0.2, 1, 1.4, 1.5, 2.8, 2.9, 5, 6, 100].map((texels) => pickLevel(texels, 4))).toEqual([0, 0, 0, 1, 1, 2, 2, 3, 3]);
  });
});

describe('the emoji is placed as the scene says', () => {
  it.each([
    ['in the middle', { scale: 0.5 }, [70, 50, 130, 150]],
    ['aside', { scale: 0.3, centre: [0.25, 0.7] }, [32, 110, 68, 170]],
    ['turned by 90 degrees', { scale: 0.5, rotation: 90 }, [50, 70, 150, 130]],
    ['cut at two edges', { scale: 0.5, centre: [0.1, 0.95] }, [0, 140, 50, 200]],
  ] as const)('%s', (_, changed, box) => {
    const { details, mask } = draw(changed as Partial<Scene>);
    expect(farthest(details.box, box)).toBeLessThanOrEqual(1);
    const [y0, x0, y1, x1] = details.box;
    // All pixels inside the box are opaque except a half-transparent rim; those outside are transparent.
    const wrong: number[] = [];
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 200; x++) {
        const alpha = mask![y * 200 + x];
        const inside = y >= y0 + 3 && y < y1 - 3 && x >= x0 + 3 && x < x1 - 3;
        const outside = y < y0 || y >= y1 || x < x0 || x >= x1;
        if ((inside && alpha !== 255) || (outside && alpha >= 128)) wrong.push(y, x);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('rotated by 30 degrees, it is as high and as wide as a rotated rectangle', () => {
    const { details } = draw({ scale: 0.5, rotation: 30 });
    const [y0, x0, y1, x1] = details.box;
    const [height, width] = [60, 100];
    expect(Math.abs(y1 - y0 - (height * Math.cos(Math.PI / 6) + width * 0.5))).toBeLessThanOrEqual(3);
    expect(Math.abs(x1 - x0 - (width * Math.cos(Math.PI / 6) + height * 0.5))).toBeLessThanOrEqual(3);
  });

  it('is rotated clockwise, and mirrored before it is rotated', () => {
    const upright = draw({});
    expect([colourAt(upright, 100, 70), colourAt(upright, 100, 130), colourAt(upright, 60, 100)]).toEqual(['red', 'blue', 'wall']);
    const mirrored = draw({ mirror: true });
    expect([colourAt(mirrored, 100, 70), colourAt(mirrored, 100, 130)]).toEqual(['blue', 'red']);
    const turned = draw({ rotation: 90 });
    expect([colourAt(turned, 70, 100), colourAt(turned, 130, 100)]).toEqual(['red', 'blue']);
    const both = draw({ rotation: 90, mirror: true });
    expect([colourAt(both, 70, 100), colourAt(both, 130, 100)]).toEqual(['blue', 'red']);
    // The left end of a wide emoji goes up when it turns clockwise by less than a right angle.
    const little = draw({ rotation: 25 });
    expect([colourAt(little, 100 - 17, 100 - 36), colourAt(little, 100 + 17, 100 + 36)]).toEqual(['red', 'blue']);
    expect([colourAt(little, 100 + 30, 100 - 36), colourAt(little, 100 - 30, 100 + 36)]).toEqual(['wall', 'wall']);
  });

  it('is the same picture at every size', () => {
    const changed = { rotation: 17, scale: 0.6, centre: [0.4, 0.55] as const };
    const [small, large] = [draw(changed, 50), draw(changed, 300)];
    expect(
      farthest(
        small.details.box,
        large.details.box.map((edge) => edge / 6),
      ),
    ).toBeLessThanOrEqual(1);
    let unlike = 0;
    for (let y = 0; y < 50; y++) {
      for (let x = 0; x < 50; x++) {
        if (farthest(pixel(small.image, y, x), pixel(large.image, 6 * y + 3, 6 * x + 3)) > 24) unlike++;
      }
    }
    // Pixels at an edge of the flag differ; its outline and its middle line are about 110 pixels long.
    expect(unlike).toBeLessThan(200);
  });
});

describe('the emoji is coloured as the scene says', () => {
  const tile = (colour: readonly [number, number, number], alpha = 255) =>
    assetsOf(sprite((y, x) => (Math.min(y, x) < 16 || Math.max(y, x) >= 48 ? NOTHING : [...colour, alpha])));
  const middle = (colour: readonly [number, number, number], changed: Partial<Scene>, alpha?: number) =>
    pixel(renderScene(tile(colour, alpha), scene(changed), 64).image, 32, 32);
  const luma = ([red, green, blue]: readonly number[]) => 0.213 * red + 0.715 * green + 0.072 * blue;
  const colour = [140, 110, 90] as const;

  it('unchanged by default', () => {
    expect(middle(colour, {})).toEqual([140, 110, 90]);
  });

  it('hues are rotated at constant brightness', () => {
    for (const hue of [-150, -60, 45, 120, 180]) expect(Math.abs(luma(middle(colour, { hue })) - luma(colour))).toBeLessThan(1.5);
    const [red, green, blue] = middle([200, 100, 100], { hue: 120 });
    expect(green).toBeGreaterThan(Math.max(red, blue) + 20);
    const turned = middle([200, 100, 100], { hue: -120 });
    expect(turned[2]).toBeGreaterThan(Math.max(turned[0], turned[1]) + 20);
    expect(middle(colour, { hue: 180 })).toEqual(middle(colour, { hue: -180 }));
  });

  it('saturation 0 gives grey of the same brightness, 2 doubles the distance from that grey', () => {
    const grey = luma(colour);
    expect(farthest(middle(colour, { saturation: 0 }), [grey, grey, grey])).toBeLessThan(1);
    expect(
      farthest(
        middle(colour, { saturation: 2 }),
        colour.map((value) => 2 * value - grey),
      ),
    ).toBeLessThan(1);
  });

  it('brightness is a factor, clipped at white', () => {
    expect(farthest(middle(colour, { brightness: 0.5 }), [70, 55, 45])).toBeLessThan(1);
    expect(middle([200, 180, 90], { brightness: 1.5 })).toEqual([255, 255, 135]);
  });

  it('is blended with the photograph by its alpha', () => {
    // 60 % of the colour, 40 % of a wall of 100.
    expect(farthest(middle([200, 50, 100], {}, 153), [160, 70, 100])).toBeLessThanOrEqual(1);
  });

  it('has an empty box if it is less than half opaque', () => {
    const box = renderScene(tile([200, 50, 100], 100), scene(), 64).details.box;
    expect(box).toEqual([0, 0, 0, 0]);
  });
});

describe('the photograph behind', () => {
  const blank = sprite(() => NOTHING);
  const ramp = photograph(200, 100, (_, x) => x);
  const at = (backdrop: Partial<Scene['backdrop']>, y: number, x: number, wall = ramp) =>
    pixel(renderScene(assetsOf(blank, wall), scene({}, backdrop), 100).image, y, x);

  it('is a square crop of the given size and position, inside a margin of 3 %', () => {
    // The usable height is 94 of 100; at x the ramp is worth x.
    expect(farthest(at({ place: [0, 0] }, 50, 0), [6, 6, 6])).toBeLessThanOrEqual(1);
    expect(farthest(at({ place: [0, 0] }, 50, 99), [99, 99, 99])).toBeLessThanOrEqual(1);
    expect(farthest(at({ place: [0, 1] }, 50, 99), [193, 193, 193])).toBeLessThanOrEqual(1);
    expect(farthest(at({ side: 0.5, place: [0, 0.5] }, 50, 0), [77, 77, 77])).toBeLessThanOrEqual(1);
    expect(farthest(at({ side: 0.5, place: [0, 0.5] }, 50, 99), [123, 123, 123])).toBeLessThanOrEqual(1);
    const down = photograph(100, 200, (y) => y);
    expect(farthest(at({ place: [1, 0] }, 0, 50, down), [100, 100, 100])).toBeLessThanOrEqual(1);
  });

  it('is mirrored and changed in brightness and contrast', () => {
    for (const x of [3, 50, 96]) expect(at({ mirror: true }, 10, x)).toEqual(at({}, 10, 99 - x));
    const wall = photograph(64, 64, () => 100);
    expect(farthest(at({ brightness: 0.2 }, 5, 5, wall), [151, 151, 151])).toBeLessThanOrEqual(1);
    expect(farthest(at({ contrast: 0.5 }, 5, 5, wall), [114, 114, 114])).toBeLessThanOrEqual(1);
    expect(at({ brightness: -0.9 }, 5, 5, wall)).toEqual([0, 0, 0]);
  });

  it('is coloured by two tones that blend along the given direction', () => {
    const wall = photograph(64, 64, () => 128);
    const tones = [
      { shadows: 0, lights: 0, saturation: 1 },
      { shadows: 120, lights: 120, saturation: 1 },
    ] as const;
    const red = [255, 1, 1];
    const green = [1, 255, 1];
    expect(farthest(at({ tones, direction: 0 }, 90, 0, wall), red)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 0 }, 10, 99, wall), green)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 90 }, 0, 90, wall), red)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 90 }, 99, 10, wall), green)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 225 }, 99, 99, wall), red)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 225 }, 0, 0, wall), green)).toBeLessThan(4);
    expect(farthest(at({ tones, direction: 225 }, 99, 0, wall), [128, 128, 1])).toBeLessThan(4);
  });

  it('has one hue in the shadows and another in the lights', () => {
    const tone = { shadows: 240, lights: 120, saturation: 1 };
    const colours = [20, 235].map((shade) =>
      at(
        { tones: [tone, tone] },
        50,
        50,
        photograph(64, 64, () => shade),
      ),
    );
    expect(colours[0].indexOf(Math.max(...colours[0]))).toBe(2);
    expect(colours[1].indexOf(Math.max(...colours[1]))).toBe(1);
  });
});

describe('a scene that cannot be rendered', () => {
  it('is refused with the name of the missing part', async () => {
    const assets = assetsOf(flag);
    const fault = async (changed: Partial<Scene>, size = 64) =>
      (await failure((async () => renderScene(assets, scene(changed), size))())).message;
    expect(await fault({ class: 'dragon' })).toBe('scenes: there is no dragon in the style plain');
    expect(await fault({ style: 'oil' })).toBe('scenes: there is no shape in the style oil');
    expect(await fault({ photograph: 'moon' })).toBe('scenes: there is no photograph moon; expected one of wall');
    for (const size of [15, 64.5])
      expect(await fault({}, size)).toContain(`the side is ${size} pixels; expected a whole number, 16 or more`);
  });
});

describe('the sine of an angle in degrees', () => {
  it('equals Math.sin within 6e-8 for any angle', () => {
    let most = 0;
    for (let degrees = -725; degrees <= 725; degrees += 0.37) {
      const angle = (degrees * Math.PI) / 180;
      most = Math.max(most, Math.abs(sine(degrees) - Math.sin(angle)), Math.abs(cosine(degrees) - Math.cos(angle)));
    }
    expect(most).toBeLessThan(6e-8);
  });
});
