// What can be explained of a network's outputs, against float64 on the host.

import test from 'tape';
import { explain, type Outputs, observe, type Target, targets } from '../../cam/index.ts';
import { add, mean, mul, reshape, ScopeError, scope, sum, type Tensor, tensor } from '../../engine/index.ts';
import { type Graph, layers } from '../../models/index.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { randomNetwork } from './networks.ts';

const { conv, globalAvgPool, linear, relu } = layers;

const scoreOf = (target: Target, outputs: Outputs): Tensor => targets.scoreOf(target, outputs);

test('targets of a batch of logits', async (t) => {
  const rows = [
    [1, -2, 0.5],
    [30, 0, -80],
  ];
  const logits = tensor(await device(), rows.flat(), [2, 3]);
  const p = (row: readonly number[], i: number) => 1 / row.reduce((s, z) => s + Math.exp(z - row[i]!), 0);
  const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
  const cases: [Target, (row: readonly number[]) => number][] = [
    [targets.logit(1), (row) => row[1]!],
    [targets.not(0), (row) => -row[0]!],
    [targets.difference(2, 0), (row) => row[2]! - row[0]!],
    [
      {
        logits: [
          [0, 0.5],
          [1, 2],
          [0, 0.25],
        ],
      },
      (row) => 0.75 * row[0]! + 2 * row[1]!,
    ],
    [targets.logProbability(1), (row) => Math.log(p(row, 1))],
    [targets.logProbability(1, 'softmax'), (row) => Math.log(p(row, 1))],
    [targets.logProbability(1, 'sigmoid'), (row) => -Math.log1p(Math.exp(-row[1]!))],
    [targets.logProbability(2, 'sigmoid'), (row) => -Math.log1p(Math.exp(-row[2]!))],
    [targets.probability(0), (row) => p(row, 0)],
    [targets.probability(2, 'sigmoid'), (row) => sigmoid(row[2]!)],
    [targets.value('logits', 2), (row) => row[2]!],
  ];
  for (const [target, expected] of cases) {
    const made = scope(() => scoreOf(target, { logits }));
    t.deepEqual(made.shape, [2]);
    const values = await made.data();
    t.ok(
      rows.every((row, i) => Math.abs(values[i]! - expected(row)) < 1e-5 * (1 + Math.abs(expected(row)))),
      `${values}`,
    );
    made.dispose();
  }
  t.throws(() => targets.probability(0, 'none'), /TargetError|not probabilities/);
  t.throws(() => scoreOf(targets.value('age'), { logits }), /no output "age"; its outputs are logits/);
  logits.dispose();
});

/** Classes, a regression, a segmentation map and an embedding from one feature map. */
const heads: Graph = {
  nodes: [
    conv('conv1', 'input', { in: 3, out: 6, kernel: 3, padding: 1 }),
    relu('early', 'conv1'),
    conv('conv2', 'early', { in: 6, out: 6, kernel: 3, padding: 1 }),
    relu('features', 'conv2'),
    globalAvgPool('gap', 'features'),
    linear('classifier', 'gap', { in: 6, out: 4 }),
    linear('age', 'gap', { in: 6, out: 1 }),
    linear('embedding', 'gap', { in: 6, out: 5 }),
    conv('map', 'features', { in: 6, out: 3, kernel: 1 }),
  ],
  output: 'classifier',
  outputs: new Map([
    ['classes', 'classifier'],
    ['years', 'age'],
    ['text', 'embedding'],
    ['segments', 'map'],
  ]),
};

async function picture(): Promise<Tensor> {
  const next = seededRandom(3);
  return tensor(
    await device(),
    Float32Array.from({ length: 3 * 35 }, () => next() * 2 - 1),
    [1, 3, 5, 7],
  );
}

