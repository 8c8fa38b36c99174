// Each claim on networks on which it holds, on one on which it need not, and on mutated ones, which it must find out.

import test from 'tape';
import { claims, sameAs, type Verdict, verify } from '../../cam/claims/index.ts';
import {
  add,
  full,
  LimelightError,
  narrow,
  scale,
  stopGradient,
  sub,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import type { Graph } from '../../models/graph.ts';
import { disposeNetwork, layers, open } from '../../models/index.ts';
import { asClass, device } from '../device.ts';
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

/** A graph whose pooling does something to the feature map first. */
const mutated = (change: (x: Tensor) => Tensor): Graph => ({
  ...graphs.gapLinear,
  nodes: graphs.gapLinear.nodes.map((node) =>
    node.name === 'gap' ? { ...node, run: ([x], context) => node.run([change(x!)], context) } : node,
  ),
});

/** Without a bias behind pooling. */
const unbiased: Graph = {
  ...graphs.gapLinear,
  nodes: [
    ...graphs.gapLinear.nodes.slice(0, -1),
    layers.linear('classifier', 'gap', { in: 8, out: 5, bias: false }),
  ],
};

const failing = (found: ReadonlyMap<string, Verdict>) =>
  [...found.values()].filter(({ holds }) => holds === false).map(({ claim }) => claim);

test('claims hold on a shipped network with the kernels for GPUs', async (t) => {
  const on = asClass(await device(), 'gpu');
  const network = await open(on, 'digit-scenes');
  const next = seededRandom(7);
  const picture = tensor(on, Float32Array.from({ length: 64 * 64 }, next), [1, 1, 64, 64]);
  const some = ['completeness', 'hires-cam', 'ablation', 'grad-cam++-closed-form', 'full-grad', 'batch'];
  const found = await verify(network, picture, { claims: some });
  for (const { claim, holds, residual, bound } of found) t.ok(holds, `${claim}: ${residual} of ${bound}`);
  disposeNetwork(network);
  picture.dispose();
});

test('every claim holds on a network with global average pooling and a linear layer', async (t) => {
  for (const seed of [1, 2, 3]) {
    const found = await verdicts(unbiased, seed);
    t.equal(found.size, claims.size);
    for (const [name, { holds, residual, bound }] of found) {
      t.equal(holds, true, `${name}: ${residual} is within ${bound}`);
      t.ok(bound < 1e-4, `${name}: ${bound} is a bound that something can exceed`);
    }
  }
});

test('verifying says which claim it is at, and how far with slow ones', async (t) => {
  const network = randomNetwork(await device(), graphs.smooth);
  const picture = full(network.device, [1, 3, 7, 9], 0.5);
  const said: [claim: string, done: number][] = [];
  const slow = ['gradient', 'score-cam-softmax', 'recipro-cam', 'batch'];
  await verify(network, picture, { claims: slow, progress: (claim, done) => said.push([claim, done]) });
  picture.dispose();
  for (const [i, name] of slow.entries()) {
    const of = said.flatMap(([claim, done]) => (claim === name ? [done] : []));
    t.equal(of[0], i, `${name} begins when ${i} are done`);
    t.ok(name === 'batch' || (of.length > 1 && of.at(-1) === i + 1), `${name} says how far it is: ${of}`);
  }
  t.ok(
    said.every(([, done], i) => i === 0 || done >= said[i - 1]![1]),
    'and it never goes back',
  );
});

test('where a claim does not apply, the first layer that breaks it is named, and by how much it fails', async (t) => {
  const dense = await verdicts(graphs.dense, 1, [6, 8]);
  for (const name of [
    ...['grad-cam-weights', 'completeness', 'hires-cam', 'xgrad-cam-weights', 'ablation'],
    ...['grad-cam++-alpha', 'recipro-cam', 'cosine'],
  ]) {
    const { exempt, holds, residual, bound } = dense.get(name)!;
    t.equal(holds, null, `${name} need not hold`);
    t.match(exempt ?? '', /"pool" \(maxPool/, 'the first layer that breaks it is named');
    t.ok(residual > bound, `and does not: ${residual}`);
  }
  for (const name of [
    'grad-cam++-closed-form',
    'eigen-cam-sign',
    'full-grad',
    'shapley-sum',
    'shapley-cam',
    'gradient',
    'batch',
  ])
    t.equal(dense.get(name)!.holds, true, `${name} holds on a piecewise linear tail`);

  const smooth = await verdicts(graphs.smooth, 1);
  for (const name of ['grad-cam++-closed-form', 'shapley-cam', 'full-grad']) {
    const { exempt, residual, bound } = smooth.get(name)!;
    t.match(exempt ?? '', /"gelu" \(gelu\) is curved/);
    t.ok(residual > bound, `${name} is off by ${residual} on GELU`);
  }

  const cosine = (await verdicts(graphs.gapLinear, 1)).get('cosine')!;
  t.match(cosine.exempt ?? '', /"classifier" is not 0 where "features" is: a bias/);
  t.ok(cosine.residual > cosine.bound, `with a bias it is off by ${cosine.residual}`);
});

/** Cosines of the mean of cells with five vectors, as CLIP's. */
const cosines = (bias: boolean): Graph => ({
  nodes: [
    ...graphs.gapLinear.nodes.slice(0, -2),
    layers.conv('cells', 'features', { in: 8, out: 6, kernel: 1, bias }),
    layers.globalAvgPool('image', 'cells'),
    layers.words('texts', 5, 6),
    layers.similarity('similarity', 'image', 'texts'),
  ],
  output: 'similarity',
});

test('where logits are cosines themselves, Grad-CAM of them adds up to 0', async (t) => {
  for (const seed of [1, 2]) {
    const found = await verdicts(cosines(false), seed);
    t.deepEqual(failing(found), [], 'without its channels a picture has no direction, and a cosine of 0');
    const { exempt, holds, residual, bound } = found.get('cosine')!;
    t.equal(holds, true, `${residual} is within ${bound} ${exempt ?? ''}`);
    const biased = (await verdicts(cosines(true), seed)).get('cosine')!;
    t.match(biased.exempt ?? '', /"cells" is not 0 where "features" is: a bias/);
    t.ok(biased.residual > biased.bound, `with a bias it is off by ${biased.residual}`);
  }
});

test('what a network must have for Eigen-CAM and Score-CAM is looked at', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear, 1);
  const picture = tensor(
    network.device,
    Float32Array.from({ length: 3 * 64 }, (_, i) => 40 * Math.sin(i)),
    [1, 3, 8, 8],
  );
  const asked = { claims: ['eigen-cam-sign', 'score-cam-softmax'], layer: 'conv1' };
  const [eigen, score] = await verify({ ...network, probabilities: 'none' }, picture, asked);
  t.equal(eigen!.exempt, '"conv1" holds numbers below 0');
  t.ok(eigen!.residual > eigen!.bound, `Eigen-CAM goes below 0 by ${eigen!.residual}`);
  t.equal(score!.exempt, 'the network gives no probabilities');
  t.ok(score!.residual > score!.bound, `weights differ by ${score!.residual} powers of e more`);
  picture.dispose();
});

test('a gradient that is not that of the values fails what is said of gradients', async (t) => {
  const twice = await verdicts(
    mutated((x) => sub(scale(x, 2), stopGradient(x))),
    1,
  );
  const onGradients = ['grad-cam-weights', 'completeness', 'hires-cam', 'ablation', 'recipro-cam'];
  t.deepEqual(failing(twice), [...onGradients, 'full-grad', 'shapley-sum', 'gradient']);
  const uneven = await verdicts(
    mutated((x) => {
      const more = narrow(x, 3, 0, 1);
      return add(x, sub(more, stopGradient(more)));
    }),
    1,
  );
  for (const name of ['xgrad-cam-weights', 'grad-cam++-alpha'])
    t.equal(uneven.get(name)!.holds, false, `${name} fails where places have gradients of their own`);
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
