// Which layer is explained where nobody says, in graphs as exporters write them: norms in parts, attention with the
// tokens first, axes of space before the channels.

import test from 'tape';
import * as ops from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import { type Graph, type GraphNode, INPUT } from '../../models/graph.ts';
import * as layers from '../../models/layers.ts';
import { defaultTargetLayer, targetLayers } from '../../models/target-layer.ts';

const INPUT_SHAPE = [1, 3, 32, 48];

const target = (nodes: readonly GraphNode[]) => {
  const graph: Graph = { nodes, output: nodes.at(-1)!.name };
  return defaultTargetLayer(dryRun(graph, INPUT_SHAPE));
};

const turn = (name: string, input: string, order: readonly number[]): GraphNode =>
  layers.plain(name, 'transpose', [input], (x) => ops.transpose(x, order), { order });
const view = (name: string, input: string, shape: readonly number[]): GraphNode =>
  layers.plain(name, 'reshape', [input], (x) => ops.reshape(x, shape));
const add = (name: string, a: string, b: string): GraphNode => layers.add(name, a, b);

/** Tokens [N, 24, 16] of patches of 8 x 8. */
const patches: readonly GraphNode[] = [
  layers.conv('patch', INPUT, { in: 3, out: 16, kernel: 8, stride: 8 }),
  view('flat', 'patch', [-1, 16, 24]),
  turn('tokens', 'flat', [0, 2, 1]),
];

/** A norm as it is written before opset 17: its last node has the values. */
const norm = (name: string, input: string): GraphNode[] => [
  layers.plain(`${name}.mean`, 'reduceMean', [input], (x) => ops.mean(x, [2], true), { axes: [2] }),
  layers.plain(`${name}.centred`, 'sub', [input, `${name}.mean`], ops.sub),
  layers.plain(`${name}.square`, 'pow', [`${name}.centred`], (x) => ops.mul(x, x)),
  layers.plain(`${name}.variance`, 'reduceMean', [`${name}.square`], (x) => ops.mean(x, [2], true), {
    axes: [2],
  }),
  layers.plain(name, 'div', [`${name}.centred`, `${name}.variance`], ops.div),
];

/** Attention over [T, N, D] with one projection for queries, keys and values, as PyTorch's exporter writes it. */
const attention = (name: string, input: string): GraphNode[] => [
  turn(`${name}.first`, input, [1, 0, 2]),
  layers.linear(`${name}.qkv`, `${name}.first`, { in: 16, out: 48 }),
  ...(['q', 'k', 'v'] as const).flatMap((part, i) => [
    layers.plain(`${name}.${part}`, 'split', [`${name}.qkv`], (x) => ops.narrow(x, 2, 16 * i, 16)),
    turn(`${name}.${part}.back`, `${name}.${part}`, [1, 0, 2]),
  ]),
  layers.plain(`${name}.scores`, 'matmul', [`${name}.q.back`, `${name}.k.back`], (q, k) =>
    ops.matmul(q, k, false, true),
  ),
  layers.plain(`${name}.softmax`, 'softmax', [`${name}.scores`], (x) => ops.softmax(x, 2)),
  layers.plain(name, 'matmul', [`${name}.softmax`, `${name}.v.back`], (a, v) => ops.matmul(a, v)),
];

const firstToken: readonly GraphNode[] = [
  layers.plain('first', 'gather', ['normed'], (x) => ops.reshape(ops.narrow(x, 1, 0, 1), [-1, 16])),
  layers.linear('head', 'first', { in: 16, out: 5 }),
];
const meanOfTokens: readonly GraphNode[] = [
  layers.plain('others', 'slice', ['normed'], (x) => ops.narrow(x, 1, 1, 23)),
  layers.plain('pool', 'reduceMean', ['others'], (x) => ops.mean(x, [1]), { axes: [1] }),
  layers.linear('head', 'pool', { in: 16, out: 5 }),
];
const pooledTurned: readonly GraphNode[] = [
  turn('turned', 'normed', [0, 2, 1]),
  layers.plain('pool', 'globalAvgPool', ['turned'], (x) => ops.mean(x, [2])),
  layers.linear('head', 'pool', { in: 16, out: 5 }),
];

