// What must hold between the methods, on networks of random weights. Tolerance 1e-5 of the largest value: f32 sums of a
// few hundred terms are good to about 1e-6.

import test from 'tape';
import {
  methods as allMethods,
  camLayer,
  camRefusal,
  disposeExplanation,
  type Explanation,
  explain,
  explainBatch,
  observe,
  type Target,
  targets,
} from '../../cam/index.ts';
import {
  affine,
  concat,
  type Device,
  full,
  mean,
  mul,
  reshape,
  scale,
  scope,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { StateDict } from '../../models/formats/host-tensor.ts';
import type { Graph, GraphNode } from '../../models/graph.ts';
import { layers } from '../../models/index.ts';
import type { Network } from '../../models/network.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  directionalDerivative,
  relativeError,
  resizeBilinear,
  seededRandom,
  softmax,
} from '../reference/index.ts';
import { graphs, randomNetwork, randomTensors } from './networks.ts';
import { smoothTail } from './smooth-tail.ts';

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

const term = (e: Explanation, symbol: string): Promise<Float32Array> =>
  e.terms.find((one) => one.symbol === symbol)!.tensor.data();

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

/** Heads to which CAM applies, after the layer `features` of 6 channels: 4 classes, and the layer that CAM weighs. */
const heads: Record<string, { readonly nodes: readonly GraphNode[]; readonly at?: string }> = {
  'GAP + linear': {
    nodes: [layers.globalAvgPool('gap', 'features'), layers.linear('y', 'gap', { in: 6, out: 4 })],
  },
  'GAP that keeps its axes + 1x1 convolution + reshape': {
    nodes: [
      layers.adaptiveAvgPool('gap', 'features', 1),
      layers.conv('scores', 'gap', { in: 6, out: 4, kernel: 1 }),
      layers.flatten('y', 'scores'),
    ],
  },
  'mean over rows, then over columns': {
    nodes: [
      layers.plain('rows', 'mean', ['features'], (x) => mean(x, [3])),
      layers.plain('gap', 'mean', ['rows'], (x) => mean(x, [2])),
      layers.linear('y', 'gap', { in: 6, out: 4 }),
    ],
  },
  'flatten + mean': {
    nodes: [
      layers.plain('flat', 'flatten', ['features'], (x) => reshape(x, [x.shape[0]!, 6, -1])),
      layers.plain('gap', 'mean', ['flat'], (x) => mean(x, [2])),
      layers.linear('y', 'gap', { in: 6, out: 4 }),
    ],
  },
  'sum, then a factor': {
    nodes: [
      layers.plain('sum', 'sum', ['features'], (x) => sum(x, [2, 3])),
      layers.plain('gap', 'scale', ['sum'], (x) => scale(x, 1 / 63)),
      layers.linear('y', 'gap', { in: 6, out: 4 }),
    ],
  },
  'GAP + dropout + linear + linear': {
    nodes: [
      layers.globalAvgPool('gap', 'features'),
      layers.dropout('drop', 'gap'),
      layers.linear('hidden', 'drop', { in: 6, out: 5 }),
      layers.linear('y', 'hidden', { in: 5, out: 4 }),
    ],
  },
  'flatten + linear, a weight an element': {
    nodes: [layers.flatten('flat', 'features'), layers.linear('y', 'flat', { in: 6 * 63, out: 4 })],
  },
  '3x3 convolution + GAP': {
    nodes: [
      layers.conv('scores', 'features', { in: 6, out: 4, kernel: 3, padding: 1 }),
      layers.globalAvgPool('y', 'scores'),
    ],
    at: 'scores',
  },
  '1x1 convolution + ReLU + GAP': {
    nodes: [
      layers.conv('raw', 'features', { in: 6, out: 4, kernel: 1 }),
      layers.relu('scores', 'raw'),
      layers.globalAvgPool('y', 'scores'),
    ],
    at: 'scores',
  },
};

