// What a dry run finds: where in the picture the elements of values lie, what depends on what linearly, what it costs.

import test from 'tape';
import { counted } from '../../engine/facts.ts';
import * as ops from '../../engine/index.ts';
import { dryDevice, placeholder, type Tensor, tensor } from '../../engine/index.ts';
import { dryRun, firstCurved, firstNonlinear } from '../../models/dry-run.ts';
import { featureMapView } from '../../models/feature-map.ts';
import { type Graph, type GraphNode, INPUT } from '../../models/graph.ts';
import * as layers from '../../models/layers.ts';
import { targetLayers } from '../../models/target-layer.ts';
import { device } from '../device.ts';

const graphOf = (...nodes: GraphNode[]): Graph => ({ nodes, output: nodes.at(-1)!.name });
const step = (name: string, input: string, run: (x: Tensor) => Tensor): GraphNode =>
  layers.plain(name, name, [input], run);

/** A picture whose pixels hold their own number, so that any moving of them can be followed. */
const numbered = async (height: number, width: number): Promise<Tensor> =>
  tensor(
    await device(),
    Float32Array.from({ length: height * width }, (_, i) => i),
    [1, 1, height, width],
  );

/** What is moved about, and back into a grid of the same size, or of one cell for each block of so many pixels. */
const moves: readonly (readonly [name: string, block: number, run: (x: Tensor) => Tensor])[] = [
  ['channels last', 1, (x) => ops.transpose(x, [0, 2, 3, 1])],
  ['columns first', 1, (x) => ops.transpose(x, [0, 1, 3, 2])],
  ['tokens', 1, (x) => ops.transpose(ops.flatten(x, 2), [0, 2, 1])],
  ['channels of tokens', 1, (x) => ops.flatten(x, 2)],
  [
    'tokens from the last to the first',
    1,
    (x) => ops.slice(ops.flatten(x, 2), [0, 0, -1], [1, 1, -99], [1, 1, -1]),
  ],
  [
    'tokens between others',
    1,
    (x) => {
      const rows = ops.transpose(ops.flatten(x, 2), [0, 2, 1]);
      const extra = (n: number) => ops.full(x.device, [x.shape[0]!, n, 1], -1);
      return ops.concat(
        [extra(2), ops.narrow(rows, 1, 0, 7), extra(1), ops.narrow(rows, 1, 7, 17), extra(3)],
        1,
      );
    },
  ],
  [
    'tokens in the order of windows of 2 x 3',
    1,
    (x) => {
      const windows = ops.reshape(x, [x.shape[0]!, 2, 2, 2, 3]);
      return ops.reshape(ops.transpose(windows, [0, 1, 3, 2, 4]), [x.shape[0]!, 24, 1]);
    },
  ],
  [
    'tokens that were gathered',
    1,
    (x) => {
      const order = Array.from({ length: 24 }, (_, i) => (i * 7) % 24);
      return ops.gather(ops.flatten(x, 2), ops.indexTensor(x.device, order, [24]), 2);
    },
  ],
  [
    'blocks of 2 x 2 pixels as channels',
    2,
    (x) => {
      const blocks = ops.reshape(x, [x.shape[0]!, 2, 2, 3, 2]);
      const deep = ops.reshape(ops.transpose(blocks, [0, 2, 4, 1, 3]), [x.shape[0]!, 4, 2, 3]);
      return ops.sum(deep, [1], true);
    },
  ],
];

test('a feature map is seen in whatever order its elements come, and put back as they were', async (t) => {
  const x = await numbered(4, 6);
  for (const [name, block, run] of moves) {
    const graph = graphOf(step('moved', INPUT, run));
    const view = featureMapView(dryRun(graph, x.shape).places.get('moved'));
    if (typeof view === 'string') {
      t.fail(`${name}: ${view}`);
      continue;
    }
    t.deepEqual(view.grid, [4 / block, 6 / block], name);
    const moved = run(x);
    const seen = Array.from(await view.toMap(moved).data());
    if (block === 1) t.deepEqual(seen, Array.from(await x.data()), `${name}: row by row`);
    const two = ops.concat([view.toMap(moved), ops.affine(view.toMap(moved), 2, 0)], 0);
    const back = view.fromMap(two, moved);
    t.deepEqual(back.shape, [2, ...moved.shape.slice(1)], `${name}: one output a map`);
    const expected = Array.from(await moved.data());
    const found = Array.from(await back.data());
    t.deepEqual(found.slice(0, expected.length), expected, `${name}: as it was`);
    const doubled = expected.map((n) => (n === -1 ? -1 : 2 * n));
    t.deepEqual(found.slice(expected.length), doubled, `${name}: what is on no grid stays`);
  }
});