test('tokens that enter the last attention, however norm and attention are written', (t) => {
  const block = [
    ...patches,
    ...norm('norm1', 'tokens'),
    ...attention('attention', 'norm1'),
    add('sum', 'tokens', 'attention'),
    ...norm('normed', 'sum'),
  ];
  t.equal(target([...block, ...firstToken]), 'norm1', 'norm first');
  t.equal(target([...block, ...meanOfTokens]), 'normed', 'all tokens are averaged: those of the last norm');
  t.equal(target([...block, ...pooledTurned]), 'normed', 'averaged by a pooling');
  const after = [
    ...patches,
    ...attention('attention', 'tokens'),
    add('sum', 'attention', 'tokens'),
    ...norm('normed', 'sum'),
  ];
  t.equal(
    target([...after, ...firstToken]),
    'patch',
    'norm last: tokens say no more than the map that they were',
  );
  const mixer = [...patches, ...norm('normed', 'tokens'), ...meanOfTokens];
  t.equal(target(mixer), 'normed', 'without attention');
  t.end();
});

test('attention within a convolutional network leaves the last feature map', (t) => {
  const nodes = [
    layers.conv('conv', INPUT, { in: 3, out: 16, kernel: 8, stride: 8 }),
    view('flat', 'conv', [-1, 16, 24]),
    turn('tokens', 'flat', [0, 2, 1]),
    ...attention('attention', 'tokens'),
    turn('back', 'attention', [0, 2, 1]),
    view('map', 'back', [-1, 16, 4, 6]),
    add('sum', 'conv', 'map'),
    layers.relu('relu', 'sum'),
    layers.globalAvgPool('pool', 'relu'),
    layers.flatten('flatten', 'pool'),
    layers.linear('head', 'flatten', { in: 16, out: 5 }),
  ];
  t.equal(target(nodes), 'relu');
  t.end();
});

test('[N, h, w, K] is a feature map as well', (t) => {
  const nodes = [
    layers.conv('conv', INPUT, { in: 3, out: 16, kernel: 8, stride: 8 }),
    turn('last', 'conv', [0, 2, 3, 1]),
    layers.linear('linear', 'last', { in: 16, out: 20 }),
    turn('first', 'linear', [0, 3, 1, 2]),
    layers.globalAvgPool('pool', 'first'),
    layers.flatten('flatten', 'pool'),
    layers.linear('head', 'flatten', { in: 20, out: 5 }),
  ];
  const graph: Graph = { nodes, output: 'head' };
  t.deepEqual([...targetLayers(dryRun(graph, INPUT_SHAPE)).keys()], ['conv', 'last', 'linear', 'first']);
  t.equal(target(nodes), 'linear', 'a turn says no more than the map before it');
  const swapped = [nodes[0]!, turn('swapped', 'conv', [0, 1, 3, 2]), ...nodes.slice(4)].map((node) =>
    node.name === 'pool' ? layers.globalAvgPool('pool', 'swapped') : node,
  );
  swapped.splice(-1, 1, layers.linear('head', 'flatten', { in: 16, out: 5 }));
  t.equal(target(swapped), 'conv', 'a turn that leaves a map is the map before it');
  t.end();
});

test('a window behind a padding of two sides, as Keras writes strides, lies on a grid', (t) => {
  const nodes = [
    layers.conv('stem', INPUT, { in: 3, out: 4, kernel: 3, padding: 1 }),
    layers.plain('pad', 'pad', ['stem'], (x) => ops.pad(x, [0, 0, 0, 0], [0, 0, 1, 1])),
    layers.conv('thinned', 'pad', { in: 4, out: 4, kernel: 3, stride: 2 }),
  ];
  const found = targetLayers(dryRun({ nodes, output: 'thinned' }, INPUT_SHAPE));
  t.deepEqual(found.get('thinned')!.grid, [16, 24]);
  t.end();
});
