/** Renders numbers in a font of 3 × 5 pixels, for pictures that show the numbers of their maps. */
import type { Image } from '../../data/dataset.js';
import { blank, enlarge } from './pictures.js';

const ROWS = 5;

/** Five rows per glyph; `#` is ink. */
const GLYPHS: Record<string, string> = {
  '0': '### #.# #.# #.# ###',
  '1': '.#. ##. .#. .#. ###',
  '2': '### ..# ### #.. ###',
  '3': '### ..# ### ..# ###',
  '4': '#.# #.# ### ..# ..#',
  '5': '### #.. ### ..# ###',
  '6': '### #.. ### #.# ###',
  '7': '### ..# ..# .#. .#.',
  '8': '### #.# ### #.# ###',
  '9': '### #.# ### ..# ###',
  '.': '. . . . #',
  '-': '... ... ### ... ...',
  '+': '... .#. ### .#. ...',
  e: '... .#. #.# ##. .##',
  ' ': '.. .. .. .. ..',
};

/** Returns digits, points, signs and blanks as a picture, ink on a ground; other characters are omitted. */
export function label(text: string, options: { scale?: number; ink?: number; ground?: number } = {}): Image {
  const { scale = 2, ink = 40, ground = 255 } = options;
  const glyphs = [...text].flatMap((char) => (GLYPHS[char] ? [GLYPHS[char].split(' ')] : []));
  const width = Math.max(
    1,
    glyphs.reduce((sum, rows) => sum + rows[0].length + 1, -1),
  );
  const picture = blank(width, ROWS, ground);
  let left = 0;
  for (const rows of glyphs) {
    rows.forEach((row, y) => {
      [...row].forEach((pixel, x) => {
        if (pixel === '#') picture.data.fill(ink, (y * width + left + x) * 3, (y * width + left + x + 1) * 3);
      });
    });
    left += rows[0].length + 1;
  }
  return enlarge(picture, scale);
}
