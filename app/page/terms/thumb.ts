// Small pictures of a channel, on the scale that all of a column share.

import { type ColourMap, colour, divergingColour } from '../../image/colour.ts';
import { make } from '../dom.ts';

/** Values that a column shares: what is 1, and whether there are negative ones. */
export interface Scale {
  readonly high: number;
  readonly signed: boolean;
}

export function scaleOf(...all: readonly Float32Array[]): Scale {
  let [low, high] = [0, 0];
  for (const values of all)
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  return { high: Math.max(-low, high), signed: low < 0 };
}

/** Values [h, w] as a canvas, a pixel each. */
export function thumb(
  values: Float32Array,
  width: number,
  { high, signed }: Scale,
  colours: ColourMap,
): HTMLCanvasElement {
  const height = values.length / width;
  const canvas = make('canvas', { width: String(width), height: String(height), 'aria-hidden': 'true' });
  const image = new ImageData(width, height);
  values.forEach((value, i) => {
    const share = high === 0 ? 0 : value / high;
    image.data.set([...(signed ? divergingColour(share) : colour(share, colours)), 255], 4 * i);
  });
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas;
}
