/**
 * The description of one scene of `scenes`: which emoji over which photograph, with every transformation. It imports nothing, so that
 * `dataset.ts` can refer to it without an import cycle.
 */

/** Colours given to a grey photograph: its shades run from the hue of the shadows to the hue of the lights. */
export interface Tone {
  /** Hues in degrees. */
  readonly shadows: number;
  readonly lights: number;
  /** 0 (grey) to 1. */
  readonly saturation: number;
}

export interface Backdrop {
  /** Side of the square crop as a share of the photograph's shorter side. */
  readonly side: number;
  /** Where the crop lies, [y, x], each from 0 (top, left) to 1 (bottom, right). */
  readonly place: readonly [number, number];
  readonly mirror: boolean;
  /** Factor about mid grey. */
  readonly contrast: number;
  /** Added after the contrast; black to white is 1. */
  readonly brightness: number;
  /** The tone at one end of the image and at the other. */
  readonly tones: readonly [Tone, Tone];
  /** Direction in degrees in which the first tone passes into the second; 0 is to the right, 90 downwards. */
  readonly direction: number;
}

/** Everything that decides a scene but its resolution. */
export interface Scene {
  readonly class: string;
  readonly style: string;
  readonly photograph: string;
  /** Centre of the emoji, [y, x], as shares of the image's side. */
  readonly centre: readonly [number, number];
  /** Longer side of the emoji's opaque box before it is turned, as a share of the image's side. */
  readonly scale: number;
  /** Degrees, clockwise. */
  readonly rotation: number;
  /** Mirrored left to right, before it is turned. */
  readonly mirror: boolean;
  /** Degrees that every colour of the emoji is moved round the colour wheel. */
  readonly hue: number;
  /** Factors; 1 leaves the emoji as it is. */
  readonly saturation: number;
  readonly brightness: number;
  readonly backdrop: Backdrop;
}

/** A scene, and where its emoji came to lie. */
export interface SceneDetails extends Scene {
  /** Tight box [y0, x0, y1, x1] in pixels of what is at least half opaque, cut at the image's edge; y1 and x1 are the first outside. */
  readonly box: readonly [number, number, number, number];
}
