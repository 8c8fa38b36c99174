// What must hold between the methods, on networks of random weights. Tolerance 1e-5 of the largest value: f32 sums of a
// few hundred terms are good to about 1e-6.

import test from 'tape';
import {
  closedFormAlpha,
  disposeExplanation,
  type Explanation,
  explain,
  explainBatch,
  gradientOf,
  logitTarget,
  observe,
} from '../../cam/index.ts';
import { concat, mean, scope, type Tensor, tensor } from '../../engine/index.ts';
import type { Graph } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { device } from '../device.ts';
import {
  type Array64,
  conv2d,
  directionalDerivative,
  globalAvgPool,
  relativeError,
  seededRandom,
  unary,
} from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';

const TOLERANCE = 1e-5;

async function image(height: number, width: number, seed = 7): Promise<Tensor> {
  const next = seededRandom(seed);
  const values = Float32Array.from({ length: 3 * height * width }, () => next() * 2 - 1);
  return tensor(await device(), values, [1, 3, height, width]);
}

async function results(
  graph: Graph,
  methods: string[],
  size: readonly [number, number],
  seed: number,
  signed = true,
) {
  const network = randomNetwork(await device(), graph, seed);
  const x = await image(...size, seed);
  const found = await explain(network, x, { methods, classes: [2], signed });
  return { network, x, by: new Map(found.map((e) => [e.method, e])) };
}

const numbers = async (e: Explanation | undefined, part: 'map' | 'weights') => e![part]!.data();

for (const [height, width] of [
  [8, 8],
  [7, 11],
  [6, 2],
] as const) {
  test(`GAP + linear, ${height}x${width}: Z times Grad-CAM is CAM, and mean CAM plus bias is the logit`, async (t) => {
    for (const seed of [1, 2, 3]) {
      const { network, by } = await results(graphs.gapLinear, ['cam', 'grad-cam'], [height, width], seed);
      const cam = by.get('cam')!;
      const [w, g] = [await numbers(cam, 'weights'), await numbers(by.get('grad-cam'), 'weights')];
      const z = cam.map.size;
      t.ok(
        relativeError(
          g.map((v) => v * z),
          w,
        ) < TOLERANCE,
        'weights',
      );
      const [m, n] = [await numbers(cam, 'map'), await numbers(by.get('grad-cam'), 'map')];
      t.ok(
        relativeError(
          n.map((v) => v * z),
          m,
        ) < TOLERANCE,
        'maps',
      );
      const bias = (await network.parameters.get('classifier.bias')!.data())[2]!;
      const logit = m.reduce((a, b) => a + b, 0) / z + bias;
      t.ok(Math.abs(logit - cam.logit) < TOLERANCE * Math.max(1, Math.abs(cam.logit)), 'logit');
    }
  });
}

test('1x1 convolution + GAP: the mean of CAM is the logit', async (t) => {
  const { by } = await results(graphs.convGap, ['cam'], [9, 7], 4);
  const cam = by.get('cam')!;
  const m = await numbers(cam, 'map');
  const logit = m.reduce((a, b) => a + b, 0) / m.length;
  t.ok(Math.abs(logit - cam.logit) < TOLERANCE * Math.max(1, Math.abs(cam.logit)));
});

test('Ablation-CAM behind GAP + linear: w_k mean(A_k) / |S|', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const { network, x, by } = await results(graphs.gapLinear, ['cam', 'ablation-cam'], [8, 6], seed);
    const observation = observe(network, x);
    const averages = await scope(() => mean(observation.featureMap, [0, 2, 3])).data();
    const w = await numbers(by.get('cam'), 'weights');
    const { logit } = by.get('cam')!;
    const expected = w.map((v, k) => (v * averages[k]!) / Math.abs(logit));
    const found = await numbers(by.get('ablation-cam'), 'weights');
    // A difference of two logits of size S, divided by S: absolute error some f32 roundings of 1.
    const worst = Math.max(...found.map((v, k) => Math.abs(v - expected[k]!)));
    t.ok(
      worst < 2e-6 * Math.max(1, ...expected.map(Math.abs)),
      `seed ${seed}, S ${logit.toFixed(3)}: ${worst}`,
    );
  }
});

test('Grad-CAM++: closed form equals true derivatives where the tail is piecewise linear', async (t) => {
  for (const [graph, size] of [
    [graphs.gapLinear, [6, 8]],
    [graphs.dense, [6, 8]],
    [graphs.convGap, [5, 7]],
  ] as const) {
    const { by } = await results(graph, ['grad-cam++', 'grad-cam++-true'], size, 3);
    const closed = await numbers(by.get('grad-cam++'), 'weights');
    const exact = await numbers(by.get('grad-cam++-true'), 'weights');
    t.ok(
      closed.some((v) => v > 0),
      'some weight is positive',
    );
    t.ok(relativeError(exact, closed) < TOLERANCE, `error ${relativeError(exact, closed)}`);
  }
});

test('Grad-CAM++: on a GELU tail the true derivatives differ, and match finite differences', async (t) => {
  const { network, x, by } = await results(graphs.smooth, ['grad-cam++', 'grad-cam++-true'], [4, 3], 5);
  const closed = await numbers(by.get('grad-cam++'), 'weights');
  const exact = await numbers(by.get('grad-cam++-true'), 'weights');
  t.ok(relativeError(exact, closed) > 1e-3, 'a tail with curvature shows');
  t.ok(exact.every(Number.isFinite), 'finite');
  const expected = await referenceWeights(network, x);
  t.ok(relativeError(exact, expected) < 1e-4, `error ${relativeError(exact, expected)}`);
});

