// What is said about repeated timings: the median and the quartiles, which a shared machine's outliers do not move.

import { randomNumbers } from './problems.ts';

export interface Summary {
  readonly count: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

/** The value below which a share `p` of the numbers lies; linear between neighbours (Hyndman and Fan's type 7). */
export function quantile(numbers: readonly number[], p: number): number {
  if (numbers.length === 0) throw new RangeError('quantile: there are no numbers');
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const [below, above] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return below + (above - below) * (at - Math.floor(at));
}

export function summarise(numbers: readonly number[]): Summary {
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((p) => quantile(numbers, p)) as [number, number, number];
  return { count: numbers.length, q1, median, q3 };
}

export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);

/**
 * How many times `a` is as large as `b`, round by round: what disturbs the machine for a while disturbs both, and
 * leaves their ratio alone.
 */
export function ratio(a: readonly number[], b: readonly number[]): Summary {
  const rounds = Math.min(a.length, b.length);
  return summarise(Array.from({ length: rounds }, (_, i) => a[i]! / b[i]!));
}

/** The items in an order drawn by chance (Fisher and Yates), the same for the same seed. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const order = [...items];
  const draws = randomNumbers(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(draws() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
