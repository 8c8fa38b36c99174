// Cluttered digit scenes: one to three digits of different classes among fragments of other digits, with the box of
// each. After the cluttered MNIST of Mnih, Heess, Graves and Kavukcuoglu, "Recurrent Models of Visual Attention" (2014)
// and Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial Transformer Networks" (2015), but with several digits, so
// that a map that explains a class has something to be wrong about, and with clutter that keeps off the digits.

import { ShapeError } from '../../../engine/errors.ts';
import { DataError, type LabelledImages } from './labelled-images.ts';
import { below, type Random } from './random.ts';

/** Side of a scene in pixels. */
export const SCENE_SIZE = 64;

/** A sample this bright belongs to a digit's ink; anything fainter is the blur at a stroke's edge. */
export const INK = 32;

const FRAGMENT_SIDES = [6, 7, 8, 9];
/** Free pixels between the boxes of two digits, and between a digit and a fragment. */
const GAP = 2;
/** Draws before a digit or a fragment that finds no place is given up. */
const TRIES = 40;

/** Left, top, right and bottom pixel edges: a box covers the pixels `x0 <= x < x1`, `y0 <= y < y1`. */
export type Box = [x0: number, y0: number, x1: number, y1: number];

export interface SceneDigit {
  /** Index into the digits' `classes`. */
  class: number;
  /** Tight around the digit's ink. */
  box: Box;
}

export interface Scene {
  size: typeof SCENE_SIZE;
  /** `[1, 64, 64]`, grey, ink bright on dark. */
  pixels: Uint8Array;
  /** At least one; all of different classes, in the order drawn. */
  digits: SceneDigit[];
  /** The pixels of the same scene without one of its digits: what that digit was worth can be measured exactly. */
  without: (digit: number) => Uint8Array;
}

/** Ranges are inclusive. */
export interface SceneOptions {
  /** How many digits; a scene has fewer if no place or no further class was found. */
  digits: readonly [number, number];
  /** Size of a digit relative to its original. */
  scale: readonly [number, number];
  /** How many fragments of 6 to 9 pixels a side; fewer if no place was found. */
  fragments: readonly [number, number];
  /** Brightest background noise, 0 to 255; it is uniform from 0. */
  noise: number;
}

export const sceneDefaults: SceneOptions = {
  digits: [1, 3],
  scale: [0.7, 1.2],
  fragments: [4, 8],
  noise: 24,
};

/**
 * Draws one scene.
 * @param digits grey images, ink bright on black, each with its class
 * @param next the scene depends on this sequence, the digits and the options alone
 * @throws DataError if the digits are not usable or an option is not
 */
export function makeScene(digits: LabelledImages, next: Random, options: Partial<SceneOptions> = {}): Scene {
  const checked = checkOptions(digits, options);
  const pixels = new Uint8Array(SCENE_SIZE * SCENE_SIZE);
  const { placed, pastes } = drawScene(digits, next, checked, pixels);
  const bare = pixels.slice();
  pasteAll(pastes, pixels);
  const without = (digit: number) => {
    const canvas = bare.slice();
    pasteAll(
      pastes.filter((one) => one.of !== placed[digit]),
      canvas,
    );
    return canvas;
  };
  return { size: SCENE_SIZE, pixels, digits: placed, without };
}

/**
 * Draws scenes as `makeScene` does, one after another, until `out` is full.
 * @param out `pixels` `[N, 1, 64, 64]`, as 0 to 255 if bytes and 0 to 1 if floats; `labels` `[N, classes]`, 1 for each
 *   class that is present and 0 for others
 * @throws ShapeError if the lengths of `out` do not fit together
 * @throws DataError as `makeScene`
 */
export function sceneBatch(
  digits: LabelledImages,
  next: Random,
  out: { pixels: Float32Array | Uint8Array; labels: Float32Array | Uint8Array },
  options: Partial<SceneOptions> = {},
): void {
  const checked = checkOptions(digits, options);
  const area = SCENE_SIZE * SCENE_SIZE;
  const classes = digits.classes.length;
  const count = out.labels.length / classes;
  if (!Number.isInteger(count) || out.pixels.length !== count * area) {
    throw new ShapeError(
      `sceneBatch: ${out.pixels.length} pixels and ${out.labels.length} labels are not [N, 1, ${SCENE_SIZE}, ` +
        `${SCENE_SIZE}] and [N, ${classes}] for any N`,
    );
  }
  const floats = out.pixels instanceof Float32Array;
  const scratch = new Uint8Array(area);
  out.labels.fill(0);
  for (let n = 0; n < count; n++) {
    const scene = out.pixels instanceof Uint8Array ? out.pixels.subarray(n * area, (n + 1) * area) : scratch;
    const { placed, pastes } = drawScene(digits, next, checked, scene);
    pasteAll(pastes, scene);
    for (const digit of placed) out.labels[n * classes + digit.class] = 1;
    if (floats) for (let i = 0; i < area; i++) out.pixels[n * area + i] = scene[i] / 255;
  }
}

