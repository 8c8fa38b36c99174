// What engines are made of that needs no engine: variants of kernels against each other, pads, another library's layers.

import test from 'tape';
import { difference } from '../../bench/compare.ts';
import { flat, interpret, poolPadding } from '../../bench/engines/interpret.ts';
import { limelightOn } from '../../bench/engines/limelight.node.ts';
import type { Problem } from '../../bench/problems.ts';
import { add, relu } from '../../models/layers.ts';
import { device } from '../device.ts';

const problems: readonly Problem[] = [
  { op: 'matmul', m: 13, n: 20, k: 7 },
  { op: 'matmul', m: 64, n: 64, k: 64 },
  { op: 'conv2d', batch: 2, inChannels: 5, outChannels: 6, size: [9, 7], kernel: 3, groups: 1 },
  { op: 'conv2d', batch: 1, inChannels: 16, outChannels: 20, size: [8, 8], kernel: 1, groups: 1 },
  { op: 'conv2d', batch: 1, inChannels: 6, outChannels: 6, size: [7, 5], kernel: 3, groups: 6 },
];

test('every variant of a kernel computes what the engine computes', async (t) => {
  const engine = limelightOn(await device());
  for (const problem of problems) {
    const compute = async (variant?: string) => {
      const prepared = await engine.prepare(problem, variant);
      const result = await prepared.run(3);
      prepared.dispose();
      return Array.from(result);
    };
    const expected = await compute();
    const variants = engine.variants!(problem);
    t.ok(variants.length > 0, `${JSON.stringify(problem)} has variants`);
    for (const variant of variants) {
      t.ok(difference(expected, await compute(variant)) < 1e-4, `${variant}`);
    }
  }
});

test('an unknown variant is refused by name', async (t) => {
  const engine = limelightOn(await device());
  await engine.prepare(problems[0]!, 'fastest').then(
    () => t.fail('was prepared'),
    (error: Error) => t.match(error.message, /matmul has no variant fastest/),
  );
});

test('pooling in ceil mode is padded to whole windows', (t) => {
  const pool = { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 0, 0] } as const;
  t.deepEqual(poolPadding(54, 0, { ...pool, ceilMode: true }), [0, 1], '54 -> 27');
  t.deepEqual(poolPadding(55, 0, { ...pool, ceilMode: true }), [0, 0], '55 -> 27');
  t.deepEqual(poolPadding(54, 1, { ...pool, ceilMode: false }), [0, 0], '54 -> 26');
  t.deepEqual(poolPadding(6, 0, { ...pool, padding: [1, 0, 1, 0], ceilMode: false }), [1, 0]);
  t.end();
});

test('a graph runs in other tensors, each node once', (t) => {
  const graph = { nodes: [relu('a', 'input'), add('b', 'a', 'a'), add('c', 'b', 'a')], output: 'c' };
  let calls = 0;
  const layers = {
    relu: ([x]: readonly number[]) => {
      calls++;
      return Math.max(0, x!);
    },
    add: ([x, y]: readonly number[]) => x! + y!,
  };
  t.equal(interpret(graph, layers, new Map(), new Map([['input', 2]]), 'c'), 6);
  t.equal(calls, 1);
  t.equal(interpret(graph, layers, new Map(), new Map([['a', 5]]), 'c'), 15, 'from a layer on');
  t.throws(() => interpret(graph, { add: layers.add }, new Map(), new Map([['input', 2]]), 'c'), /kind relu/);
  t.end();
});

test('only what has one number a channel is flattened, whatever the order of axes', (t) => {
  t.equal(
    flat([16, 1, 1, 256], () => 'flat'),
    'flat',
  );
  t.throws(() => flat([16, 7, 7, 256], () => 'flat'), /flattening \[16, 7, 7, 256\] is not supported/);
  t.end();
});
