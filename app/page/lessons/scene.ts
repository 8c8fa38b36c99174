// A scene whose objects can be moved: an example, with each object cut out by its box.

import { withArticle } from '../../../models/architectures/emoji-clip.ts';
import emoji from '../../../models/images/emoji.json' with { type: 'json' };
import mosaics from '../../../models/images/mosaic.json' with { type: 'json' };
import scenes from '../../../models/images/scenes.json' with { type: 'json' };
import type { Pixels } from '../../../models/pixels.ts';
import { random } from '../../../models/train/data/random.ts';
import { exampleFile } from '../examples.ts';
import { decodePicture } from '../picture.ts';

/** An object's class, and its box: x0, y0, x1, y1 in pixel edges. */
export interface Thing {
  readonly name: string;
  readonly box: readonly [number, number, number, number];
}

type Colour = readonly number[];

/** What is known of an example. */
interface Known {
  /** The network that was trained on such scenes. */
  readonly network: string;
  readonly things: readonly Thing[];
  /** The colours that are left where an object was taken out. */
  readonly behind: (picture: Pixels, box: Thing['box']) => (x: number, y: number) => Colour;
  /** A pixel is an object's where it differs by more from what is behind. */
  readonly least: number;
}

/** The brightest noise of the background that digits were drawn on. */
const NOISE = 24;

const noise: Known['behind'] = () => {
  const next = random(1);
  return () => new Array(3).fill(Math.floor(next() * (NOISE + 1)));
};

const grey: Known['behind'] = () => () => [127, 127, 127];

/** From one edge of the box to the other, across and down, in equal parts. */
const surroundings: Known['behind'] = ({ width, height, rgb }, [x0, y0, x1, y1]) => {
  const at = (x: number, y: number) => {
    const from = 3 * (Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x)));
    return [...rgb.subarray(from, from + 3)];
  };
  const between = (a: Colour, b: Colour, share: number) => a.map((v, i) => v + share * (b[i]! - v));
  return (x, y) => {
    const across = between(at(x0 - 1, y), at(x1, y), (x - x0 + 1) / (x1 - x0 + 1));
    const down = between(at(x, y0 - 1), at(x, y1), (y - y0 + 1) / (y1 - y0 + 1));
    return between(across, down, 0.5).map(Math.round);
  };
};

const things = (
  found: readonly { readonly class: string; readonly box: readonly number[] }[],
  nameOf = (name: string) => name,
): Thing[] =>
  found.map(({ class: name, box }) => ({ name: nameOf(name), box: box as unknown as Thing['box'] }));

const examples: ReadonlyMap<string, Known> = new Map(
  [
    ...scenes.map(({ file, digits }) => [file, 'digit-scenes', things(digits), noise, NOISE] as const),
    ...mosaics.map(({ file, tiles }) => [file, 'cifar10-gap', things(tiles), grey, 0] as const),
    ...emoji.map(
      ({ file, objects }) => [file, 'emoji-clip', things(objects, withArticle), surroundings, NOISE] as const,
    ),
  ].map(([file, network, found, behind, least]) => [
    file.replace('.png', ''),
    { network, things: found, behind, least },
  ]),
);

/** The examples whose objects are known. */
export const knownScenes: readonly string[] = [...examples.keys()];

/** The objects of an example; none where they are not known. */
export const thingsIn = (example: string): readonly Thing[] => examples.get(example)?.things ?? [];

/** An object that was cut out. */
export interface Piece {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  /** 1 where a pixel of the box is the object's, 0 where it is what stands behind. */
  readonly mask: Uint8Array;
  /** Where its corner is. */
  readonly x: number;
  readonly y: number;
  readonly isThere: boolean;
}

export interface Scene {
  readonly network: string;
  /** The scene without its objects. */
  readonly background: Pixels;
  readonly pieces: readonly Piece[];
}

/** Reads an example whose objects are known, and takes them out. */
export async function openScene(name: string): Promise<Scene> {
  const background = await decodePicture(await exampleFile(name), name);
  const { network, things: found, behind, least } = examples.get(name)!;
  const pieces = found.map(({ name: thing, box }): Piece => {
    const [x0, y0, x1, y1] = box;
    const [width, height] = [x1 - x0, y1 - y0];
    const [rgb, mask] = [new Uint8Array(3 * width * height), new Uint8Array(width * height)];
    const whole = { ...background, rgb: background.rgb.slice() };
    const left = behind(whole, box);
    for (let i = 0; i < mask.length; i++) {
      const [x, y] = [x0 + (i % width), y0 + Math.floor(i / width)];
      const at = 3 * (y * background.width + x);
      const [colour, beneath] = [whole.rgb.subarray(at, at + 3), left(x, y)];
      rgb.set(colour, 3 * i);
      mask[i] = colour.some((value, channel) => Math.abs(value - beneath[channel]!) > least) ? 1 : 0;
      if (mask[i]) background.rgb.set(beneath, at);
    }
    return { name: thing, width, height, rgb, mask, x: x0, y: y0, isThere: true };
  });
  return { network, background, pieces };
}

/** The picture of a scene. */
export function drawScene({ background, pieces }: Scene): Pixels {
  const rgb = background.rgb.slice();
  for (const { width, rgb: colours, mask, x, y, isThere } of pieces) {
    if (!isThere) continue;
    mask.forEach((isObject, i) => {
      const [px, py] = [x + (i % width), y + Math.floor(i / width)];
      if (!isObject || px < 0 || py < 0 || px >= background.width || py >= background.height) return;
      rgb.set(colours.subarray(3 * i, 3 * i + 3), 3 * (py * background.width + px));
    });
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
