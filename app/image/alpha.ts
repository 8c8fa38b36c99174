// Transparent pictures: networks take three colours, so something must stand behind what is transparent.

import type { Pixels } from '../../models/pixels.ts';

/** A colour behind what is transparent; "ignored": its colours as they are stored, as Pillow's `convert('RGB')`. */
export type Background = keyof typeof backgrounds;

const backgrounds = { white: 255, black: 0, ignored: undefined } as const;

/** All that can stand behind a picture. */
export const backgroundNames = Object.keys(backgrounds) as readonly Background[];

/** A picture with nothing transparent left; `transparent` says whether there was. */
export interface Opaque extends Pixels {
  readonly transparent: boolean;
}

/** RGBA, interleaved, over a background. */
export function opaque(
  width: number,
  height: number,
  rgba: ArrayLike<number>,
  background: Background,
): Opaque {
  const rgb = new Uint8Array(width * height * 3);
  const behind = backgrounds[background];
  let transparent = false;
  for (let from = 0, to = 0; to < rgb.length; from += 4) {
    const alpha = behind === undefined ? 255 : rgba[from + 3]!;
    transparent ||= rgba[from + 3]! < 255;
    const rest = (behind ?? 0) * (255 - alpha);
    for (let c = 0; c < 3; c++) rgb[to++] = Math.round((rgba[from + c]! * alpha + rest) / 255);
  }
  return { width, height, rgb, transparent };
}