for (const [title, { nodes, at = 'features' }] of Object.entries(heads)) {
  test(`CAM, ${title}: Z times Grad-CAM is CAM, and mean CAM plus what is left without A is the logit`, async (t) => {
    const stem = [
      layers.conv('conv1', 'input', { in: 3, out: 6, kernel: 3, padding: 1 }),
      layers.relu('features', 'conv1'),
    ];
    const network = randomNetwork(await device(), { nodes: [...stem, ...nodes], output: 'y' }, 8);
    const trace = observe(network, await image(9, 7), { layers: ['features'] });
    const outputs = await trace.outputs.logits.data();
    const channels = at === 'features' ? undefined : await trace.value(at).data();
    let least = 0;
    for (const index of [0, 1, 2, 3]) {
      const [cam] = await explain(trace, { methods: ['cam'], classes: [index] });
      const [gradCam] = await explain(trace, {
        methods: ['grad-cam'],
        classes: [index],
        layer: at,
        signed: true,
      });
      const m = await numbers(cam, 'map');
      const seen = trace.at(at);
      // One weight a channel says all where every element of a channel has the same.
      if (!title.includes('element')) {
        const scaled = (await numbers(gradCam, 'map')).map((v) => 63 * v);
        t.ok(relativeError(scaled, m) < TOLERANCE, `class ${index}: maps`);
      }
      const rest = await seen
        .score(targets.logit(index), full(network.device, seen.featureMap.shape, 0))
        .data();
      const sum = m.reduce((total, v) => total + v, 0) / 63 + rest[0]!;
      t.ok(Math.abs(sum - outputs[index]!) < TOLERANCE * Math.max(1, Math.abs(sum)), `class ${index}: logit`);
      // The class's channel as the network has it, with its bias and its activation, and no ReLU but that one.
      if (channels)
        t.ok(
          relativeError(m, channels.slice(63 * index, 63 * (index + 1))) < 1e-6,
          `class ${index}: channel`,
        );
      least = Math.min(least, ...m);
    }
    t.equal(least < 0, !title.includes('ReLU'), 'negative evidence is shown where there is any');
    trace.dispose();
  });
}

test('CAM: a layer from which the logits are no linear function is refused, with the layer that bends', async (t) => {
  const dry = dryRun(graphs.gapLinear, [1, 3, 8, 8]);
  t.equal(camLayer(dry, 'features'), 'features');
  t.equal(camLayer(dry, 'relu2'), 'relu2', 'a summand of what is pooled');
  t.match(camRefusal(dry, 'conv2')!, /after "conv2", "relu2" \(relu\) is not linear/);
  t.match(camRefusal(dry, 'relu1')!, /after "relu1", "pool" \(maxPool\) is not linear/);
  const scores = dryRun(graphs.convGap, [1, 3, 8, 8]);
  t.deepEqual(
    ['features', 'scores', 'scores.relu'].map((layer) => camLayer(scores, layer)),
    Array(3).fill('scores.relu'),
  );
  t.match(camRefusal(scores, 'conv1')!, /after "conv1", "features" \(relu\)/);
  const network = randomNetwork(await device(), graphs.gapLinear);
  const options = { methods: ['cam'], classes: [1] };
  const [logit] = await explain(network, await image(8, 8), options);
  const target = () => targets.logProbability(1);
  const [bent] = await explain(network, await image(8, 8), { ...options, target });
  t.deepEqual(await numbers(bent, 'map'), await numbers(logit, 'map'), 'a target that bends: its logit');
});

