// The largest and the least of many numbers: Math.max(...numbers) fails from some hundred thousand on.

/** -Infinity of none; NaN where one is. */
export function largest(numbers: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const number of numbers) most = Math.max(most, number);
  return most;
}

/** Infinity of none; NaN where one is. */
export function least(numbers: Iterable<number>): number {
  let fewest = Number.POSITIVE_INFINITY;
  for (const number of numbers) fewest = Math.min(fewest, number);
  return fewest;
}
