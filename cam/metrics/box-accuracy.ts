// Localisation by boxes (Choe et al. 2020, "Evaluating Weakly Supervised Object Localization Methods Right"):
//
//   BoxAcc(t, d) = share of pictures whose best box at threshold t has IoU >= d with an object's box
//   MaxBoxAcc    = max_t BoxAcc(t, 1/2), boxes of the largest piece
//   MaxBoxAccV2  = mean over d = .3, .5, .7 of max_t BoxAcc(t, d), boxes of all pieces
//
// The maximum over t is taken over the very pictures that are measured, which flatters. `split` chooses t on one half of
// the pictures and measures on the other, both ways round. A maximum over t of a resampled data set is larger still, so
// that intervals of MaxBoxAcc lean upwards. A flat map has no box, whatever the object's size.

import { boxOverlap, LEVELS } from './box-overlap.ts';
import type { Column, Metric } from './metric.ts';

/** The IoU that count as found. */
export const DELTAS = [0.3, 0.5, 0.7] as const;

/** BoxAcc at each level, from the overlaps of each picture. */
export function boxAccuracy(overlaps: readonly ArrayLike<number>[], delta: number): Float64Array {
  const share = new Float64Array(LEVELS);
  for (const overlap of overlaps) {
    for (let k = 0; k < LEVELS; k++) if (overlap[k]! >= delta) share[k]! += 1 / overlaps.length;
  }
  return share;
}

/** max_t BoxAcc(t, d). */
export const maxBoxAcc = (overlaps: readonly ArrayLike<number>[], delta = 0.5): number =>
  Math.max(...boxAccuracy(overlaps, delta));

/** The mean of MaxBoxAcc over d = .3, .5, .7. */
export const maxBoxAccV2 = (overlaps: readonly ArrayLike<number>[]): number =>
  DELTAS.reduce((sum, delta) => sum + maxBoxAcc(overlaps, delta), 0) / DELTAS.length;

/** BoxAcc of `tested` at the level that is best on `chosenOn`. */
export function splitBoxAcc(
  chosenOn: readonly ArrayLike<number>[],
  tested: readonly ArrayLike<number>[],
  delta = 0.5,
): number {
  const choice = boxAccuracy(chosenOn, delta);
  return boxAccuracy(tested, delta)[choice.indexOf(Math.max(...choice))]!;
}

// The sums: for each half and delta, at how many maps each level is a hit; then the number of maps of each half.

const at = (half: number, delta: number) => (half * DELTAS.length + delta) * LEVELS;
const COUNTS = at(2, 0);

function measured(overlap: ArrayLike<number>, half: 0 | 1): Float64Array {
  const sums = new Float64Array(COUNTS + 2);
  DELTAS.forEach((delta, d) => {
    for (let k = 0; k < LEVELS; k++) if (overlap[k]! >= delta) sums[at(half, d) + k] = 1;
  });
  sums[COUNTS + half] = 1;
  return sums;
}

/** At how many maps of a half each level is a hit. */
const hits = (sums: ArrayLike<number>, half: number, delta: number): number[] =>
  Array.from({ length: LEVELS }, (_, k) => sums[at(half, delta) + k]!);

const maps = (sums: ArrayLike<number>): number => sums[COUNTS]! + sums[COUNTS + 1]!;

function maximum(sums: ArrayLike<number>, delta: number): number {
  const [one, other] = [hits(sums, 0, delta), hits(sums, 1, delta)];
  return Math.max(...one.map((count, level) => count + other[level]!)) / maps(sums);
}

function split(sums: ArrayLike<number>, delta: number): number {
  const [one, other] = [hits(sums, 0, delta), hits(sums, 1, delta)];
  const best = (counts: readonly number[]) => counts.indexOf(Math.max(...counts));
  return (one[best(other)]! + other[best(one)]!) / maps(sums);
}

const share = (title: string, value: Column['value']): Column => ({
  title,
  better: 'higher',
  unit: '%',
  value,
});
const meanOfDeltas = (of: (delta: number) => number): number =>
  DELTAS.reduce((sum, _, d) => sum + of(d), 0) / DELTAS.length;

export const boxAcc: Metric = {
  name: 'box-acc',
  needs: 'boxes',
  measure: ({ map, boxes, half }) => measured(boxOverlap(map, boxes), half),
  columns: [
    ...DELTAS.map((delta, d) => share(`BoxAcc ${String(delta).slice(1)}`, (sums) => maximum(sums, d))),
    share('MaxBoxAccV2', (sums) => meanOfDeltas((d) => maximum(sums, d))),
    share('V2 split', (sums) => meanOfDeltas((d) => split(sums, d))),
  ],
};

export const boxAccLargest: Metric = {
  name: 'max-box-acc',
  needs: 'boxes',
  measure: ({ map, boxes, half }) => measured(boxOverlap(map, boxes, 'largest'), half),
  columns: [share('MaxBoxAcc', (sums) => maximum(sums, DELTAS.indexOf(0.5)))],
};