test('Ablation-CAM behind GAP + linear: w_k mean(A_k) / |S|', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const { network, x, by } = await results(graphs.gapLinear, ['cam', 'ablation-cam'], [8, 6], seed);
    const { featureMap } = observe(network, x).at();
    const averages = await scope(() => mean(featureMap, [0, 2, 3])).data();
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
    const trace = observe(network, await image(6, 8), { layers: [layer] });
    const { featureMap, outputFor } = trace.at();
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const a = await featureMap.data();
    const versions = Array.from({ length: channels }, (_, k) =>
      a.map((v, i) => (Math.floor(i / (h * w)) === k ? 0 : v)),
    );
    const flat = Float32Array.from(versions.flatMap((v) => [...v]));
    const maps = tensor(on, flat, [channels, channels, h, w]);
    const outputs = trace.vary(new Map([[layer, outputFor(maps)]]));
    const wanted: Target[] = [
      targets.logit(1),
      targets.not(2),
      targets.difference(1, 0),
      targets.logProbability(1),
      targets.probability(1),
    ];
    for (const target of wanted) {
      const [found] = await explain(network, await image(6, 8), {
        methods: ['ablation-cam'],
        classes: [1],
        layer,
        target: () => target,
      });
      const s = (await targets.scoreOf(target, trace.outputs).data())[0]!;
      const scores = await targets.scoreOf(target, outputs).data();
      const expected = [...scores].map((without) => (s - without) / (Math.abs(s) || 1));
      const worst = Math.max(...(await numbers(found, 'weights')).map((v, k) => Math.abs(v - expected[k]!)));
      const largest = Math.max(1, ...expected.map(Math.abs));
      // Differences of logits, divided by one: absolute error some f32 roundings of the logits.
      t.ok(worst < (4e-6 * largest) / Math.min(1, Math.abs(s) || 1), `${name} at ${layer}: ${worst}`);
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

/** Grad-CAM++ weights of `factor` times logit 2 of the smooth network, in float64, the diagonal by finite differences. */
async function referenceWeights(network: Network, x: Tensor, factor = 1): Promise<Float64Array> {
  const a32 = await observe(network, x).at().featureMap.data();
  const shape = [1, 4, 4, 3];
  const logits = await smoothTail(network);
  const tail = (a: Array64): number => factor * logits(a)[2]!;
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
  const { network, x, by } = await results(graphs.gapLinear, ['cam', 'grad-cam++'], [8, 8], 2);
  const alpha = await term(by.get('grad-cam++')!, 'alpha_k');
  const [w, as] = [await numbers(by.get('cam'), 'weights'), await observe(network, x).at().featureMap.data()];
  const z = as.length / 8;
  for (let k = 0; k < 8; k++) {
    const meanA = as.slice(k * z, (k + 1) * z).reduce((a, b) => a + b, 0) / z;
    // Of channels without a positive gradient alpha is not used.
    const expected = new Float32Array(z).fill(w[k]! > 0 ? 1 / (2 + w[k]! * meanA) : 0);
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
    const { featureMap, gradient } = observe(network, loud, { layers: ['conv2'] }).at();
    const [, , h, w] = featureMap.shape as [number, number, number, number];
    const a = await featureMap.data();
    const g = await gradient(targets.logit(index)).data();
    const sums = (i: number) => {
      const start = Math.floor(i / (h * w)) * h * w;
      return a.slice(start, start + h * w).reduce((total, v) => total + v, 0);
    };
    const denominators = [...g].flatMap((gi, i) => (gi > 0 ? [2 + gi * sums(i)] : []));
    const crossed = denominators.filter((d) => d < 0).length;
    const near = denominators.filter((d) => Math.abs(d) < 0.02).length;
    most = Math.max(most, crossed);
    const methods = ['grad-cam++', 'grad-cam++-true'];
    for (const { method, notes } of await explain(network, loud, {
      methods,
      classes: [index],
      layer: 'conv2',
    })) {
      const said = (what: RegExp) => notes.flatMap((note) => what.exec(note)?.[1] ?? []);
      const expected = (count: number) => (count > 0 ? [String(count)] : []);
      t.deepEqual(said(/negative at (\d+) element/), expected(crossed), `${method}, class ${index}`);
      t.deepEqual(said(/nearly 0 at (\d+) element/), expected(near), `${method}, class ${index}`);
    }
  }
  t.ok(most > 0, 'somewhere it is');
});

test('Grad-CAM++ behind pooling counts elements, though it differentiates once a channel', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 5);
  tensors.get('classifier.weight')!.data.fill(1);
  tensors.get('conv2.weight')!.data.fill(0);
  // The feature map is -30 everywhere, and every denominator 2 - 30; or 2 - 1.99.
  const graph: Graph = {
    ...graphs.gapLinear,
    nodes: graphs.gapLinear.nodes.map((node) =>
      node.name === 'gap' ? { ...node, inputs: ['conv2'] } : node,
    ),
  };
  for (const [bias, said] of [
    [-30, 'negative'],
    [-1.99, 'nearly 0'],
  ] as const) {
    tensors.get('conv2.bias')!.data.fill(bias);
    const network = { ...randomNetwork(on, graph, 5), parameters: onDevice(on, tensors) };
    const found = await explain(network, await image(8, 6, 5), {
      methods: ['grad-cam++', 'grad-cam++-true'],
      classes: [0],
      layer: 'conv2',
    });
    for (const { method, notes, map } of found) {
      t.match(notes.join(), new RegExp(`alpha is ${said} at ${8 * map.size} elements`), method);
    }
  }
});

