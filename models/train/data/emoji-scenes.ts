// Scenes of one to four emoji on a photograph, with the box of each, and what is said of them.

import { emojiThings, withArticle } from '../../architectures/emoji-clip.ts';
import { DataError, type LabelledImages } from './labelled-images.ts';
import { below, type Random } from './random.ts';
import { type Box, SCENE_SIZE } from './scenes.ts';

/** A drawing of 64 x 64 pixels: red, green, blue and opacity of each, 0 to 255. */
export type Sprite = Uint8Array;
const SPRITE_SIZE = 64;

/** Names of what is drawn; everywhere else an index into these. */
export const things: readonly string[] = Object.values(emojiThings).flat();

export interface EmojiScene {
  /** `[3, 64, 64]`, red, green and blue planes, 0 to 255. */
  readonly pixels: Uint8Array;
  /** All of different things, in the order drawn; the box is tight around what is opaque. */
  readonly objects: readonly { readonly thing: number; readonly box: Box }[];
}

/** The drawings of each thing, and photographs of 32 x 32 to lay them on. */
export interface EmojiSource {
  readonly sprites: readonly (readonly Sprite[])[];
  readonly backgrounds: LabelledImages;
}

export interface EmojiSceneOptions {
  /** How many objects. */
  readonly objects: readonly [number, number];
  /** Side of a drawing, in pixels. */
  readonly side: readonly [number, number];
  /** Which two things may be together in a scene; any when left out. */
  readonly together?: (a: number, b: number) => boolean;
}

const emojiSceneDefaults: EmojiSceneOptions = { objects: [1, 4], side: [18, 30] };

/** One pair of things in ten is kept from training, to see whether new combinations are understood. */
export const isUnseenPair = (a: number, b: number): boolean => a !== b && (a + b) % 10 === 0;

/** Places tried for an object, objects tried for a scene, and scenes begun before it is given up. */
const TRIES = 40;
const ANGLE = Math.PI / 9;

/**
 * Draws a scene.
 * @throws DataError if so many objects of that size find no place
 */
export function makeEmojiScene(
  { sprites, backgrounds }: EmojiSource,
  next: Random,
  options: Partial<EmojiSceneOptions> = {},
): EmojiScene {
  const { objects, side, together = () => true } = { ...emojiSceneDefaults, ...options };
  const wanted = objects[0] + below(objects[1] - objects[0] + 1, next);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const pixels = background(backgrounds, next);
    const placed: { thing: number; box: Box }[] = [];
    for (let tries = 0; placed.length < wanted && tries < TRIES; tries++) {
      const thing = below(sprites.length, next);
      if (placed.some((other) => other.thing === thing || !together(thing, other.thing))) continue;
      const sprite = sprites[thing]![below(sprites[thing]!.length, next)]!;
      const drawn = turned(sprite, side[0] + (side[1] - side[0]) * next(), next);
      const place = freePlace(drawn, placed, next);
      if (!place) continue;
      paste(drawn, place.x, place.y, pixels);
      placed.push({ thing, box: place.box });
    }
    if (placed.length === wanted) return { pixels, objects: placed };
  }
  throw new DataError(`emoji scene: ${wanted} objects of up to ${side[1]} pixels find no place`);
}

/** Where a drawing touches none of the others. */
function freePlace({ side, box: [x0, y0, x1, y1] }: Drawn, placed: readonly { box: Box }[], next: Random) {
  for (let tries = 0; tries < TRIES; tries++) {
    const x = below(SCENE_SIZE - side + 1, next);
    const y = below(SCENE_SIZE - side + 1, next);
    const box: Box = [x + x0, y + y0, x + x1, y + y1];
    if (!placed.some((other) => overlap(box, other.box))) return { x, y, box };
  }
  return undefined;
}

const overlap = (a: Box, b: Box) => a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];

/** A random part of a random photograph, as large as a scene. */
function background({ pixels, count, width }: LabelledImages, next: Random): Uint8Array {
  const start = below(count, next) * 3 * width * width;
  const part = 16 + below(width - 16 + 1, next);
  const [left, top] = [below(width - part + 1, next), below(width - part + 1, next)];
  const out = new Uint8Array(3 * SCENE_SIZE * SCENE_SIZE);
  const at = (i: number, from: number) =>
    Math.min(Math.max(from + ((i + 0.5) * part) / SCENE_SIZE - 0.5, from), from + part - 1);
  let target = 0;
  for (let channel = 0; channel < 3; channel++) {
    const plane = start + channel * width * width;
    for (let y = 0; y < SCENE_SIZE; y++) {
      const sy = at(y, top);
      const upper = Math.floor(sy);
      const lower = Math.min(upper + 1, width - 1);
      for (let x = 0; x < SCENE_SIZE; x++) {
        const sx = at(x, left);
        const l = Math.floor(sx);
        const r = Math.min(l + 1, width - 1);
        const above = mix(pixels[plane + upper * width + l]!, pixels[plane + upper * width + r]!, sx - l);
        const under = mix(pixels[plane + lower * width + l]!, pixels[plane + lower * width + r]!, sx - l);
        out[target++] = mix(above, under, sy - upper);
      }
    }
  }
  return out;
}

