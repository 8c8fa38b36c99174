// What must hold between the methods, on networks of random weights. Tolerance 1e-5 of the largest value: f32 sums of a
// few hundred terms are good to about 1e-6.

import test from 'tape';
import {
  methods as allMethods,
  closedFormAlpha,
  disposeExplanation,
  type Explanation,
  explain,
  explainBatch,
  gradientOf,
  logitTarget,
  logProbabilityTarget,
  observe,
} from '../../cam/index.ts';
import { concat, type Device, mean, scope, type Tensor, tensor } from '../../engine/index.ts';
import type { StateDict } from '../../models/formats/host-tensor.ts';
import type { Graph } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  conv2d,
  directionalDerivative,
  globalAvgPool,
  relativeError,
  resizeBilinear,
  seededRandom,
  softmax,
  unary,
} from '../reference/index.ts';
import { graphs, randomNetwork, randomTensors } from './networks.ts';

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

const onDevice = (on: Device, tensors: StateDict) =>
  new Map([...tensors].map(([key, { data, shape }]) => [key, tensor(on, data, shape)] as const));

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

test('Ablation-CAM: subtracting contributions is removing channels, at any layer', async (t) => {
  const on = await device();
  for (const [name, layer] of [
    ['gapLinear', 'features'],
    ['gapLinear', 'pool'], // two users: a convolution, and a sum that skips it
    ['gapLinear', 'relu1'], // through max pooling
    ['gapLinear', 'conv2'],
    ['convGap', 'features'],
    ['convGap', 'scores'], // the last layer itself
    ['gapConv', 'features'],
    ['dense', 'features'], // through pooling and flattening into a fully connected layer
    ['smooth', 'features'],
  ] as const) {
    const network = randomNetwork(on, graphs[name], 5);
    const observation = observe(network, await image(6, 8), layer);
    const [, channels, h, w] = observation.featureMap.shape as [number, number, number, number];
    const a = await observation.featureMap.data();
    const versions = Array.from({ length: channels }, (_, k) =>
      a.map((v, i) => (Math.floor(i / (h * w)) === k ? 0 : v)),
    );
    const flat = Float32Array.from(versions.flatMap((v) => [...v]));
    const logits = observation.tail(tensor(on, flat, [channels, channels, h, w]));
    for (const [target, scores] of [
      [undefined, logitTarget(1)(logits)],
      [logProbabilityTarget, logProbabilityTarget(1)(logits)],
    ] as const) {
      const [found] = await explain(network, await image(6, 8), {
        methods: ['ablation-cam'],
        classes: [1],
        layer,
        ...(target && { target }),
      });
      const s = (await (target ?? logitTarget)(1)(observation.logits).data())[0]!;
      const expected = [...(await scores.data())].map((without) => (s - without) / Math.abs(s));
      const worst = Math.max(...(await numbers(found, 'weights')).map((v, k) => Math.abs(v - expected[k]!)));
      const largest = Math.max(1, ...expected.map(Math.abs));
      // Differences of logits, divided by one: absolute error some f32 roundings of the logits.
      t.ok(worst < (4e-6 * largest) / Math.min(1, Math.abs(s)), `${name} at ${layer}: ${worst}`);
    }
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

test('Grad-CAM++: alpha behind GAP + linear is 1 / (2 + w_k mean(A_k)), constant in a channel', async (t) => {
  const { network, x, by } = await results(graphs.gapLinear, ['cam'], [8, 8], 2);
  const observation = observe(network, x);
  const g = gradientOf(observation, logitTarget(2));
  const alpha = await closedFormAlpha(observation.featureMap, g).data();
  const [w, as] = [await numbers(by.get('cam'), 'weights'), await observation.featureMap.data()];
  const z = as.length / 8;
  for (let k = 0; k < 8; k++) {
    const meanA = as.slice(k * z, (k + 1) * z).reduce((a, b) => a + b, 0) / z;
    const expected = new Float32Array(z).fill(1 / (2 + w[k]! * meanA));
    t.ok(relativeError(alpha.slice(k * z, (k + 1) * z), expected) < 1e-4, `channel ${k}`);
  }
});

test('Grad-CAM++ says at how many elements its denominator is negative, which a negative feature map can make it', async (t) => {
  const on = await device();
  const network = randomNetwork(on, graphs.gapLinear, 5);
  const x = await image(8, 6, 5);
  const loud = tensor(
    on,
    (await x.data()).map((v) => 50 * v),
    x.shape,
  );
  let most = 0;
  for (const index of [0, 1, 2, 3]) {
    const observation = observe(network, loud, 'conv2');
    const [, , h, w] = observation.featureMap.shape as [number, number, number, number];
    const a = await observation.featureMap.data();
    const g = await gradientOf(observation, logitTarget(index)).data();
    const sums = (i: number) => {
      const start = Math.floor(i / (h * w)) * h * w;
      return a.slice(start, start + h * w).reduce((total, v) => total + v, 0);
    };
    const crossed = [...g].filter((gi, i) => gi > 0 && 2 + gi * sums(i) < 0).length;
    most = Math.max(most, crossed);
    const methods = ['grad-cam++', 'grad-cam++-true'];
    for (const { method, notes } of await explain(network, loud, {
      methods,
      classes: [index],
      layer: 'conv2',
    })) {
      const said = notes.flatMap((note) => /negative at (\d+) elements/.exec(note)?.[1] ?? []);
      t.deepEqual(said, crossed > 0 ? [String(crossed)] : [], `${method}, class ${index}: ${crossed}`);
    }
  }
  t.ok(most > 0, 'somewhere it is');
});

test('Grad-CAM++ behind pooling counts elements, though it differentiates once a channel', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 5);
  tensors.get('classifier.weight')!.data.fill(1);
  tensors.get('conv2.weight')!.data.fill(0);
  tensors.get('conv2.bias')!.data.fill(-30);
  // The feature map, a sum with what skips past the convolution, is about -30 everywhere.
  const graph: Graph = {
    ...graphs.gapLinear,
    nodes: graphs.gapLinear.nodes.map((node) =>
      node.name === 'gap' ? { ...node, inputs: ['conv2'] } : node,
    ),
  };
  const network = { ...randomNetwork(on, graph, 5), parameters: onDevice(on, tensors) };
  const found = await explain(network, await image(8, 6, 5), {
    methods: ['grad-cam++', 'grad-cam++-true'],
    classes: [0],
    layer: 'conv2',
  });
  for (const { method, notes, map } of found) {
    t.match(notes.join(), new RegExp(`negative at ${8 * map.size} elements`), method);
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

test('Score-CAM and its variants: the algorithm, masks made on the host; a constant channel has weight 0', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.dense, 2);
  tensors.get('conv1.weight')!.data.fill(0, 27, 54); // channel 1 of the feature map: its bias everywhere
  tensors.get('conv1.bias')!.data[1] = 0.5;
  const network = { ...randomNetwork(on, graphs.dense, 2), parameters: onDevice(on, tensors) };
  const x = await image(6, 8, 2);
  const index = 1;
  const observation = observe(network, x);
  const a = await observation.featureMap.data();
  const pixels = await x.data();
  const masked = Array.from({ length: 6 }, (_, k) => {
    const u = resizeBilinear(array([1, 1, 6, 8], a.subarray(48 * k, 48 * (k + 1))), [6, 8], false).data;
    const [low, high] = [Math.min(...u), Math.max(...u)];
    return pixels.map((v, i) => (high > low ? (v * (u[i % 48]! - low)) / (high - low) : 0));
  });
  const inputs = tensor(
    on,
    Float32Array.from([...masked, pixels.map(() => 0)].flatMap((v) => [...v])),
    [7, 3, 6, 8],
  );
  const logits = array([7, 4], await observation.forward(inputs).data());
  const column = (of: Array64) => Array.from({ length: 7 }, (_, i) => of.data[4 * i + index]!);
  const [p, s] = [column(softmax(logits, 1)), column(logits)];
  // Channel 1 by construction; ReLU may shut others.
  const varying = masked.flatMap((image, k) => (image.some((v) => v !== 0) ? [k] : []));
  t.ok(varying.length >= 4 && !varying.includes(1));
  const softmaxOf = (f: number[]) => {
    const e = f.slice(0, 6).map((v, k) => (varying.includes(k) ? Math.exp(v - f[6]!) : 0));
    return e.map((v) => v / e.reduce((total, one) => total + one, 0));
  };
  const expected: Record<string, number[]> = {
    'score-cam': softmaxOf(p),
    'score-cam-logit': softmaxOf(s),
    'score-cam-authors': p.slice(0, 6).map((v, k) => (varying.includes(k) ? v : 0)),
  };
  for (const e of await explain(network, x, { methods: Object.keys(expected), classes: [index] })) {
    const w = await numbers(e, 'weights');
    t.equal(w[1], 0, `${e.method}: the constant channel`);
    t.ok(relativeError(w, expected[e.method]!) < TOLERANCE, `${e.method}: weights`);
    const map = Array.from({ length: 48 }, (_, i) =>
      Math.max(
        0,
        expected[e.method]!.reduce((total, v, k) => total + v * a[48 * k + i]!, 0),
      ),
    );
    t.ok(relativeError(await numbers(e, 'map'), map) < TOLERANCE, `${e.method}: map`);
  }
});

test('Score-CAM runs its masked inputs once for all classes and variants', async (t) => {
  const network = randomNetwork(await device(), graphs.dense, 2);
  const reports: number[] = [];
  const options = {
    methods: ['score-cam', 'score-cam-logit'],
    classes: [0, 1, 2],
    progress: (_method: string, share: number) => reports.push(share),
  };
  for (const e of await explain(network, await image(6, 8, 2), options)) disposeExplanation(e);
  t.deepEqual(reports, [1], 'one chunk of six channels');
});

test('a map without positive evidence stays zero and is reported', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 1);
  for (const key of ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias']) {
    tensors.set(key, { ...tensors.get(key)!, data: tensors.get(key)!.data.map(Math.abs) });
  }
  tensors.get('classifier.weight')!.data.fill(-1);
  const network = { ...randomNetwork(on, graphs.gapLinear), parameters: onDevice(on, tensors) };
  const x = tensor(on, new Float32Array(3 * 64).fill(0.5), [1, 3, 8, 8]);
  const [shown] = await explain(network, x, { methods: ['grad-cam'], classes: [0] });
  t.ok((await shown!.upsampled.data()).every((v) => v === 0));
  t.match(shown!.notes.join(), /zero everywhere.*signed/);
  const [signed] = await explain(network, x, { methods: ['grad-cam'], classes: [0], signed: true });
  t.ok(
    (await signed!.upsampled.data()).every((v) => v < 0),
    'the signed map shows what speaks against it',
  );
  t.deepEqual(signed!.notes, []);
});

