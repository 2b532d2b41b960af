/** The animal faces of `scenes`: their parts are at the positions of the table, in every style and at every size. */
import { beforeAll, describe, expect, it } from 'vitest';
import { FACE_PARTS, loadSceneAssets, SCENE_STYLES, type SceneAssets, sceneFaces } from '../../src/data/index.js';

let assets: SceneAssets;
beforeAll(async () => {
  assets = await loadSceneAssets();
}, 30_000);

const SIDE = 96;

/** How far the places of a box are apart in the channel in which they differ most. */
function contrast({ data, width }: { data: Uint8Array; width: number }, [y0, x0, y1, x1]: readonly number[]): number {
  const ranges = [0, 1, 2].map((channel) => {
    let [low, high] = [255, 0];
    for (let y = y0; y < y1; y++)
      for (let x = x0; x < x1; x++) {
        const value = data[(y * width + x) * 3 + channel];
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    return high - low;
  });
  return Math.max(...ranges);
}

describe('sceneFaces', () => {
  it('groups the five animals by style and photograph', () => {
    const groups = sceneFaces(assets, SIDE);
    expect(groups).toHaveLength(SCENE_STYLES.length * 3);
    for (const group of groups) {
      expect(group.map((face) => face.class)).toEqual(['dog-face', 'cat-face', 'panda', 'frog', 'tiger-face']);
      expect(new Set(group.map(({ style, photograph }) => `${style} ${photograph}`)).size).toBe(1);
    }
  });

  it.each(SCENE_STYLES)('knows where eyes and noses are in %s', (style) => {
    for (const { image, parts, box, class: name } of sceneFaces(assets, SIDE, { styles: [style], photographs: ['black-canyon'] }).flat()) {
      for (const part of FACE_PARTS) {
        const [y0, x0, y1, x1] = parts[part];
        expect(y0 >= box[0] && x0 >= box[1] && y1 <= box[2] && x1 <= box[3], `${part} of ${name}`).toBe(true);
        // Eyes and noses have another colour than the fur around them.
        expect(contrast(image, parts[part]), `${part} of ${name}`).toBeGreaterThan(30);
      }
      const [right, left, nose] = FACE_PARTS.map((part) => parts[part]);
      // The animal's right is on the left of the picture; faces are upright and alike on both sides, within a pixel or two.
      expect(right[3]).toBeLessThanOrEqual(left[1]);
      expect(Math.abs(right[0] - left[0])).toBeLessThanOrEqual(2);
      expect(nose[0] + nose[2]).toBeGreaterThan(right[0] + right[2]);
      expect(Math.abs(nose[1] + nose[3] - SIDE)).toBeLessThanOrEqual(4);
    }
  });

  it('gives boxes in proportion to the size of the picture', () => {
    const [small, large] = [SIDE, 3 * SIDE].map(
      (side) => sceneFaces(assets, side, { styles: ['noto'], photographs: ['black-canyon'] })[0][2],
    );
    for (const part of FACE_PARTS)
      for (const i of [0, 1, 2, 3]) expect(Math.abs(3 * small.parts[part][i] - large.parts[part][i])).toBeLessThanOrEqual(3);
  });
});