/** Part of a picture that is laid over a scene, the brighter sample winning, so that order does not matter. */
interface Paste {
  grey: Grey;
  from: Box;
  to: Box;
  /** The digit that it shows; undefined for a fragment. */
  of: SceneDigit | undefined;
}

/** Fills `canvas` with noise, and says what is to be laid over it. */
function drawScene(
  digits: LabelledImages,
  next: Random,
  options: SceneOptions,
  canvas: Uint8Array,
): { placed: SceneDigit[]; pastes: Paste[] } {
  for (let i = 0; i < canvas.length; i++) canvas[i] = below(options.noise + 1, next);

  const placed: SceneDigit[] = [];
  const pastes: Paste[] = [];
  const wanted = between(options.digits, next);
  for (let tries = 0; placed.length < wanted && tries < wanted * TRIES; tries++) {
    const paste = placeDigit(digits, next, options, placed);
    if (!paste) continue;
    placed.push(paste.of);
    pastes.push(paste);
  }
  if (placed.length === 0) {
    throw new DataError(
      `scene: none of ${TRIES} digits drawn had ink (${INK} or brighter) that fits ${SCENE_SIZE} pixels`,
    );
  }

  for (let wanted = between(options.fragments, next); wanted > 0; wanted--) {
    for (let tries = 0; tries < TRIES; tries++) {
      const paste = placeFragment(digits, next, placed);
      if (!paste) continue;
      pastes.push(paste);
      break;
    }
  }
  return { placed, pastes };
}

/** A random digit at a random place; nothing if its class is taken or its place is. */
function placeDigit(
  digits: LabelledImages,
  next: Random,
  options: SceneOptions,
  placed: SceneDigit[],
): (Paste & { of: SceneDigit }) | undefined {
  const index = below(digits.count, next);
  const label = digits.labels[index];
  if (placed.some((other) => other.class === label)) return undefined;

  const [smallest, largest] = options.scale;
  const sprite = scaledDigit(digits, index, smallest + (largest - smallest) * next());
  const ink = sprite && inkBox(sprite);
  if (!ink) return undefined;

  const box = randomBox(ink[2] - ink[0], ink[3] - ink[1], next);
  if (!placed.every((other) => apart(box, other.box))) return undefined;
  return { grey: sprite, from: ink, to: box, of: { class: label, box } };
}

/** A square cut from a random digit at a random place; nothing if it is near a digit or nearly empty. */
function placeFragment(digits: LabelledImages, next: Random, placed: SceneDigit[]): Paste | undefined {
  const image = digitImage(digits, below(digits.count, next));
  const side = Math.min(FRAGMENT_SIDES[below(FRAGMENT_SIDES.length, next)], image.width, image.height);
  const x = below(image.width - side + 1, next);
  const y = below(image.height - side + 1, next);
  const box = randomBox(side, side, next);
  if (!placed.every((digit) => apart(box, digit.box))) return undefined;

  const cut: Box = [x, y, x + side, y + side];
  if (countInk(image, cut) < side) return undefined;
  return { grey: image, from: cut, to: box, of: undefined };
}

/** A grey picture: row `y` begins at `offset + y * width`. */
interface Grey {
  pixels: Uint8Array;
  offset: number;
  width: number;
  height: number;
}

function digitImage({ pixels, width, height }: LabelledImages, index: number): Grey {
  return { pixels, offset: index * width * height, width, height };
}

/**
 * The ink of a digit, resampled bilinearly (pixel centres, edges repeated); undefined if it has no ink or is larger
 * than a scene.
 */
