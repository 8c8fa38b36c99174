// Operations, bytes and the roofline against numbers worked out by hand.

import test from 'tape';
import { inputsOf, type KernelProblem, workOfKernel } from '../../bench/problems.ts';
import { intensity, leastTime, roof, roofShare } from '../../bench/roofline.ts';
import { workOfGraph } from '../../bench/work.node.ts';
import { conv, globalAvgPool, linear, relu } from '../../models/layers.ts';

const conv3x3 = (groups: number): KernelProblem => ({
  op: 'conv2d',
  batch: 2,
  inChannels: 4,
  outChannels: 8,
  size: [5, 7],
  kernel: 3,
  groups,
});

test('work of kernels', (t) => {
  t.deepEqual(workOfKernel({ op: 'matmul', m: 2, n: 3, k: 5 }), { flops: 60, bytes: 4 * (10 + 15 + 6) });
  const positions = 2 * 8 * 5 * 7;
  const images = 2 * (4 + 8) * 5 * 7;
  t.deepEqual(workOfKernel(conv3x3(1)), { flops: 72 * positions, bytes: 4 * (images + 288) });
  t.deepEqual(workOfKernel(conv3x3(4)), { flops: 18 * positions, bytes: 4 * (images + 72) });
  t.deepEqual(workOfKernel({ op: 'globalAvgPool', shape: [1, 3, 2, 2] }), { flops: 12, bytes: 4 * 15 });
  t.deepEqual(workOfKernel({ op: 'relu', shape: [10] }), { flops: 10, bytes: 80 });
  t.end();
});

test('every engine is given the same numbers', (t) => {
  const [a, b] = [inputsOf(conv3x3(1)), inputsOf(conv3x3(1))];
  t.deepEqual(a, b);
  t.deepEqual(a.w!.shape, [8, 4, 3, 3]);
  t.notDeepEqual(a.x.data.slice(0, 8), a.w!.data.slice(0, 8), 'inputs and weights differ');
  t.ok(a.x.data.every((x) => x >= -0.5 && x < 0.5));
  t.end();
});

test('work of a network is that of its layers', (t) => {
  const graph = {
    nodes: [
      conv('conv', 'input', { in: 3, out: 4, kernel: 3, padding: 1 }),
      relu('relu', 'conv'),
      globalAvgPool('gap', 'relu'),
      linear('linear', 'gap', { in: 4, out: 10 }),
    ],
    output: 'linear',
  };
  const plane = 8 * 6;
  const only = (name: string) => workOfGraph(graph, [2, 3, 8, 6], new Set([name]));
  t.deepEqual(only('conv'), {
    flops: 2 * 27 * 2 * 4 * plane,
    bytes: 4 * (2 * 3 * plane + 4 * 27 + 4 + 2 * 4 * plane),
  });
  t.deepEqual(only('linear'), { flops: 2 * 4 * 20, bytes: 4 * (8 + 40 + 10 + 20) });
  const parts = graph.nodes.map(({ name }) => only(name));
  const total = parts.reduce((sum, part) => ({
    flops: sum.flops + part.flops,
    bytes: sum.bytes + part.bytes,
  }));
  t.deepEqual(workOfGraph(graph, [2, 3, 8, 6]), total);
  t.end();
});

test('the roofline is the slower of arithmetic and memory', (t) => {
  const peaks = { flops: 100e9, bandwidth: 10e9 };
  t.equal(leastTime({ flops: 1e9, bytes: 1e6 }, peaks), 10, 'limited by arithmetic');
  t.equal(leastTime({ flops: 1e6, bytes: 1e9 }, peaks), 100, 'limited by memory');
  t.equal(roofShare({ flops: 1e9, bytes: 1e6 }, 40, peaks), 0.25);
  t.equal(intensity({ flops: 30, bytes: 10 }), 3);
  t.deepEqual(
    [roof(1, peaks), roof(10, peaks), roof(1000, peaks)],
    [10e9, 100e9, 100e9],
    'the ridge is at 10',
  );
  t.end();
});