/** A drawing as it is laid over a scene. */
interface Drawn {
  readonly side: number;
  /** Colour times opacity, and opacity, 0 to 255, of each pixel. */
  readonly rgba: Float32Array;
  readonly box: Box;
}

/** A drawing turned by up to 20 degrees, perhaps mirrored, of other colours by up to a seventh, `size` pixels a side. */
function turned(sprite: Sprite, size: number, next: Random): Drawn {
  const angle = (2 * next() - 1) * ANGLE;
  const mirror = next() < 0.5 ? -1 : 1;
  const gains = [0.85 + 0.3 * next(), 0.85 + 0.3 * next(), 0.85 + 0.3 * next(), 1];
  const half = halved(sprite);
  const side = Math.ceil(size * (Math.cos(angle) + Math.abs(Math.sin(angle))));
  const rgba = new Float32Array(side * side * 4);
  const step = SPRITE_SIZE / 2 / size;
  const [cos, sin] = [Math.cos(angle) * step, Math.sin(angle) * step];
  const box: Box = [side, side, 0, 0];
  const middle = HALF / 2 - 0.5;
  for (let y = 0; y < side; y++) {
    const dy = y + 0.5 - side / 2;
    for (let x = 0; x < side; x++) {
      const dx = x + 0.5 - side / 2;
      const sx = mirror * (cos * dx + sin * dy) + middle;
      const sy = cos * dy - sin * dx + middle;
      if (sx < 0 || sy < 0 || sx >= HALF - 1 || sy >= HALF - 1) continue;
      const left = Math.floor(sx);
      const top = Math.floor(sy);
      const from = (top * HALF + left) * 4;
      const to = (y * side + x) * 4;
      for (let c = 0; c < 4; c++) {
        const above = mix(half[from + c]!, half[from + 4 + c]!, sx - left);
        const under = mix(half[from + HALF * 4 + c]!, half[from + HALF * 4 + 4 + c]!, sx - left);
        rgba[to + c] = gains[c]! * mix(above, under, sy - top);
      }
      if (rgba[to + 3]! < 128) continue;
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1);
      box[3] = y + 1;
    }
  }
  return { side, rgba, box };
}

const halves = new WeakMap<Sprite, Float32Array>();
/** Side of a halved drawing: 32 pixels, and one that is transparent on each side. */
const HALF = SPRITE_SIZE / 2 + 2;

/** Means over 2 x 2 pixels, colours times opacity: about the size at which drawings are laid. */
function halved(sprite: Sprite): Float32Array {
  const known = halves.get(sprite);
  if (known) return known;
  const out = new Float32Array(HALF * HALF * 4);
  for (let i = 0; i < SPRITE_SIZE * SPRITE_SIZE; i++) {
    const [x, y] = [(i % SPRITE_SIZE) >> 1, Math.floor(i / SPRITE_SIZE) >> 1];
    const opacity = sprite[i * 4 + 3]! / 4;
    const to = ((y + 1) * HALF + x + 1) * 4;
    for (let c = 0; c < 4; c++) out[to + c]! += c === 3 ? opacity : (opacity * sprite[i * 4 + c]!) / 255;
  }
  halves.set(sprite, out);
  return out;
}

function paste({ side, rgba }: Drawn, left: number, top: number, pixels: Uint8Array): void {
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = (y * side + x) * 4;
      const rest = 1 - rgba[from + 3]! / 255;
      for (let c = 0; c < 3; c++) {
        const to = (c * SCENE_SIZE + top + y) * SCENE_SIZE + left + x;
        pixels[to] = Math.min(255, rgba[from + c]! + rest * pixels[to]!);
      }
    }
  }
}

const mix = (a: number, b: number, t: number) => a + (b - a) * t;

/** What is said of a scene, and what must be there for it to be true: of each set at least one. */
export interface EmojiText {
  readonly text: string;
  readonly needs: readonly ReadonlySet<number>[];
}

/** The things of each kind. */
export const kinds: ReadonlyMap<string, ReadonlySet<number>> = new Map(
  Object.entries(emojiThings).map(([kind, names]) => [
    kind,
    new Set(names.map((one) => things.indexOf(one))),
  ]),
);

/** "a fox"; one word of a kind too, "an animal". */
export const textOf = (word: string): EmojiText => ({
  text: withArticle(word),
  needs: [kinds.get(word) ?? new Set([things.indexOf(word)])],
});

/** What is said of a scene: each object, then two of them or one's kind. */
export function emojiTexts({ objects }: EmojiScene, next: Random): EmojiText[] {
  const each = objects.map(({ thing }) => textOf(things[thing]!));
  const first = below(objects.length, next);
  if (objects.length === 1 || next() < 0.5) {
    const [kind] = [...kinds].find(([, names]) => names.has(objects[first]!.thing))!;
    return [...each, textOf(kind)];
  }
  const second = (first + 1 + below(objects.length - 1, next)) % objects.length;
  return [...each, bothOf(each[first]!, each[second]!)];
}

/** "a fox and an owl". */
export const bothOf = (one: EmojiText, other: EmojiText): EmojiText => ({
  text: `${one.text} and ${other.text}`,
  needs: [...one.needs, ...other.needs],
});

/** Whether a text is true of a scene. */
export const isTrue = ({ needs }: EmojiText, { objects }: EmojiScene): boolean =>
  needs.every((set) => objects.some(({ thing }) => set.has(thing)));
