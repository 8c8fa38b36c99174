// Feature maps in a transformer's tokens: which tokens make the grid, and that methods see the grid.

import test from 'tape';
import { explain, observe, targets } from '../../cam/index.ts';
import { concat, flatten, full, mul, narrow, sum, tensor, transpose } from '../../engine/index.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { Graph, GraphNode } from '../../models/graph.ts';
import { conv, globalAvgPool, linear, plain, relu } from '../../models/layers.ts';
import { targetLayers } from '../../models/target-layer.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { randomNetwork } from './networks.ts';

const [HEIGHT, WIDTH, DEPTH, CLASSES] = [3, 5, 4, 3];
const TOKENS = HEIGHT * WIDTH + 1;
/** How much each token counts for the logits; the class token's share comes first. */
const shares = Float32Array.from({ length: TOKENS }, (_, i) => Math.cos(i) + 0.2);

/** 2x2 patches of a 6x10 image as tokens behind a class token, then a weighted mean and a linear layer. */
const graph: Graph = {
  nodes: [
    conv('patches', 'input', { in: 3, out: DEPTH, kernel: 2, stride: 2 }),
    plain('tokens', 'tokens', ['patches'], (x) => {
      const classToken = full(x.device, [x.shape[0]!, 1, DEPTH], 0.5);
      return concat([classToken, transpose(flatten(x, 2), [0, 2, 1])], 1);
    }),
    plain('mixed', 'mix', ['tokens'], (x) => sum(mul(x, tensor(x.device, shares, [1, TOKENS, 1])), [1])),
    linear('classifier', 'mixed', { in: DEPTH, out: CLASSES }),
  ],
  output: 'classifier',
};

test('tokens: the patches are the feature map, the class token stays', async (t) => {
  const network = randomNetwork(await device(), graph, 3, 'tokens');
  const next = seededRandom(1);
  const pixels = Float32Array.from({ length: 3 * 60 }, () => next() - 0.5);
  const x = tensor(network.device, pixels, [1, 3, 6, 10]);
  const trace = observe(network, x);
  const { featureMap, score } = trace.at();
  t.deepEqual(featureMap.shape, [1, DEPTH, HEIGHT, WIDTH]);
  const patches = trace.at('patches').featureMap;
  t.deepEqual(await featureMap.data(), await patches.data(), 'in the order of the picture');
  const logits = await trace.outputs.logits.data();
  for (const index of [0, 1, 2]) {
    // The outputs never went through the grid; the score comes from the grid with its other tokens put back.
    const [again] = await score(targets.logit(index), featureMap).data();
    t.ok(Math.abs(again! - logits[index]!) < 1e-6, 'put together again');
  }

  const w = await network.parameters.get('classifier.weight')!.data();
  const meanShare = shares.slice(1).reduce((a, b) => a + b, 0) / (TOKENS - 1);
  const a = await patches.data();
  const logit = logits[1]!;
  const expected: Record<string, number[]> = {
    // dS/dA_d(t) = share_t w_d
    'grad-cam': Array.from({ length: DEPTH }, (_, d) => w[DEPTH + d]! * meanShare),
    // S - S^d = w_d sum_t share_t A_d(t)
    'ablation-cam': Array.from({ length: DEPTH }, (_, d) => {
      const loss = shares.slice(1).reduce((total, share, i) => total + share * a[d * (TOKENS - 1) + i]!, 0);
      return (w[DEPTH + d]! * loss) / Math.abs(logit);
    }),
  };
  for (const e of await explain(network, x, { methods: Object.keys(expected), classes: [1] })) {
    t.ok(relativeError(await e.weights!.data(), expected[e.method]!) < 1e-5, e.method);
    t.deepEqual(e.map.shape, [HEIGHT, WIDTH]);
  }
});

test('target layers: each can be observed, what has no pixels is none, and the default is among them', async (t) => {
  for (const name of ['digit-vit', 'digit-scenes', 'digit-dense']) {
    const entry = catalogEntry(name);
    const network = randomNetwork(await device(), entry.graph, 1, entry.targetLayer);
    const x = full(network.device, [1, 1, ...(entry.preprocessing.size ?? [64, 64])], 0.5);
    const layers = targetLayers(dryRun(entry.graph, x.shape));
    t.ok(layers.has(entry.targetLayer), `${name}: ${entry.targetLayer}`);
    for (const { name: layer } of entry.graph.nodes) {
      if (layers.has(layer)) observe(network, x, { layers: [layer] }).dispose();
      else t.throws(() => observe(network, x, { layers: [layer] }), /no feature map/, `${name}: ${layer}`);
    }
  }
});

test('channels that come last are channels', async (t) => {
  const turn = (name: string, input: string, order: readonly number[]) =>
    plain(name, 'transpose', [input], (x) => transpose(x, order), { order });
  const turned: Graph = {
    nodes: [
      conv('first', 'input', { in: 3, out: DEPTH, kernel: 2, stride: 2 }),
      turn('last', 'first', [0, 2, 3, 1]),
      relu('features', 'last'),
      turn('back', 'features', [0, 3, 1, 2]),
      globalAvgPool('gap', 'back'),
      linear('classifier', 'gap', { in: DEPTH, out: CLASSES }),
    ],
    output: 'classifier',
  };
  const network = randomNetwork(await device(), turned, 3, 'features');
  const next = seededRandom(2);
  const x = tensor(
    network.device,
    Float32Array.from({ length: 3 * 60 }, () => next() - 0.5),
    [1, 3, 6, 10],
  );
  const layers = targetLayers(dryRun(turned, x.shape));
  t.deepEqual([...layers.keys()], ['first', 'last', 'features', 'back']);
  const mapsAt = (layer: string) =>
    explain(network, x, { methods: ['grad-cam', 'ablation-cam', 'score-cam'], classes: [1], layer });
  const [there, back] = [await mapsAt('features'), await mapsAt('back')];
  for (const [i, e] of there.entries()) {
    t.deepEqual(e.map.shape, [HEIGHT, WIDTH]);
    t.ok(relativeError(await e.map.data(), await back[i]!.map.data()) < 1e-6, e.method);
  }
});

test('tokens that make no grid of the picture are refused', async (t) => {
  const first = plain('tokens.first', 'narrow', ['tokens'], (x) => narrow(x, 1, 0, 11));
  const mixed = plain('mixed', 'sum', ['tokens.first'], (x) => sum(x, [1]));
  const [patches, tokens, , classifier] = graph.nodes as [GraphNode, GraphNode, GraphNode, GraphNode];
  const nodes = [patches, tokens, first, mixed, classifier];
  const network = randomNetwork(await device(), { ...graph, nodes }, 3, 'tokens');
  const x = full(network.device, [1, 3, 6, 10], 1);
  for (const [layer, why] of [
    ['tokens.first', /no feature map: its numbers do not lie on a grid/],
    ['mixed', /no feature map: its numbers are all of one part/],
  ] as const) {
    t.throws(() => observe(network, x, { layers: [layer] }), why, layer);
  }
  t.deepEqual(observe(network, x).at().featureMap.shape, [1, DEPTH, HEIGHT, WIDTH]);
});