test('what is no feature map is said to be none, and why', (t) => {
  const reasons: readonly (readonly [RegExp, (x: Tensor) => Tensor])[] = [
    [/sees the whole picture/, (x) => ops.mean(x, [2, 3])],
    [/sees the whole picture/, (x) => ops.matmul(ops.flatten(x), ops.full(x.device, [24, 5], 1))],
    [/not come from the picture/, (x) => ops.full(x.device, [1, 3, 4, 6], 1)],
    [/one part of the picture/, (x) => ops.narrow(ops.narrow(x, 2, 0, 1), 3, 0, 1)],
    [/pictures of their own/, (x) => ops.reshape(x, [4, 6, 1])],
    [/not lie on a grid/, (x) => ops.narrow(ops.flatten(x, 2), 2, 0, 11)],
    [/2 axes of channels/, (x) => ops.broadcastTo(ops.reshape(x, [1, 1, 1, 24]), [1, 2, 3, 24])],
  ];
  for (const [reason, run] of reasons) {
    const graph = graphOf(step('made', INPUT, run));
    const view = featureMapView(dryRun(graph, [1, 1, 4, 6]).places.get('made'));
    t.match(typeof view === 'string' ? view : `a grid of ${view.grid}`, reason);
  }
  t.end();
});

test('windows lay a new grid over the picture, sums keep the one that has no gaps', (t) => {
  const graph: Graph = {
    nodes: [
      layers.conv('overlapping', INPUT, { in: 1, out: 8, kernel: 7, stride: 3, padding: 1 }),
      layers.conv('branch', 'overlapping', { in: 8, out: 8, kernel: 3, stride: 2, padding: 1 }),
      step('thinned', 'overlapping', (x) => ops.slice(x, [0, 0, 0, 0], [99, 99, 99, 99], [1, 1, 2, 2])),
      layers.add('sum', 'branch', 'thinned'),
      step('gate', 'sum', (x) => ops.sigmoid(ops.mean(x, [2, 3], true))),
      layers.mul('gated', 'sum', 'gate'),
      layers.globalAvgPool('pool', 'gated'),
      layers.linear('fc', 'pool', { in: 8, out: 2 }),
    ],
    output: 'fc',
  };
  const grids = [...targetLayers(dryRun(graph, [1, 1, 40, 64]))].map(([name, { grid }]) => [name, ...grid]);
  t.deepEqual(grids, [
    ['overlapping', 12, 20],
    ['branch', 6, 10],
    ['thinned', 6, 10],
    ['sum', 6, 10],
    ['gated', 6, 10],
  ]);
  t.end();
});

