/** Bounding boxes of the eyes and noses of the animal faces in every style, measured by hand in the drawings. */
import type { SCENE_CLASSES, SCENE_STYLES } from './names.js';

/** Parts of a face. Left and right are the animal's own: its right eye is on the left side of the image. */
export const FACE_PARTS = ['right eye', 'left eye', 'nose'] as const;
/** Name of a part of a face. */
export type FacePart = (typeof FACE_PARTS)[number];

/** The classes of `scenes` that are faces. */
export const FACE_CLASSES = [
  'dog-face',
  'cat-face',
  'panda',
  'frog',
  'tiger-face',
] as const satisfies readonly (typeof SCENE_CLASSES)[number][];
/** Name of a class of scenes that shows a face. */
export type FaceClass = (typeof FACE_CLASSES)[number];

/** Box [y0, x0, y1, x1] in hundredths of the drawing's side; y1 and x1 are exclusive. The frog's nose is its pair of nostrils. */
export type PartBox = readonly [number, number, number, number];

type Boxes = readonly [rightEye: PartBox, leftEye: PartBox, nose: PartBox];

/** Boxes by style and class, in the order of `FACE_PARTS`. */
export const FACE_BOXES: Readonly<Record<(typeof SCENE_STYLES)[number], Readonly<Record<FaceClass, Boxes>>>> = {
  twemoji: {
    'dog-face': [
      [36, 30, 53, 42],
      [36, 58, 53, 70],
      [61, 41, 75, 59],
    ],
    'cat-face': [
      [50, 28, 62, 39],
      [50, 61, 62, 72],
      [68, 43, 80, 57],
    ],
    panda: [
      [41, 30, 59, 42],
      [41, 59, 59, 70],
      [67, 35, 81, 65],
    ],
    frog: [
      [11, 11, 31, 31],
      [11, 69, 31, 89],
      [52, 36, 59, 64],
    ],
    'tiger-face': [
      [41, 30, 59, 42],
      [41, 58, 59, 70],
      [67, 41, 81, 59],
    ],
  },
  noto: {
    'dog-face': [
      [49, 28, 62, 38],
      [49, 62, 62, 72],
      [64, 41, 77, 59],
    ],
    'cat-face': [
      [46, 25, 60, 36],
      [45, 63, 59, 75],
      [56, 43, 68, 57],
    ],
    panda: [
      [43, 27, 57, 40],
      [43, 61, 57, 74],
      [61, 40, 73, 60],
    ],
    frog: [
      [25, 20, 41, 33],
      [25, 68, 41, 81],
      [45, 36, 52, 64],
    ],
    'tiger-face': [
      [27, 27, 39, 38],
      [27, 64, 39, 75],
      [47, 40, 60, 60],
    ],
  },
  'fluent-emoji-flat': {
    'dog-face': [
      [37, 37, 48, 44],
      [37, 56, 48, 63],
      [53, 43, 63, 57],
    ],
    'cat-face': [
      [53, 34, 64, 42],
      [53, 59, 64, 66],
      [62, 44, 70, 56],
    ],
    panda: [
      [46, 34, 57, 42],
      [46, 59, 57, 67],
      [58, 44, 67, 57],
    ],
    frog: [
      [18, 22, 35, 38],
      [18, 62, 35, 79],
      [39, 43, 45, 57],
    ],
    'tiger-face': [
      [43, 34, 54, 42],
      [43, 59, 54, 66],
      [55, 42, 67, 58],
    ],
  },
  openmoji: {
    'dog-face': [
      [37, 35, 44, 42],
      [37, 61, 44, 67],
      [49, 43, 60, 58],
    ],
    'cat-face': [
      [48, 35, 58, 41],
      [48, 59, 58, 66],
      [63, 43, 73, 57],
    ],
    panda: [
      [50, 36, 58, 43],
      [50, 57, 58, 64],
      [63, 43, 70, 57],
    ],
    frog: [
      [28, 27, 38, 36],
      [28, 64, 38, 74],
      [57, 40, 63, 59],
    ],
    'tiger-face': [
      [46, 35, 54, 43],
      [46, 59, 54, 67],
      [63, 42, 71, 58],
    ],
  },
};
