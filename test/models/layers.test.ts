// Layers that are more than one operation, against plain definitions.

import test, { type Test } from 'tape';
import { scope, tensor } from '../../engine/index.ts';
import { evaluate, type Graph, type GraphNode, INPUT } from '../../models/graph.ts';
import {
  adaptiveAvgPool,
  attentionMix,
  attentionProbabilities,
  channelAffine,
  channelShuffle,
  mul,
  prependToken,
  takeToken,
  toTokens,
} from '../../models/layers.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  randomArray,
  relativeError,
  seededRandom,
  softmax,
} from '../reference/index.ts';

/** The output of the last node for an input, and for parameters of ones. */
async function run(
  nodes: readonly GraphNode[],
  x: Array64,
): Promise<{ shape: readonly number[]; data: Float32Array }> {
  const gpu = await device();
  const graph: Graph = { nodes, output: nodes.at(-1)!.name };
  const y = scope(() => {
    const parameters = new Map(
      nodes.flatMap((node) =>
        Object.values(node.parameters).map(({ key, shape }) => {
          const ones = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
          return [key, tensor(gpu, ones, shape)] as const;
        }),
      ),
    );
    const known = new Map([[INPUT, tensor(gpu, x.data, x.shape)]]);
    return evaluate(graph, parameters, known, [graph.output]).get(graph.output)!;
  });
  const result = { shape: y.shape, data: await y.data() };
  y.dispose();
  return result;
}

const random = (shape: readonly number[]) => randomArray(shape, seededRandom(shape.length + shape[0]!));

function matches(
  t: Test,
  got: { shape: readonly number[]; data: Float32Array },
  expected: Array64,
  what: string,
) {
  t.deepEqual(got.shape, expected.shape, `${what}: shape`);
  const error = relativeError(got.data, expected.data);
  t.ok(error < 1e-5, `${what}: relative error ${error.toExponential(1)}`);
}

test('adaptive average pooling, from smaller and from larger maps', async (t) => {
  for (const [h, w, rows, columns] of [
    [7, 7, 7, 7],
    [9, 10, 7, 7],
    [1, 1, 7, 7],
    [2, 3, 6, 6],
    [13, 5, 1, 1],
    [11, 6, 3, 2],
    [1, 17, 1, 5],
  ] as const) {
    const x = random([2, 3, h, w]);
    const expected = new Float64Array(6 * rows * columns);
    expected.forEach((_, i) => {
      const [c, r, p] = [i % columns, Math.floor(i / columns) % rows, Math.floor(i / (rows * columns))];
      const [top, bottom] = [Math.floor((r * h) / rows), Math.ceil(((r + 1) * h) / rows)];
      const [left, right] = [Math.floor((c * w) / columns), Math.ceil(((c + 1) * w) / columns)];
      let sum = 0;
      for (let y = top; y < bottom; y++)
        for (let z = left; z < right; z++) sum += x.data[(p * h + y) * w + z]!;
      expected[i] = sum / ((bottom - top) * (right - left));
    });
    const got = await run([adaptiveAvgPool('pool', INPUT, [rows, columns])], x);
    matches(t, got, array([2, 3, rows, columns], expected), `${h}x${w} to ${rows}x${columns}`);
  }
});

test('a channel shuffle deals the groups out in turn', async (t) => {
  const x = array(
    [2, 6, 1, 1],
    Array.from({ length: 12 }, (_, i) => i),
  );
  const two = await run([channelShuffle('shuffle', INPUT, 2)], x);
  t.deepEqual([...two.data], [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11], 'two groups');
  const three = await run([channelShuffle('shuffle', INPUT, 3)], x);
  t.deepEqual([...three.data], [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11], 'three groups');
});

test('a gate spreads over planes; channels have their own scale and shift', async (t) => {
  const x = random([2, 3, 2, 5]);
  const mean = (n: number) => x.data.slice(10 * n, 10 * n + 10).reduce((a, b) => a + b, 0) / 10;
  const gated = await run([adaptiveAvgPool('gate', INPUT, 1), mul('out', INPUT, 'gate')], x);
  const expected = Array.from(x.data, (value, i) => value * mean(Math.floor(i / 10)));
  matches(t, gated, array(x.shape, expected), 'gate');
  const [scale, shift] = [
    [1, -2, 0.5],
    [0, 1, -3],
  ];
  const moved = await run([channelAffine('out', INPUT, { scale, shift })], x);
  const channel = (i: number) => Math.floor(i / 10) % 3;
  const affine = Array.from(x.data, (value, i) => value * scale[channel(i)]! + shift[channel(i)]!);
  matches(t, moved, array(x.shape, affine), 'channel affine');
});

test('tokens: a feature map row by row, behind a class token', async (t) => {
  const x = random([2, 3, 2, 5]);
  const nodes = [toTokens('tokens', INPUT), prependToken('class', 'tokens', 3)];
  const got = await run(nodes, x);
  const expected = Array.from({ length: 2 * 11 * 3 }, (_, i) => {
    const [d, token, n] = [i % 3, Math.floor(i / 3) % 11, Math.floor(i / 33)];
    return token === 0 ? 1 : x.data[(n * 3 + d) * 10 + token - 1]!;
  });
  matches(t, got, array([2, 11, 3], expected), 'tokens');
  const one = await run([...nodes, takeToken('one', 'class', 4)], x);
  t.deepEqual(one.shape, [2, 3]);
  t.deepEqual(
    [...one.data],
    [0, 1].flatMap((n) => [...got.data.slice(33 * n + 12, 33 * n + 15)]),
    'one token of each image',
  );
});

test('attention, head by head', async (t) => {
  for (const [batch, tokens, heads, width] of [
    [2, 5, 3, 2],
    [1, 1, 1, 1],
    [3, 2, 2, 7],
    [2, 17, 3, 4], // whole vec4: read where they lie
    [1, 9, 1, 8],
    [3, 1, 5, 16],
    [2, 67, 2, 12],
    [0, 5, 2, 8],
  ] as const) {
    const d = heads * width;
    const x = random([batch, tokens, 3 * d]);
    const at = (n: number, token: number, part: number, head: number, i: number) =>
      x.data[(n * tokens + token) * 3 * d + part * d + head * width + i]!;
    const range = (count: number) => Array.from({ length: count }, (_, i) => i);
    const sum = (terms: readonly number[]) => terms.reduce((a, b) => a + b, 0);
    const scores = range(batch).flatMap((n) =>
      range(heads).flatMap((h) =>
        range(tokens).flatMap((q) =>
          range(tokens).map(
            (k) => sum(range(width).map((i) => at(n, q, 0, h, i) * at(n, k, 1, h, i))) / Math.sqrt(width),
          ),
        ),
      ),
    );
    const expected = softmax(array([batch, heads, tokens, tokens], scores), 3);
    const nodes = [
      attentionProbabilities('probabilities', INPUT, heads),
      attentionMix('mix', 'probabilities', INPUT, heads),
    ];
    matches(t, await run(nodes.slice(0, 1), x), expected, `probabilities ${batch} x ${tokens} x ${heads}`);
    const mixed = range(batch).flatMap((n) =>
      range(tokens).flatMap((q) =>
        range(d).map((j) => {
          const [h, i] = [Math.floor(j / width), j % width];
          const row = ((n * heads + h) * tokens + q) * tokens;
          return sum(range(tokens).map((k) => expected.data[row + k]! * at(n, k, 2, h, i)));
        }),
      ),
    );
    matches(t, await run(nodes, x), array([batch, tokens, d], mixed), 'mix');
  }
});
