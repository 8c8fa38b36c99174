// How far a result would differ on other pictures of the same kind: percentile intervals of the bootstrap (Efron 1979).
//
// A resampled data set holds each picture as often as chance has it. For many pictures that number follows Poisson's law
// with mean 1, independently for each picture (Hanley, MacGibbon 2006; Chamandy et al. 2012), so that one pass over
// the pictures, adding each to every resampled sum as often as drawn, is enough, and memory does not grow. The draws
// depend on the picture's key alone, so that the order of pictures, and how they were shared between machines, changes
// nothing but rounding. Whole pictures are drawn: classes of one picture share what is in it.

import { random } from '../../models/train/data/random.ts';

/** Resampled data sets. */
const RESAMPLED = 400;

/** P(a count of k or less), k = 0, 1, ..; what is beyond the last has probability 1e-9. */
const POISSON = (() => {
  const out: number[] = [];
  for (let k = 0, p = Math.exp(-1), sum = p; k < 12; k++, p /= k, sum += p) out.push(sum);
  return out;
})();

/** How often a picture is in each resampled data set; `key` is a number that no other picture has. */
export function drawsOf(key: number): Uint8Array {
  const next = random(key);
  return Uint8Array.from({ length: RESAMPLED }, () => {
    const u = next();
    const times = POISSON.findIndex((below) => u < below);
    return times < 0 ? POISSON.length : times;
  });
}

/** A sum over pictures and the same over resampled data sets. */
export interface Sums {
  /** How many pictures were added. */
  pictures: number;
  total: Float64Array;
  /** [length of the sum, resampled data sets]: a number's sums lie side by side, which is fast to add to. */
  resampled: Float64Array;
}

/** Sums of no picture. */
export const emptySums = (): Sums => ({
  pictures: 0,
  total: new Float64Array(0),
  resampled: new Float64Array(0),
});

/** Adds what the maps of one picture add up to, as often as it was drawn. */
export function addPicture(sums: Sums, draws: Uint8Array, measured: ArrayLike<number>): void {
  if (sums.pictures === 0) {
    sums.total = new Float64Array(measured.length);
    sums.resampled = new Float64Array(measured.length * RESAMPLED);
  }
  sums.pictures++;
  const { total, resampled } = sums;
  for (let i = 0; i < measured.length; i++) {
    const value = measured[i]!;
    if (value === 0) continue;
    total[i]! += value;
    for (let r = 0, at = i * RESAMPLED; r < RESAMPLED; r++, at++) resampled[at]! += value * draws[r]!;
  }
}

/** A value with the interval that holds 95 % of the resampled ones; NaN where nothing was added. */
export function estimate(
  { pictures, total, resampled }: Sums,
  value: (sums: ArrayLike<number>) => number,
): { value: number; low: number; high: number } {
  if (pictures === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const values = Array.from({ length: RESAMPLED }, (_, r) =>
    value(total.map((_, i) => resampled[i * RESAMPLED + r]!)),
  )
    // A resampled set that happens to hold no picture says nothing.
    .filter((one) => !Number.isNaN(one))
    .sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (values.length - 1))] ?? Number.NaN;
  return { value: value(total), low: at(0.025), high: at(0.975) };
}
