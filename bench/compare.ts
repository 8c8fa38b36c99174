// Whether results are right: some numbers of a result, and how far they are from what they should be.

import { elements, inputsOf, type KernelProblem, randomNumbers, shapesOfKernel } from './problems.ts';
import { referenceOf } from './reference.ts';

/** How many of a result's numbers are compared. */
const CHECKED = 256;

/** Places in a result of `length` numbers: all over it, by chance, so that no row or column of tiles is left out. */
function placesIn(length: number): number[] {
  const count = Math.min(CHECKED, length);
  const draw = length > count ? randomNumbers(3) : () => 0;
  return Array.from({ length: count }, (_, i) => Math.floor(((i + draw()) * length) / count));
}

/** The numbers of a result that are compared. */
export const sampleOf = (result: ArrayLike<number>): number[] =>
  placesIn(result.length).map((i) => result[i]!);

/** What they should be, of a kernel: computed in float64 by the definition. */
export function expectedOf(problem: KernelProblem): number[] {
  return placesIn(elements(shapesOfKernel(problem).y)).map(referenceOf(problem, inputsOf(problem)));
}

/** Range below a row's largest logit within which networks are compared: a softmax leaves nothing of what is further. */
const COMPARED_RANGE = 20;

/**
 * Logits [rows, classes] as numbers that are alike whether or not a network's file ends in a softmax: each row less its
 * largest.
 */
export function comparableLogits(result: ArrayLike<number>, rows: number): number[] {
  const classes = result.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = Array.from({ length: classes }, (_, i) => result[row * classes + i]!);
    const isSoftmax = Math.abs(own.reduce((sum, x) => sum + x, 0) - 1) < 1e-4 && own.every((x) => x >= 0);
    const logits = isSoftmax ? own.map(Math.log) : own;
    const largest = Math.max(...logits);
    return logits.map((x) => Math.max(x - largest, -COMPARED_RANGE));
  }).flat();
}

/** The largest difference between two samples, relative to the first one's largest magnitude. */
export function difference(expected: readonly number[], found: readonly number[]): number {
  if (expected.length !== found.length) return Number.POSITIVE_INFINITY;
  const size = Math.max(...expected.map(Math.abs), Number.MIN_VALUE);
  const largest = Math.max(...expected.map((x, i) => Math.abs(x - found[i]!)));
  return Number.isNaN(largest) ? Number.POSITIVE_INFINITY : largest / size;
}
