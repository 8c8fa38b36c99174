// A scene whose digits can be moved: the shipped scenes, with each digit cut out by its box. As the scenes were drawn, the
// brighter of two samples counts, so that what is left behind a digit is the noise of the background.

import scenes from '../../../models/images/scenes.json' with { type: 'json' };
import type { Pixels } from '../../../models/pixels.ts';
import { random } from '../../../models/train/data/random.ts';
import { exampleFile } from '../examples.ts';
import { decodePicture } from '../picture.ts';

/** A digit that was cut out: its grey samples, and where its corner is; undefined where it is taken away. */
export interface Digit {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly grey: Uint8Array;
  readonly x: number;
  readonly y: number;
  readonly isThere: boolean;
}

export interface Scene {
  /** The scene without its digits. */
  readonly background: Pixels;
  readonly digits: readonly Digit[];
}

/** The brightest noise of a background. */
const NOISE = 24;

/** Reads a shipped scene, and takes its digits out. */
export async function openScene(name: string): Promise<Scene> {
  const background = await decodePicture(await exampleFile(name), name);
  const next = random(1);
  const digits = scenes
    .find(({ file: found }) => found === `${name}.png`)!
    .digits.map(({ class: digit, box }) => {
      const [x0, y0, x1, y1] = box as [number, number, number, number];
      const [width, height] = [x1 - x0, y1 - y0];
      const grey = new Uint8Array(width * height);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const at = 3 * ((y0 + y) * background.width + x0 + x);
          grey[y * width + x] = background.rgb[at]!;
          background.rgb.fill(Math.floor(next() * (NOISE + 1)), at, at + 3);
        }
      return { name: digit, width, height, grey, x: x0, y: y0, isThere: true };
    });
  return { background, digits };
}

/** The picture of a scene. */
export function drawScene({ background, digits }: Scene): Pixels {
  const rgb = background.rgb.slice();
  for (const { width, height, grey, x, y, isThere } of digits) {
    if (!isThere) continue;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const [px, py] = [x + column, y + row];
        if (px < 0 || py < 0 || px >= background.width || py >= background.height) continue;
        const at = 3 * (py * background.width + px);
        rgb.fill(Math.max(rgb[at]!, grey[row * width + column]!), at, at + 3);
      }
  }
  return { ...background, rgb };
}

/** Pixels as a file, which tasks take. */
export async function fileOf({ width, height, rgb }: Pixels): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas.convertToBlob();
}
