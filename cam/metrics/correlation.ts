// How alike two maps are: Pearson's and Spearman's correlations.
//
// Both are NaN where one of the maps is constant: there is nothing to correlate, and neither 0 nor 1 is right.

import { assertSameSize, type HostMap } from './host-map.ts';

/** Pearson's correlation of two series of one length. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (isConstant(a) || isConstant(b)) return Number.NaN;
  const n = a.length;
  let [meanA, meanB] = [0, 0];
  for (let i = 0; i < n; i++) {
    meanA += a[i]! / n;
    meanB += b[i]! / n;
  }
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i]! - meanA, b[i]! - meanB];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

const isConstant = (values: ArrayLike<number>): boolean =>
  Array.prototype.every.call(values, (value) => value === values[0]);

/** Rank of each number from 1; equal ones share the mean of their ranks. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((i, j) => values[i]! - values[j]!);
  const out = new Float64Array(values.length);
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) out[order[i]!] = (from + 1 + to) / 2;
  }
  return out;
}

/** Spearman's rank correlation of two maps of one size. */
export function spearman(a: HostMap, b: HostMap): number {
  assertSameSize(a, b);
  return pearson(ranks(a.data), ranks(b.data));
}
