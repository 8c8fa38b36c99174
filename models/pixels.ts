// The picture type that every layer above the engine shares.

/** Pixels of the largest picture that is taken. */
export const MAX_PIXELS = 64_000_000;

/** An 8-bit sRGB picture: `rgb` holds `height` rows of `width` interleaved R, G, B triples. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}
