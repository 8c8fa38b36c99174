// Medians, quartiles and ratios against numbers worked out by hand.

import test from 'tape';
import { median, quantile, ratio, shuffled, summarise } from '../../bench/statistics.ts';

test('quantiles lie between neighbours, in any order of the numbers', (t) => {
  t.equal(quantile([7], 0.25), 7, 'one number is every quantile');
  t.equal(median([3, 1, 2]), 2, 'odd count');
  t.equal(median([4, 1, 3, 2]), 2.5, 'even count');
  t.deepEqual(summarise([4, 1, 3, 2]), { count: 4, q1: 1.75, median: 2.5, q3: 3.25 });
  t.deepEqual([quantile([5, 1, 9], 0), quantile([5, 1, 9], 1)], [1, 9], 'the ends');
  t.throws(() => median([]), /there are no numbers/);
  t.end();
});

test('numbers are sorted as numbers, and left as they were', (t) => {
  const numbers = [10, 9, 100];
  t.equal(median(numbers), 10);
  t.deepEqual(numbers, [10, 9, 100]);
  t.end();
});

test('a ratio is taken round by round', (t) => {
  // The machine was ten times slower in the second round: the ratio does not see it.
  t.deepEqual(ratio([2, 20, 2], [1, 10, 1]), { count: 3, q1: 2, median: 2, q3: 2 });
  t.equal(ratio([4, 8], [1, 2, 50]).count, 2, 'rounds that only one of them finished do not count');
  t.end();
});

test('a shuffle keeps every item, and follows from its seed', (t) => {
  const items = [1, 2, 3, 4, 5];
  t.deepEqual([...shuffled(items, 7)].sort(), items);
  t.deepEqual(shuffled(items, 7), shuffled(items, 7));
  t.deepEqual(items, [1, 2, 3, 4, 5], 'the items stay as they were');
  const first = Array.from({ length: 50 }, (_, seed) => shuffled(items, seed)[0]);
  t.equal(new Set(first).size, 5, 'over fifty rounds each one comes first');
  t.deepEqual(shuffled([], 1), []);
  t.end();
});