test('CAM refuses a network with fully connected layers, naming the layer', async (t) => {
  const network = randomNetwork(await device(), graphs.dense);
  try {
    await explain(network, await image(6, 8), { methods: ['cam'] });
    t.fail('must refuse');
  } catch (error) {
    t.match(String(error), /LayerError.*after "features", "pool" \(maxPool\) is not linear/s);
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
  const trace = observe(network, x);
  const a = await trace.at().featureMap.data();
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
  const logits = array([7, 4], await trace.vary(new Map([['input', inputs]])).logits.data());
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
    'score-cam': p.slice(0, 6).map((v, k) => (varying.includes(k) ? v - p[6]! : 0)),
    'score-cam-softmax': softmaxOf(p),
    'score-cam-logit': softmaxOf(s),
    'score-cam-authors': p.slice(0, 6).map((v, k) => (varying.includes(k) ? v : 0)),
  };
  for (const e of await explain(network, x, { methods: Object.keys(expected), classes: [index] })) {
    const w = await numbers(e, 'weights');
    t.ok(w[1] === 0, `${e.method}: the constant channel`);
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

test('Score-CAM by algorithm 1: no weight is more than e times another, where f is a probability', async (t) => {
  for (const probabilities of ['softmax', 'sigmoid'] as const) {
    for (const seed of [1, 2, 3]) {
      const network = { ...randomNetwork(await device(), graphs.dense, seed), probabilities };
      for (const e of await explain(network, await image(6, 8, seed), {
        methods: ['score-cam-softmax'],
        classes: [0, 1, 2],
      })) {
        const w = [...(await numbers(e, 'weights'))].filter((v) => v > 0);
        const factor = Math.max(...w) / Math.min(...w);
        t.ok(factor <= Math.E * (1 + 1e-6), `${factor}`);
        t.match(e.notes.join(), /the weights hardly differ: the largest is .* times the smallest/);
      }
    }
  }
});

test('what says little is said: equal weights, maps that do not depend on the class', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 1);
  const { data } = tensors.get('classifier.weight')!;
  data.copyWithin(8, 0, 8); // class 1 as class 0
  data.fill(0.5, 16, 24); // class 2: every channel alike
  const network = { ...randomNetwork(on, graphs.gapLinear), parameters: onDevice(on, tensors) };
  const found = await explain(network, await image(8, 8), {
    methods: ['grad-cam'],
    classes: [0, 1, 2],
    signed: true,
  });
  const notes = found.map((e) => e.notes.join());
  t.match(notes[0]!, /hardly depends on the class: it differs from that of class class 1 by at most 0.0 %/);
  t.match(notes[1]!, /from that of class class 0/);
  t.notOk(/hardly depends/.test(notes[2]!));
  t.match(notes[2]!, /the weights hardly differ: the largest is 1.00 times the smallest/);
  t.notOk(/hardly differ/.test(notes[0]!));
});

test('Ablation-CAM of a target that is 0 says so, and gives the drops', async (t) => {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 1);
  tensors.get('classifier.weight')!.data.copyWithin(8, 0, 8);
  tensors.get('classifier.bias')!.data.copyWithin(1, 0, 1);
  const network = { ...randomNetwork(on, graphs.gapLinear), parameters: onDevice(on, tensors) };
  // Two classes alike: their difference is 0 whatever channel is missing, and so is every weight.
  const [even] = await explain(network, await image(8, 8), {
    methods: ['ablation-cam'],
    classes: [0],
    target: () => targets.difference(0, 1),
  });
  t.match(even!.notes.join(), /S is 0, and nothing can be divided by it/);
  t.ok((await numbers(even, 'weights')).every((v) => v === 0));
  // 0 at the picture, and the logits' squares elsewhere: the weights are -S^k.
  const trace = observe(network, await image(8, 8));
  const [at] = [...(await trace.outputs.logits.data()).slice(2)];
  const squared: Target = ({ logits }) => {
    const far = affine(targets.scoreOf(targets.logit(2), { logits }), 1, -at!);
    return mul(far, far);
  };
  const [bent] = await explain(trace, { methods: ['ablation-cam'], classes: [2], target: () => squared });
  const drops = await numbers(bent, 'weights');
  const without = await term(bent!, 'S_k');
  t.ok(
    relativeError(
      drops,
      without.map((v) => -v),
    ) < 1e-6 && drops.some((v) => v < 0),
  );
});

/** From where squares are lost in f32 to where they overflow. */
const SCALES = [1e-30, 1e-20, 1e-6, 1e6, 1e20, 1e30];

for (const tail of ['gapLinear', 'smooth'] as const) {
  test(`maps of tiny and of huge gradients are like any other: ${tail}`, async (t) => {
    const network = randomNetwork(await device(), graphs[tail], 2);
    const x = await image(8, 6, 2);
    const upsampled = async (factor: number, method: string) => {
      const target = (index: number): Target => ({ logits: [[index, factor]] });
      const [e] = await explain(network, x, { methods: [method], classes: [2], target, signed: true });
      const values = await e!.upsampled.data();
      disposeExplanation(e!);
      return values;
    };
    // Of these a map depends on the size of S (below); those for attention and those with a decoder take other networks.
    const others = [
      'grad-cam++',
      'grad-cam++-true',
      'score-cam-logit',
      'gae',
      ...(tail === 'smooth' ? ['cam'] : []),
    ];
    const scaled = [...allMethods.values()].filter(
      ({ name, decoder, layerOf }) => !decoder && !layerOf && !others.includes(name),
    );
    for (const { name } of scaled) {
      const expected = await upsampled(1, name);
      for (const factor of SCALES) {
        const error = relativeError(await upsampled(factor, name), expected);
        t.ok(error < 1e-4, `${name}, ${factor}: ${error.toExponential(1)}`);
      }
    }
  });
}

