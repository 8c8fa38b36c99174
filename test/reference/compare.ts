// Comparing results, and reproducible random arrays.

import { type Array64, check, filled } from './array.ts';

/**
 * max |actual - expected| / max |expected|: the error relative to the largest value, not to each. Infinity where
 * a NaN or an infinity of one is not the same in the other; 0 for two empty arrays.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  check(actual.length === expected.length, `${actual.length} values against ${expected.length}`);
  let difference = 0;
  let largest = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(actual[i]) && Number.isFinite(expected[i])) {
      difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
      largest = Math.max(largest, Math.abs(expected[i]));
    } else if (!Object.is(actual[i], expected[i])) return Infinity;
  }
  return difference / largest;
}

/** mulberry32: uniform numbers in [0, 1) from a 32-bit seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Uniform in [low, high], rounded to float32 so that the engine and the reference see the same numbers. */
export function randomArray(
  shape: readonly number[],
  next: () => number,
  { low = -1, high = 1 }: { low?: number; high?: number } = {},
): Array64 {
  const result = filled(shape, 0);
  for (let i = 0; i < result.data.length; i++) result.data[i] = Math.fround(low + (high - low) * next());
  return result;
}
