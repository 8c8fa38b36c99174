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

/** A sum over pictures and the same over resampled data sets. */
export interface Sums {
  /** How many pictures were added. */
  pictures: number;
  total: Float64Array | undefined;
  resampled: Float64Array[];
}

export const emptySums = (): Sums => ({ pictures: 0, total: undefined, resampled: [] });

/** Adds what the maps of one picture add up to; `key` is a number that no other picture has. */
export function addPicture(sums: Sums, key: number, measured: ArrayLike<number>): void {
  sums.total ??= new Float64Array(measured.length);
  if (sums.resampled.length === 0) {
    sums.resampled = Array.from({ length: RESAMPLED }, () => new Float64Array(measured.length));
  }
  sums.pictures++;
  const filled = Array.from(measured).flatMap((value, i) => (value === 0 ? [] : [i]));
  const add = (to: Float64Array, times: number) => {
    for (const i of filled) to[i]! += times * measured[i]!;
  };
  add(sums.total, 1);
  const next = random(key);
  for (const one of sums.resampled) {
    const u = next();
    const times = POISSON.findIndex((below) => u < below);
    if (times !== 0) add(one, times < 0 ? POISSON.length : times);
  }
}

/** A value with the interval that holds 95 % of the resampled ones; NaN where nothing was added. */
export function estimate(
  { total, resampled }: Sums,
  value: (sums: ArrayLike<number>) => number,
): { value: number; low: number; high: number } {
  if (!total) return { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  // A resampled set that happens to hold no picture says nothing.
  const values = resampled
    .map(value)
    .filter((one) => !Number.isNaN(one))
    .sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (values.length - 1))] ?? Number.NaN;
  return { value: value(total), low: at(0.025), high: at(0.975) };
}
