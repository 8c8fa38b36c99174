// Digits with a planted shortcut, after the decoy MNIST of Ross, Hughes and Doshi-Velez, "Right for the Right Reasons"
// (2017): a grey square in a corner, whose shade in training is the class's and afterwards that of any class.

import type { LabelledImages } from './labelled-images.ts';
import { below, type Random } from './random.ts';
import { type Box, INK } from './scenes.ts';

/** Side of the square, in pixels; MNIST leaves four around its digits. */
const SIDE = 4;

/** The shade of the square of a class. */
export const shadeOf = (digit: number): number => 255 - 25 * digit;

export interface Decoy {
  /** [height, width], grey, ink bright on black. */
  readonly pixels: Uint8Array;
  readonly class: number;
  /** Tight around the digit's ink. */
  readonly box: Box;
}

/** A digit and a square in a corner drawn by chance, of the shade of its class, or of one drawn by chance. */
export function makeDecoy(
  { pixels, labels, width, height }: LabelledImages,
  index: number,
  shade: 'class' | 'any',
  next: Random,
): Decoy {
  const area = width * height;
  const made = pixels.slice(index * area, (index + 1) * area);
  const ink = [...made.keys()].filter((i) => made[i]! >= INK);
  const [xs, ys] = [ink.map((i) => i % width), ink.map((i) => Math.floor(i / width))];
  const box: Box = [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1];
  const [left, top] = [below(2, next) * (width - SIDE), below(2, next) * (height - SIDE)];
  const digit = labels[index]!;
  const grey = shadeOf(shade === 'class' ? digit : below(10, next));
  for (let y = top; y < top + SIDE; y++) made.fill(grey, y * width + left, y * width + left + SIDE);
  return { pixels: made, class: digit, box };
}