/** Grad-CAM++ weights of class 2 of the smooth network, its tail in float64 and the diagonal by finite differences. */
async function referenceWeights(network: Network, x: Tensor): Promise<Float64Array> {
  const a32 = await observe(network, x).featureMap.data();
  const shape = [1, 4, 4, 3];
  const host = async (key: string): Promise<Array64> => {
    const value = network.parameters.get(key)!;
    return { shape: value.shape, data: Float64Array.from(await value.data()) };
  };
  const [w2, b2, wc, bc] = [
    await host('conv2.weight'),
    await host('conv2.bias'),
    await host('classifier.weight'),
    await host('classifier.bias'),
  ];
  const tail = (a: Array64): number => {
    const pooled = globalAvgPool(unary.gelu(conv2d(a, w2, { padding: [1, 1, 1, 1] }, b2)));
    return pooled.data.reduce((sum, v, k) => sum + v * wc.data[2 * 6 + k]!, bc.data[2]!);
  };
  const a: Array64 = { shape, data: Float64Array.from(a32) };
  const weights = new Float64Array(4);
  for (let i = 0; i < a.data.length; i++) {
    const k = Math.floor(i / 12);
    const direction: Array64 = { shape, data: new Float64Array(a.data.length) };
    direction.data[i] = 1;
    const [s1, s2, s3] = ([1, 2, 3] as const).map((order) =>
      directionalDerivative(tail, a, direction, order),
    ) as [number, number, number];
    const second = s1 * s1 + s2;
    const third = s1 ** 3 + 3 * s1 * s2 + s3;
    const sumA = a.data.slice(12 * k, 12 * k + 12).reduce((sum, v) => sum + v, 0);
    weights[k]! += (second / (2 * second + sumA * third)) * Math.max(0, s1);
  }
  return weights;
}

test("Grad-CAM++: alpha behind GAP is 1 / (2 + g sum A), constant in a channel; the survey's special case", async (t) => {
  const { network, x } = await results(graphs.gapLinear, ['cam'], [8, 8], 2);
  const observation = observe(network, x);
  const g = gradientOf(observation, logitTarget(2));
  const alpha = await closedFormAlpha(observation.featureMap, g).data();
  const [gs, as] = [await g.data(), await observation.featureMap.data()];
  const z = as.length / 8;
  for (let k = 0; k < 8; k++) {
    const sumA = as.slice(k * z, (k + 1) * z).reduce((a, b) => a + b, 0);
    const expected = new Float32Array(z).fill(1 / (2 + gs[k * z]! * sumA));
    t.ok(relativeError(alpha.slice(k * z, (k + 1) * z), expected) < 1e-4, `channel ${k}`);
  }
});

test('CAM refuses a network with fully connected layers, naming the layer', async (t) => {
  const network = randomNetwork(await device(), graphs.dense);
  try {
    await explain(network, await image(6, 8), { methods: ['cam'] });
    t.fail('must refuse');
  } catch (error) {
    t.match(String(error), /LayerError.*"relu" \(relu\) stands where global average pooling should/s);
  }
});

test('Score-CAM: weights are a softmax, a constant channel has none', async (t) => {
  const { by } = await results(graphs.dense, ['score-cam'], [6, 8], 2, false);
  const w = await numbers(by.get('score-cam'), 'weights');
  t.ok(Math.abs(w.reduce((a, b) => a + b, 0) - 1) < 1e-5, 'sums to 1');
  const map = await numbers(by.get('score-cam'), 'map');
  t.ok(
    map.every((v) => v >= 0 && Number.isFinite(v)),
    'non-negative and finite',
  );
});

test('an explanation leaves no memory behind, and an unknown method, class or layer is refused', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const x = await image(8, 8);
  const options = {
    methods: ['cam', 'grad-cam', 'grad-cam++', 'grad-cam++-true', 'ablation-cam', 'score-cam'],
    classes: [0, 1],
  };
  for (const e of await explain(network, x, options)) disposeExplanation(e);
  const before = network.device.memory.liveBytes; // with the packed copies that the weights keep
  for (let i = 0; i < 19; i++) {
    for (const e of await explain(network, x, options)) disposeExplanation(e);
  }
  t.equal(network.device.memory.liveBytes, before, 'live bytes');
  for (const [wrong, message] of [
    [{ methods: ['grad-kam'] }, /no method "grad-kam"; the methods are cam/],
    [{ classes: ['nothing'] }, /no class "nothing"/],
    [{ layer: 'conv9' }, /no node "conv9"; its nodes are conv1/],
    [{ layer: 'gap' }, /not a feature map/],
  ] as const) {
    try {
      await explain(network, x, wrong);
      t.fail(`must refuse ${JSON.stringify(wrong)}`);
    } catch (error) {
      t.match(String(error), message);
    }
  }
  t.equal(network.device.memory.liveBytes, before, 'live bytes after errors');
});

test('a batch of images is explained as each of them alone', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const images = [await image(8, 6, 1), await image(8, 6, 2)];
  const options = { methods: ['grad-cam', 'score-cam'] };
  const together = await explainBatch(network, concat(images, 0), options);
  t.equal(together.length, 2);
  for (const [i, one] of images.entries()) {
    const alone = await explain(network, one, options);
    for (const [k, expected] of alone.entries()) {
      const found = together[i]![k]!;
      t.equal(found.classIndex, expected.classIndex);
      t.deepEqual(await found.map.data(), await expected.map.data(), `image ${i}, ${found.method}`);
    }
  }
});
