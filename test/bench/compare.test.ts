// What results are held to: samples of them, the float64 references, and logits with and without a softmax.

import test from 'tape';
import { comparableLogits, difference, expectedOf, sampleOf } from '../../bench/compare.ts';
import { elements, inputsOf, type KernelProblem, shapesOfKernel } from '../../bench/problems.ts';
import { referenceOf } from '../../bench/reference.ts';
import { array, conv2d, globalAvgPool, matmul, softmax } from '../reference/index.ts';

test('samples are spread over the whole result', (t) => {
  t.deepEqual(sampleOf([1, 2, 3]), [1, 2, 3], 'a short result whole');
  const long = sampleOf(Float32Array.from({ length: 2 ** 16 }, (_, i) => i));
  t.equal(long.length, 256);
  t.ok(
    long.every((x, i) => Math.floor(x / 256) === i),
    'one of each stretch',
  );
  t.ok(new Set(long.map((x) => x % 256)).size > 100, 'and of most columns of a square');
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

test('the float64 references are those of the definitions', (t) => {
  const conv = { op: 'conv2d', batch: 2, inChannels: 6, outChannels: 4, size: [5, 7] } as const;
  const right = (p: KernelProblem) => {
    const { x, w } = inputsOf(p);
    const [a, b] = [x, w].map((tensor) => tensor && array(tensor.shape, tensor.data));
    switch (p.op) {
      case 'matmul':
        return matmul(a!, b!);
      case 'conv2d': {
        const pad = (p.kernel - 1) / 2;
        return conv2d(a!, b!, { padding: [pad, pad, pad, pad], groups: p.groups });
      }
      case 'globalAvgPool':
        return globalAvgPool(a!);
      case 'softmax':
        return softmax(a!, 1);
      case 'relu':
        return array(
          a!.shape,
          a!.data.map((v) => (v > 0 ? v : 0)),
        );
    }
  };
  const problems: KernelProblem[] = [
    { op: 'matmul', m: 5, n: 7, k: 13 },
    { ...conv, kernel: 3, groups: 1 },
    { ...conv, kernel: 1, groups: 2 },
    { ...conv, outChannels: 6, kernel: 3, groups: 6 },
    { op: 'globalAvgPool', shape: [2, 3, 5, 4] },
    { op: 'softmax', shape: [3, 11] },
    { op: 'relu', shape: [2, 9] },
  ];
  for (const p of problems) {
    const found = Array.from({ length: elements(shapesOfKernel(p).y) }, (_, i) =>
      referenceOf(p, inputsOf(p))(i),
    );
    t.ok(difference([...right(p).data], found) < 1e-14, JSON.stringify(p));
  }
  const large: KernelProblem = { op: 'matmul', m: 40, n: 30, k: 20 };
  t.ok(difference(expectedOf(large), sampleOf(right(large).data)) < 1e-14, 'at the places of a sample');
  t.end();
});