test('the first layer that is not linear is named, whatever the others are', (t) => {
  const linear: readonly GraphNode[] = [
    layers.conv('conv', 'features', { in: 4, out: 4, kernel: 3, padding: 1 }),
    layers.batchNorm('norm', 'conv', 4),
    layers.add('sum', 'norm', 'features'),
    layers.avgPool('pool', 'sum', { kernel: 2, stride: 2 }),
    layers.concat('concat', ['pool', 'pool']),
    layers.globalAvgPool('gap', 'concat'),
    layers.linear('hidden', 'gap', { in: 8, out: 5 }),
    layers.dropout('dropout', 'hidden'),
    layers.linear('fc', 'dropout', { in: 5, out: 2 }),
  ];
  const features = layers.relu('features', INPUT);
  const at = (nodes: readonly GraphNode[]) =>
    firstNonlinear(dryRun({ nodes: [features, ...nodes], output: 'fc' }, [1, 4, 8, 8]), 'features')?.name;
  t.equal(at(linear), undefined, 'convolution, norm, sum, pooling, concatenation, two linear layers');
  const replaced = (name: string, node: GraphNode) => linear.map((one) => (one.name === name ? node : one));
  t.equal(at(replaced('dropout', layers.relu('dropout', 'hidden'))), 'dropout');
  t.equal(at(replaced('pool', layers.maxPool('pool', 'sum', { kernel: 2, stride: 2 }))), 'pool');
  t.equal(at(replaced('sum', layers.mul('sum', 'norm', 'features'))), 'sum', 'a product of two that depend');
  t.equal(
    at(replaced('sum', layers.plain('sum', 'gate', ['norm', INPUT], ops.mul))),
    undefined,
    'a product with what does not depend',
  );
  t.equal(
    at(
      replaced(
        'gap',
        step('gap', 'concat', (x) => ops.max(x, [2, 3])),
      ),
    ),
    'gap',
  );
  t.end();
});

test('ReLU and maxima are affine between kinks, GELU and products are not', (t) => {
  const nodes: readonly GraphNode[] = [
    layers.relu('features', INPUT),
    layers.conv('conv', 'features', { in: 4, out: 4, kernel: 3, padding: 1 }),
    layers.relu('relu', 'conv'),
    layers.maxPool('pool', 'relu', { kernel: 2, stride: 2 }),
    layers.batchNorm('norm', 'pool', 4),
    step('last', 'norm', ops.relu6),
    layers.globalAvgPool('gap', 'last'),
    layers.linear('fc', 'gap', { in: 4, out: 2 }),
  ];
  const at = (...changed: readonly GraphNode[]) => {
    const graph = nodes.map((node) => changed.find(({ name }) => name === node.name) ?? node);
    return firstCurved(dryRun({ nodes: graph, output: 'fc' }, [1, 4, 8, 8]), 'features')?.name;
  };
  t.equal(at(), undefined);
  t.equal(
    at(step('last', 'norm', (x) => ops.max(ops.abs(ops.leakyRelu(x, 0.1)), [2, 3], true))),
    undefined,
    'maxima over axes, magnitudes, a leaky ReLU',
  );
  t.equal(at(layers.gelu('last', 'norm')), 'last');
  t.equal(at(step('last', 'norm', (x) => ops.mul(x, ops.relu(x)))), 'last', 'a product of two that depend');
  t.equal(at(step('last', 'norm', ops.softplus), layers.gelu('relu', 'conv')), 'relu', 'the first of two');
  t.end();
});

test('multiply-adds of products are those of the operations in a layer', (t) => {
  const dry = dryDevice();
  const of = (...shape: number[]) => placeholder(dry, shape);
  const cost = (f: () => Tensor) => counted(f).multiplyAdds;
  t.equal(
    cost(() => ops.matmul(of(2, 3, 4, 5), of(2, 3, 5, 7))),
    2 * 3 * 4 * 5 * 7,
  );
  t.equal(
    cost(() => ops.matmul(of(5, 4), of(7, 5), true, true)),
    4 * 5 * 7,
  );
  t.equal(
    cost(() => ops.linear(of(2, 9, 5), of(7, 5))),
    2 * 9 * 5 * 7,
  );
  t.equal(
    cost(() => ops.conv2d(of(2, 6, 5, 4), of(8, 3, 3, 3), { groups: 2 })),
    2 * 8 * 3 * 2 * 3 * 9,
  );
  const options = { stride: [2, 2] as const };
  t.equal(
    cost(() => ops.convTranspose2d(of(1, 6, 5, 4), of(6, 2, 3, 3), [11, 9], options)),
    5 * 4 * 6 * 2 * 9,
  );
  t.equal(
    cost(() => ops.relu(of(9, 9))),
    0,
  );
  // Queries times keys, and probabilities times values: T x T x D each.
  const qkv = of(1, 10, 3 * 8);
  t.equal(
    cost(() => ops.attentionMix(ops.attentionProbabilities(qkv, 2), qkv, 2)),
    2 * 10 * 10 * 8,
  );
  t.end();
});