test('targets of other outputs: values, and gradients against finite differences', async (t) => {
  const network = randomNetwork(await device(), heads, 6);
  const trace = observe(network, await picture());
  t.deepEqual(Object.keys(trace.outputs), ['classes', 'years', 'text', 'segments', 'logits']);
  const embedding = tensor(network.device, [1, -2, 0.5, 0, 3], [5]);
  const mask = tensor(
    network.device,
    Float32Array.from({ length: 35 }, (_, i) => Number(i % 7 > 4)),
    [5, 7],
  );
  const read = async (name: string) => [...(await trace.outputs[name]!.data())];
  const [years, text, segments] = [await read('years'), await read('text'), await read('segments')];
  const e = [1, -2, 0.5, 0, 3];
  const dot = (a: number[], b: number[]) => a.reduce((s, v, i) => s + v * b[i]!, 0);
  const cases: [string, Target, number][] = [
    ['value', targets.value('years'), years[0]!],
    [
      'similarity',
      targets.similarity('text', embedding),
      dot(text, e) / Math.sqrt(dot(text, text) * dot(e, e)),
    ],
    [
      'region',
      targets.region('segments', 1, mask),
      segments.reduce((s, v, i) => s + (Math.floor(i / 35) === 1 && i % 7 > 4 ? v : 0), 0),
    ],
    [
      'several',
      (outputs) => add(scoreOf(targets.value('years'), outputs), scoreOf(targets.logit(2), outputs)),
      years[0]! + (await read('classes'))[2]!,
    ],
  ];
  for (const [name, target, expected] of cases) {
    const [score] = await scope(() => scoreOf(target, trace.outputs)).data();
    t.ok(Math.abs(score! - expected) < 1e-5 * Math.max(1, Math.abs(expected)), `${name}: ${score}`);
    const { featureMap, gradient, score: tail } = trace.at();
    const g = await gradient(target).data();
    const a = await featureMap.data();
    for (const i of [0, 50, 100, 209]) {
      const versions = [-1, 1].flatMap((sign) => [...a].map((v, j) => (j === i ? v + sign * 0.01 : v)));
      const maps = tensor(network.device, versions, [2, 6, 5, 7]);
      const [below, above] = await scope(() => tail(target, maps)).data();
      // A difference of f32 numbers of size 1 over 0.02.
      t.ok(Math.abs((above! - below!) / 0.02 - g[i]!) < 2e-4, `${name}: gradient at ${i}`);
    }
  }
  const [regression] = await explain({ ...network, probabilities: 'none' }, await picture(), {
    methods: ['score-cam'],
    classes: [0],
    target: () => targets.value('years'),
  });
  t.equal(regression!.probability, null);
  t.match(regression!.notes.join(), /f of Score-CAM is the explained value itself/);
});

test('of a cosine behind a projection without bias, evidence for and against cancel', async (t) => {
  // The cosine of c A is that of A for every c > 0, so that by Euler's theorem the sum of A dS/dA is 0.
  const graph: Graph = {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 8, kernel: 3, padding: 1 }),
      relu('features', 'conv1'),
      globalAvgPool('gap', 'features'),
      linear('embedding', 'gap', { in: 8, out: 5, bias: false }),
    ],
    output: 'embedding',
  };
  const network = randomNetwork(await device(), graph, 3);
  const next = seededRandom(4);
  const drawn = (count: number) => Float32Array.from({ length: count }, () => 2 * next() - 1);
  const embedding = tensor(network.device, drawn(5), [5]);
  const x = tensor(network.device, drawn(3 * 9 * 7), [1, 3, 9, 7]);
  const shares = async (target: Target) => {
    const found = await explain(network, x, {
      methods: ['grad-cam', 'hires-cam'],
      classes: [0],
      target: () => target,
      signed: true,
    });
    return Promise.all(
      found.map(async ({ map }) => {
        const values = Array.from(await map.data());
        const [sum, size] = [values, values.map(Math.abs)].map((all) => all.reduce((a, b) => a + b, 0));
        return sum! / size!;
      }),
    );
  };
  for (const share of await shares(targets.similarity('logits', embedding)))
    t.ok(Math.abs(share) < 1e-5, `of the evidence ${share.toExponential(1)} is left`);
  const product: Target = ({ logits }) => reshape(sum(mul(logits, embedding), [1]), [-1]);
  for (const share of await shares(product))
    t.ok(Math.abs(share) > 0.01, `of the product with the same embedding ${share.toFixed(2)}`);
});

