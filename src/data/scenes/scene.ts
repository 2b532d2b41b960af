/**
 * The description of one scene of `scenes`: which emoji over which photograph, with every transformation. It imports nothing, so that
 * `dataset.ts` can refer to it without an import cycle.
 */

/** Colours for a grey photograph: the hue changes linearly from that of the shadows to that of the lights. */
export interface Tone {
  /** Hues in degrees. */
  readonly shadows: number;
  readonly lights: number;
  /** 0 (grey) to 1. */
  readonly saturation: number;
}

/** The background of a scene: a recoloured crop of a photograph. */
export interface Backdrop {
  /** Side of the square crop as a fraction of the photograph's shorter side. */
  readonly side: number;
  /** Position of the crop, [y, x], each from 0 (top, left) to 1 (bottom, right). */
  readonly place: readonly [number, number];
  /** Whether the crop is mirrored left to right. */
  readonly mirror: boolean;
  /** Contrast factor about mid grey. */
  readonly contrast: number;
  /** Added after the contrast; black to white is 1. */
  readonly brightness: number;
  /** The tones at the two ends of the image, which blend into each other along `direction`. */
  readonly tones: readonly [Tone, Tone];
  /** Direction in degrees from the first tone to the second; 0 is to the right, 90 downwards. */
  readonly direction: number;
}

/** All parameters of a scene except its resolution. */
export interface Scene {
  /** Emoji that is shown, one of `SCENE_CLASSES`. */
  readonly class: string;
  /** Set that the emoji is from, one of `SCENE_STYLES`. */
  readonly style: string;
  /** Name of the photograph behind it, one of `SCENE_PHOTOGRAPHS`. */
  readonly photograph: string;
  /** Centre of the emoji, [y, x], as fractions of the image's side. */
  readonly centre: readonly [number, number];
  /** Longer side of the emoji's bounding box before rotation, as a fraction of the image's side. */
  readonly scale: number;
  /** Clockwise rotation in degrees. */
  readonly rotation: number;
  /** Whether the emoji is mirrored left to right, before the rotation. */
  readonly mirror: boolean;
  /** Hue rotation of the emoji's colours in degrees. */
  readonly hue: number;
  /** Saturation and brightness factors of the emoji; 1 changes nothing. */
  readonly saturation: number;
  /** Brightness factor of the emoji; 1 changes nothing. */
  readonly brightness: number;
  /** Which crop of the photograph is the background. */
  readonly backdrop: Backdrop;
}

/** A scene with the bounding box of its rendered emoji. */
export interface SceneDetails extends Scene {
  /** Bounding box [y0, x0, y1, x1] in pixels of the emoji (opacity of one half or more), clipped to the image; y1 and x1 exclusive. */
  readonly box: readonly [number, number, number, number];
}