function scaledDigit(digits: LabelledImages, index: number, scale: number): Grey | undefined {
  const source = digitImage(digits, index);
  const ink = inkBox(source);
  if (!ink) return undefined;
  const [x0, y0, x1, y1] = ink;
  const width = Math.max(1, Math.round((x1 - x0) * scale));
  const height = Math.max(1, Math.round((y1 - y0) * scale));
  if (width > SCENE_SIZE || height > SCENE_SIZE) return undefined;

  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const sy = clamp(y0 + ((y + 0.5) * (y1 - y0)) / height - 0.5, y0, y1 - 1);
    const top = Math.floor(sy);
    const upper = source.offset + top * source.width;
    const lower = source.offset + Math.min(top + 1, y1 - 1) * source.width;
    for (let x = 0; x < width; x++) {
      const sx = clamp(x0 + ((x + 0.5) * (x1 - x0)) / width - 0.5, x0, x1 - 1);
      const left = Math.floor(sx);
      const right = Math.min(left + 1, x1 - 1);
      const above = mix(source.pixels[upper + left], source.pixels[upper + right], sx - left);
      const below = mix(source.pixels[lower + left], source.pixels[lower + right], sx - left);
      pixels[y * width + x] = Math.round(mix(above, below, sy - top));
    }
  }
  return { pixels, offset: 0, width, height };
}

/** The smallest box that holds every pixel of ink, or undefined if there is none. */
function inkBox({ pixels, offset, width, height }: Grey): Box | undefined {
  const box: Box = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[offset + y * width + x] < INK) continue;
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1);
      box[3] = y + 1;
    }
  }
  return box[2] > 0 ? box : undefined;
}

function countInk({ pixels, offset, width }: Grey, [x0, y0, x1, y1]: Box): number {
  let count = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) if (pixels[offset + y * width + x] >= INK) count++;
  }
  return count;
}

function pasteAll(pastes: readonly Paste[], canvas: Uint8Array): void {
  for (const { grey, from, to } of pastes) paste(grey, from, to, canvas);
}

/** `from` and `to` are of one size. */
function paste({ pixels, offset, width }: Grey, from: Box, to: Box, canvas: Uint8Array): void {
  for (let y = 0; y < to[3] - to[1]; y++) {
    const source = offset + (from[1] + y) * width + from[0];
    const target = (to[1] + y) * SCENE_SIZE + to[0];
    for (let x = 0; x < to[2] - to[0]; x++) {
      canvas[target + x] = Math.max(canvas[target + x], pixels[source + x]);
    }
  }
}

/** A box of this size anywhere in a scene. */
function randomBox(width: number, height: number, next: Random): Box {
  const x = below(SCENE_SIZE - width + 1, next);
  const y = below(SCENE_SIZE - height + 1, next);
  return [x, y, x + width, y + height];
}

function apart(a: Box, b: Box): boolean {
  return a[2] + GAP <= b[0] || b[2] + GAP <= a[0] || a[3] + GAP <= b[1] || b[3] + GAP <= a[1];
}

function between([lowest, highest]: readonly [number, number], next: Random): number {
  return lowest + below(highest - lowest + 1, next);
}

function clamp(value: number, lowest: number, highest: number): number {
  return Math.min(Math.max(value, lowest), highest);
}

function mix(a: number, b: number, t: number): number {
  return a + (b - a) * t;
}

function checkOptions(digits: LabelledImages, options: Partial<SceneOptions>): SceneOptions {
  const checked = { ...sceneDefaults, ...options };
  const ordered = ([lowest, highest]: readonly [number, number]) => lowest <= highest;
  const whole = (range: readonly [number, number]) => range.every(Number.isInteger) && ordered(range);
  const complaints: [boolean, string][] = [
    [digits.channels === 1, `digits have ${digits.channels} channels, expected 1`],
    [digits.count > 0, 'there are no digits'],
    [
      whole(checked.digits) && checked.digits[0] >= 1,
      `digits [${checked.digits}] is not a range of 1 or more`,
    ],
    [ordered(checked.scale) && checked.scale[0] > 0, `scale [${checked.scale}] is not a positive range`],
    [
      whole(checked.fragments) && checked.fragments[0] >= 0,
      `fragments [${checked.fragments}] is not a range of 0 or more`,
    ],
    [
      Number.isInteger(checked.noise) && checked.noise >= 0 && checked.noise <= 255,
      `noise ${checked.noise} is not an integer from 0 to 255`,
    ],
  ];
  for (const [fine, complaint] of complaints) if (!fine) throw new DataError(`scene: ${complaint}`);
  return checked;
}