test('a trace of several layers costs one pass, and gives what traces of each give', async (t) => {
  const network = randomNetwork(await device(), heads, 6);
  const x = await picture();
  const both = observe(network, x, { layers: ['early', 'features'] });
  for (const layer of ['early', 'features']) {
    const alone = observe(network, x, { layers: [layer] });
    for (const target of [targets.logit(1), targets.logProbability(1), targets.value('years')]) {
      const [found, expected] = [both.at(layer).gradient(target), alone.at(layer).gradient(target)];
      t.ok(relativeError(await found.data(), await expected.data()) < 1e-5, `${layer}: gradient`);
      const later = observe(network, x, { layers: ['early'] })
        .at(layer)
        .gradient(target);
      t.ok(relativeError(await later.data(), await expected.data()) < 1e-5, `${layer}: seen afterwards`);
    }
    t.deepEqual(await both.at(layer).featureMap.data(), await both.value(layer).data());
    alone.dispose();
  }
  const [mean_, max_, ...each] = [
    ...(await explain(both, { methods: ['grad-cam'], classes: [1], fuse: 'mean' })),
    ...(await explain(both, { methods: ['grad-cam'], classes: [1], fuse: 'max' })),
    ...(await explain(both, { methods: ['grad-cam'], classes: [1] })),
  ];
  t.deepEqual(
    [mean_!.layer, mean_!.weights, each.map((e) => e.layer)],
    ['early + features', undefined, ['early', 'features']],
  );
  const maps = await Promise.all(each.map(async (e) => [...(await e.upsampled.data())]));
  const over = (fused: number[]) => fused.map((v) => v / Math.max(...fused));
  const expectedMean = over(maps[0]!.map((v, i) => (v + maps[1]![i]!) / 2));
  const expectedMax = over(maps[0]!.map((v, i) => Math.max(v, maps[1]![i]!)));
  t.ok(relativeError(await mean_!.upsampled.data(), expectedMean) < 1e-6, 'mean');
  t.ok(relativeError(await max_!.upsampled.data(), expectedMax) < 1e-6, 'max');
});

test('an input beside the picture is given as a tensor', async (t) => {
  const graph: Graph = {
    nodes: [
      conv('features', 'input', { in: 3, out: 4, kernel: 3, padding: 1 }),
      globalAvgPool('gap', 'features'),
      layers.add('both', 'gap', 'words'),
      linear('classifier', 'both', { in: 4, out: 3 }),
    ],
    output: 'classifier',
    inputs: ['input', 'words'],
  };
  const network = randomNetwork(await device(), graph, 2);
  const [input, words] = [await picture(), tensor(await device(), [1, -1, 2, 0.5], [1, 4])];
  const logitsOf = async (given: Tensor) => {
    const trace = observe(network, { input, words: given });
    const [found] = await explain(trace, { methods: ['ablation-cam'], classes: [1] });
    t.ok((await found!.weights!.data()).every(Number.isFinite));
    return trace.outputs.logits.data();
  };
  const pooled = await scope(() => mean(observe(network, { input, words }).at().featureMap, [2, 3])).data();
  const [w, b] = await Promise.all(
    ['weight', 'bias'].map((k) => network.parameters.get(`classifier.${k}`)!.data()),
  );
  const host = await words.data();
  const expected = [0, 1, 2].map((c) =>
    pooled.reduce((s, v, k) => s + w![4 * c + k]! * (v + host[k]!), b![c]!),
  );
  t.ok(relativeError(await logitsOf(words), expected) < 1e-5);
  t.throws(() => observe(network, input), /the inputs of random are input, words; "words" is missing/);
  t.throws(() => observe(network, { input, words, more: words }), /"more" is none of them/);
});

test('explaining inside a scope is refused before anything runs', async (t) => {
  const network = randomNetwork(await device(), heads, 6);
  const input = await picture();
  const { memory, commands } = network.device;
  const before = [memory.liveBytes, commands!.dispatches];
  let promise: Promise<unknown> | undefined;
  t.throws(
    () =>
      scope(() => {
        promise = explain(network, input);
        return promise;
      }),
    ScopeError,
  );
  await promise!.then(
    () => t.fail('it was explained'),
    (error: Error) => t.match(error.message, /^explain: it waits for the device.* outside$/),
  );
  t.deepEqual([memory.liveBytes, commands!.dispatches], before);
});
