// What is compared between engines: samples of results, and logits with and without a softmax.

import test from 'tape';
import { comparableLogits, difference, sampleOf } from '../../bench/protocol.ts';

test('samples are spread over the whole result', (t) => {
  t.deepEqual(sampleOf([1, 2, 3]), [1, 2, 3], 'a short result whole');
  const long = sampleOf(Float32Array.from({ length: 6400 }, (_, i) => i));
  t.equal(long.length, 64);
  t.deepEqual([long[0], long[1], long[63]], [0, 100, 6300]);
  t.deepEqual(sampleOf([]), []);
  t.end();
});

test('differences are relative to the largest value, and never hide', (t) => {
  t.equal(difference([1, -4], [1, -4]), 0);
  t.equal(difference([1, -4], [2, -4]), 0.25);
  t.equal(difference([1, 2], [1, 2, 3]), Number.POSITIVE_INFINITY, 'another size');
  t.equal(difference([1, 2], [1, Number.NaN]), Number.POSITIVE_INFINITY, 'not a number');
  t.equal(difference([0, 0], [0, 0]), 0);
  t.ok(difference([0, 0], [0, 1]) > 1e6, 'nothing is not something');
  t.end();
});

test('logits are the same with a softmax behind them', (t) => {
  const logits = [2, 1, -3, 0, 5, 4];
  const softmax = [0, 3].flatMap((start) => {
    const row = logits.slice(start, start + 3).map(Math.exp);
    const sum = row.reduce((a, b) => a + b);
    return row.map((x) => x / sum);
  });
  t.ok(difference(comparableLogits(logits, 2), comparableLogits(softmax, 2)) < 1e-6);
  t.deepEqual(comparableLogits(logits, 2), [0, -1, -5, -5, 0, -1]);
  t.ok(
    difference(comparableLogits(logits, 2), comparableLogits([2, 1, -3, 0, 5, 5], 2)) > 0.1,
    'wrong logits differ',
  );
  t.deepEqual(comparableLogits([1, 0], 1), [0, -20], 'what a softmax leaves nothing of');
  t.end();
});