test('ten thousand explanations leave no memory behind, and an unknown method, class or layer is refused', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const x = await image(8, 8);
  const { memory } = network.device;
  const run = async (methods: string[]) => {
    const found = await explain(network, x, { methods, classes: [0, 1] });
    for (const e of found) disposeExplanation(e);
    return found.length;
  };
  await run([...allMethods.keys()]);
  const before = memory.liveBytes; // with the packed copies that the weights keep
  const pooled = memory.pooledBytes;
  let count = 0;
  while (count < 10_000) count += await run(['cam', 'grad-cam', 'grad-cam++', 'ablation-cam', 'score-cam']);
  t.equal(memory.pooledBytes, pooled, `the pool has not grown after ${count} explanations`);
  t.equal(memory.liveBytes, before, 'live bytes');
  for (const [wrong, message] of [
    [{ methods: ['grad-kam'] }, /no method "grad-kam"; the methods are cam/],
    [{ classes: ['nothing'] }, /no class "nothing"/],
    [{ layer: 'conv9' }, /no node "conv9"; the nodes are conv1/],
    [{ layer: 'gap' }, /no feature map/],
  ] as const) {
    try {
      await explain(network, x, wrong);
      t.fail(`must refuse ${JSON.stringify(wrong)}`);
    } catch (error) {
      t.match(String(error), message);
    }
  }
  t.equal(memory.liveBytes, before, 'live bytes after errors');
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
