// Each claim on networks on which it holds, on one on which it need not, and on mutated ones, which it must find out.

import test from 'tape';
import { sameAs, type Verdict, verify } from '../../cam/claims/index.ts';
import {
  add,
  full,
  LimelightError,
  scale,
  stopGradient,
  sub,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import type { Graph } from '../../models/graph.ts';
import { layers } from '../../models/index.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';

async function verdicts(graph: Graph, seed: number, [h, w] = [7, 9]): Promise<Map<string, Verdict>> {
  const next = seededRandom(seed);
  const values = Float32Array.from({ length: 3 * h! * w! }, () => next() * 2 - 1);
  const picture = tensor(await device(), values, [1, 3, h!, w!]);
  const found = await verify(randomNetwork(await device(), graph, seed), picture);
  picture.dispose();
  return new Map(found.map((verdict) => [verdict.claim, verdict]));
}

/** A graph between whose feature map and head stands another layer. */
const mutated = (run: (x: Tensor) => Tensor): Graph => ({
  nodes: [
    ...graphs.gapLinear.nodes.filter(({ name }) => name !== 'gap' && name !== 'classifier'),
    layers.plain('mutation', 'mutation', ['features'], run),
    layers.globalAvgPool('gap', 'mutation'),
    layers.linear('classifier', 'gap', { in: 8, out: 5 }),
  ],
  output: 'classifier',
});

test('every claim holds on a network with global average pooling and a linear layer', async (t) => {
  for (const seed of [1, 2, 3]) {
    for (const [name, { holds, residual, bound }] of await verdicts(graphs.gapLinear, seed)) {
      t.equal(holds, true, `${name}: ${residual} is within ${bound}`);
      t.ok(bound < 1e-4, `${name}: ${bound} is a bound that something can exceed`);
    }
  }
});

test('where the rest is not linear, the layer is named at which it ends, and by how much claims fail', async (t) => {
  const found = await verdicts(graphs.dense, 1, [6, 8]);
  for (const name of ['grad-cam-weights', 'completeness', 'ablation']) {
    const { exempt, holds, residual, bound } = found.get(name)!;
    t.equal(holds, null, `${name} need not hold`);
    t.match(exempt ?? '', /"pool" \(maxPool/, 'the first layer that bends is named');
    t.ok(residual > bound, `and does not: ${residual}`);
  }
  t.equal(found.get('batch')!.holds, true, 'batches are alike on every network');
});

test('a gradient that is not that of the values fails what is said of gradients', async (t) => {
  const found = await verdicts(
    mutated((x) => sub(scale(x, 2), stopGradient(x))),
    1,
  );
  const failing = [...found.values()].filter(({ holds }) => holds === false).map(({ claim }) => claim);
  t.deepEqual(failing, ['grad-cam-weights', 'completeness', 'ablation']);
});

test('rows of a batch that see one another fail the claim on batches', async (t) => {
  const found = await verdicts(
    mutated((x) => add(x, sum(x, [0], true))),
    1,
  );
  t.equal(found.get('batch')!.holds, false);
});

test('another file of a network is told from another network', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear, 1);
  const picture = full(network.device, [1, 3, 8, 8], 0.5);
  const other = (seed: number) => sameAs(randomNetwork(network.device, graphs.gapLinear, seed));
  const found = await verify(network, picture, { claims: [other(1), other(2)] });
  t.deepEqual(
    found.map(({ holds }) => holds),
    [true, false],
  );
  const fewer = sameAs(randomNetwork(network.device, graphs.convGap, 1));
  for (const [claim, message] of [
    [fewer, /5 logits and random gives 4/],
    ['beauty', /no claim "beauty"/],
  ] as const) {
    const error = await verify(network, picture, { claims: [claim] }).catch((thrown) => thrown);
    t.ok(error instanceof LimelightError && message.test(error.message), String(error));
  }
  picture.dispose();
});