test('maps of tiny and of huge feature maps are like any other', async (t) => {
  const on = await device();
  const x = await image(8, 6, 2);
  /** The network with another unit of the feature map: its logits stay. */
  const network = (unit: number): Network => {
    const scaled = [...randomTensors(graphs.gapLinear, 2)].map(([key, { data, shape }]) => {
      const by = key === 'classifier.weight' ? 1 / unit : /^conv1|^conv2.bias/.test(key) ? unit : 1;
      return [key, { shape, data: (data as Float32Array).map((v) => v * by) }] as const;
    });
    return { ...randomNetwork(on, graphs.gapLinear, 2), parameters: onDevice(on, new Map(scaled)) };
  };
  const [plain, ...others] = [1, 2 ** -100, 2 ** 66, 2 ** 100].map((unit) => [unit, network(unit)] as const);
  for (const { name, decoder, layerOf } of allMethods.values()) {
    if (decoder || layerOf || name === 'gae') continue;
    const upsampled = async (of: Network) => {
      const [e] = await explain(of, x, { methods: [name], classes: [2], signed: true });
      const values = await e!.upsampled.data();
      disposeExplanation(e!);
      return values;
    };
    const expected = await upsampled(plain![1]);
    for (const [unit, other] of others) {
      const error = relativeError(await upsampled(other), expected);
      t.ok(error < 1e-4, `${name}, ${unit}: ${error.toExponential(1)}`);
    }
  }
});

test('Grad-CAM++ of tiny and of huge gradients, in float64', async (t) => {
  const network = randomNetwork(await device(), graphs.smooth, 5);
  const x = await image(4, 3, 5);
  const { featureMap, gradient } = observe(network, x).at();
  const [a, g] = await Promise.all([featureMap.data(), gradient(targets.logit(2)).data()]);
  for (const factor of [...SCALES, 1e-3, 1, 1e3]) {
    const target = (index: number): Target => ({ logits: [[index, factor]] });
    const methods = ['grad-cam++', 'grad-cam++-true'];
    const [closed, exact] = await explain(network, x, { methods, classes: [2], target, signed: true });
    const plane = (values: Float32Array, k: number) => [...values.slice(12 * k, 12 * k + 12)];
    const closedForm = [0, 1, 2, 3].map((k) => {
      const sumA = plane(a, k).reduce((sum, v) => sum + v, 0);
      return plane(g, k).reduce(
        (sum, v) => sum + Math.max(0, v * factor) / (2 + Math.max(0, v * factor) * sumA),
        0,
      );
    });
    for (const [one, expected] of [
      [closed, closedForm],
      [exact, await referenceWeights(network, x, factor)],
    ] as const) {
      const most = Math.max(...expected.map(Math.abs));
      const over = (values: ArrayLike<number>) => Float64Array.from(values, (v) => v / most);
      const error = relativeError(over(await numbers(one, 'weights')), over(expected));
      t.ok(error < 1e-4, `${one!.method}, ${factor}: ${error.toExponential(1)}`);
      disposeExplanation(one!);
    }
  }
});

test('Score-CAM runs its masked inputs once for all classes and variants', async (t) => {
  const network = randomNetwork(await device(), graphs.dense, 2);
  const reports: number[] = [];
  const options = {
    methods: ['score-cam', 'score-cam-softmax', 'score-cam-logit'],
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
  tensors.get('classifier.weight')!.data.forEach((_, i, w) => {
    w[i] = -1 - (i % 8);
  });
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
  const many = concat(Array<typeof x>(16).fill(x), 0);
  /** Explains one image by some methods, and many at once by those that take them so; gives how often. */
  const run = async (methods: string[]) => {
    const alone = await explain(network, x, { methods, classes: [0, 1] });
    const together = await explainBatch(network, many, { methods: batched, classes: [0, 1] });
    const found = [...alone, ...together.flat()];
    for (const e of found) disposeExplanation(e);
    return found.length;
  };
  // Those for attention, and those with a decoder of their own, take other networks.
  const taken = [...allMethods.values()].filter(({ decoder, layerOf }) => !decoder && !layerOf);
  const batched = taken.filter(({ batches }) => batches).map(({ name }) => name);
  await run(taken.map(({ name }) => name));
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
