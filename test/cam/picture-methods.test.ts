// Methods that look at the picture itself, at several versions of it, or at the feature map's factors.

import test from 'tape';
import { explain, methodOf, observe, type Target, targets } from '../../cam/index.ts';
import { add, full, narrow, reshape, sum, tensor } from '../../engine/index.ts';
import type { Graph } from '../../models/graph.ts';
import { globalAvgPool, linear, plain } from '../../models/layers.ts';
import { device } from '../device.ts';
import { type Array64, conv2d, convTranspose2d, relativeError, seededRandom } from '../reference/index.ts';
import { denseTail, derivatives } from './dense-tail.ts';
import { graphs, randomNetwork, randomTensors } from './networks.ts';

const CLASS = 2;
const TOLERANCE = 1e-5;
const PADDING = [1, 1, 1, 1] as const;

const numbers = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => next() * 2 - 1);
};

/** The network of dense layers on a picture of 6x8, and its parts in float64. */
async function dense(seed: number) {
  const network = randomNetwork(await device(), graphs.dense, seed);
  const pixels = numbers(3 * 48, seed);
  const tensors = randomTensors(graphs.dense, seed);
  const host = (key: string): Array64 => {
    const { shape, data } = tensors.get(key)!;
    return { shape, data: Float64Array.from(data as Float32Array) };
  };
  const x: Array64 = { shape: [1, 3, 6, 8], data: Float64Array.from(pixels) };
  const z = conv2d(x, host('conv1.weight'), { padding: PADDING }, host('conv1.bias'));
  const tail = denseTail(CLASS, seed);
  const ofConv = (values: ArrayLike<number>) => tail(Array.from(values, (v) => Math.max(0, v)));
  return { network, picture: tensor(network.device, pixels, [1, 3, 6, 8]), x, z, host, ofConv };
}

/** Back through a convolution: the cotangent of its input. */
const backThrough = (d: Array64, weight: Array64) => convTranspose2d(d, weight, [6, 8], { padding: PADDING });

const positions = (values: (at: number) => number) => Array.from({ length: 48 }, (_, at) => values(at));

test('FullGrad: picture and biases account for the target, and the map is theirs, in float64', async (t) => {
  for (const seed of [1, 2]) {
    const { network, picture, x, z, host, ofConv } = await dense(seed);
    const [e] = await explain(network, picture, { methods: ['full-grad'], classes: [CLASS] });
    const dz = { shape: z.shape, data: Float64Array.from(derivatives(ofConv, z.data)) };
    const dx = backThrough(dz, host('conv1.weight'));
    const bias = host('conv1.bias').data;
    const expected = positions(
      (at) =>
        [0, 1, 2].reduce((s, c) => s + Math.abs(x.data[48 * c + at]! * dx.data[48 * c + at]!), 0) +
        [0, 1, 2, 3, 4, 5].reduce((s, c) => s + Math.abs(bias[c]! * dz.data[48 * c + at]!), 0),
    );
    t.ok(relativeError(await e!.map.data(), expected) < TOLERANCE, 'map');
    const [score, missing] = await e!.terms.find(({ symbol }) => symbol === 'r')!.tensor.data();
    t.ok(Math.abs(score! - ofConv(z.data)) < TOLERANCE, 'the target');
    t.ok(Math.abs(missing!) < TOLERANCE, `complete but for ${missing}`);
  }
  const smooth = randomNetwork(await device(), graphs.smooth, 1);
  const x = tensor(
    smooth.device,
    numbers(3 * 12, 1).map((v) => 4 * v),
    [1, 3, 4, 3],
  );
  const [e] = await explain(smooth, x, { methods: ['full-grad'], classes: [CLASS] });
  const [, missing] = await e!.terms.find(({ symbol }) => symbol === 'r')!.tensor.data();
  t.ok(Math.abs(missing!) > 1e-3, `a curved network is not: ${missing}`);
  t.match(e!.notes.join(), /gradients of picture and biases add up to/);
});

test('guided backpropagation and Guided Grad-CAM against the rule by hand, in float64', async (t) => {
  for (const seed of [1, 2]) {
    const { network, picture, z, host } = await dense(seed);
    const [fc1, fc2] = [host('fc1.weight').data, host('fc2.weight').data];
    const a = z.data.map((v) => Math.max(0, v));
    /** Where each 2x2 window has its largest. */
    const from = Array.from({ length: 72 }, (_, i) => {
      const [k, y, column] = [Math.floor(i / 12), Math.floor((i % 12) / 4), i % 4];
      const at = 48 * k + 16 * y + 2 * column;
      return [at, at + 1, at + 8, at + 9].reduce((best, j) => (a[j]! > a[best]! ? j : best));
    });
    const hidden = Array.from({ length: 10 }, (_, o) =>
      from.reduce((s, j, i) => s + a[j]! * fc1[72 * o + i]!, host('fc1.bias').data[o]!),
    );
    const dHidden = hidden.map((v, o) => (v > 0 ? Math.max(0, fc2[10 * CLASS + o]!) : 0));
    const dz = new Float64Array(z.data.length);
    from.forEach((j, i) => {
      const d = dHidden.reduce((s, v, o) => s + v * fc1[72 * o + i]!, 0);
      dz[j] = z.data[j]! > 0 ? Math.max(0, d) : 0;
    });
    const { data: G } = backThrough({ shape: z.shape, data: dz }, host('conv1.weight'));
    const strength = positions((at) => Math.max(...[0, 1, 2].map((c) => Math.abs(G[48 * c + at]!))));
    const options = { classes: [CLASS], methods: ['guided-backpropagation', 'grad-cam', 'guided-grad-cam'] };
    const found = await explain(network, picture, options);
    const [guided, cam, both] = await Promise.all(found.map(({ map }) => map.data()));
    t.ok(relativeError(guided!, strength) < TOLERANCE, 'guided backpropagation');
    const most = Math.max(...cam!) || 1; // a blank map stays blank
    t.ok(
      relativeError(
        both!,
        strength.map((v, i) => (v * cam![i]!) / most),
      ) < TOLERANCE,
      'Guided Grad-CAM',
    );
    t.match(found[0]!.notes.join(), /Adebayo/);
  }
});

/** A network whose feature map is the picture. */
const itself = (channels: number): Graph => ({
  nodes: [
    plain('features', 'identity', ['input'], (x) => add(x, full(x.device, [1], 0))),
    globalAvgPool('gap', 'features'),
    linear('classifier', 'gap', { in: channels, out: 3 }),
  ],
  output: 'classifier',
});

test('RISE: of a target that sees one pixel the mean masks are what their distribution says', async (t) => {
  const on = await device();
  const network = { ...randomNetwork(on, itself(1), 1), probabilities: 'none' as const };
  const [size, at] = [16, 5 * 16 + 6];
  const picture = tensor(on, new Float32Array(size * size).fill(1), [1, 1, size, size]);
  const graph: Graph = {
    nodes: [
      ...network.graph.nodes.slice(0, 1),
      plain('pixel', 'pixel', ['features'], (x) =>
        reshape(narrow(reshape(x, [x.shape[0]!, -1]), 1, at, 1), [x.shape[0]!, 1]),
      ),
      plain('always', 'one', ['pixel'], (x) => add(x, full(x.device, [1], 0))),
    ],
    output: 'always',
  };
  const [e] = await explain({ ...network, graph, parameters: new Map() }, picture, {
    methods: ['rise'],
    classes: [0],
  });
  const map = await e!.map.data();
  const peak = map.indexOf(map.reduce((a, b) => Math.max(a, b)));
  t.equal(peak, at, 'the peak is where the target looks');
  // Two cells away masks are independent: E[m m'] / p = p; the standard error of 1,000 is below .02.
  const far = [...map].filter(
    (_, i) => Math.abs((i % size) - 6) > 5 || Math.abs(Math.floor(i / size) - 5) > 5,
  );
  const worst = Math.max(...far.map((v) => Math.abs(v - 0.5)));
  t.ok(far.length > 50 && worst < 0.08, `far away 1/2, off by ${worst}`);
  // There E[m^2] / p; m is bilinear between cells of 0 and 1.
  t.ok(map[at]! > 0.6 && map[at]! < 1.05, `there ${map[at]}`);
});

test('Deep Feature Factorization finds parts that lie apart, and takes that of the class', async (t) => {
  const on = await device();
  const [h, w, K] = [4, 6, 3];
  // Two parts: the left half in channels 0 and 1, the right in channel 2.
  const left = (i: number) => i % w < 3;
  const values = Float32Array.from({ length: K * h * w }, (_, i) => {
    const [k, at] = [Math.floor(i / (h * w)), i % (h * w)];
    return k === 2 ? (left(at) ? 0 : 2 + (at % 5)) : left(at) ? (k + 1) * (1 + (at % 4)) : 0;
  });
  const network = randomNetwork(on, itself(K), 1);
  const weights = tensor(on, [-1, -1, 3, 1, 1, -3, 0, 0, 0], [3, 3]);
  const parameters = new Map([...network.parameters, ['classifier.weight', weights]]);
  const x = tensor(on, values, [1, K, h, w]);
  for (const [index, inside] of [
    [0, (i: number) => !left(i)],
    [1, left],
  ] as const) {
    const options = { methods: ['deep-feature-factorization'], classes: [index] };
    const [e] = await explain({ ...network, parameters }, x, options);
    const map = await e!.map.data();
    const most = Math.max(...map);
    t.ok(
      [...map].every((v, i) => v >= 0 && (inside(i) || v < 0.05 * most)),
      `class ${index}: its part alone`,
    );
    const [off] = await e!.terms.find(({ symbol }) => symbol === 'e')!.tensor.data();
    t.ok(off! < 0.02, `factors leave out ${off}`);
    const [H, W] = await Promise.all(
      ['H', 'W'].map((symbol) => e!.terms.find((term) => term.symbol === symbol)!.tensor.data()),
    );
    const product = Float64Array.from({ length: K * h * w }, (_, i) =>
      [0, 1, 2, 3, 4].reduce(
        (s, j) => s + H![j * h * w + (i % (h * w))]! * W![j * K + Math.floor(i / (h * w))]!,
        0,
      ),
    );
    t.ok(relativeError(product, values) < 0.05, 'the factors make the feature map');
  }
});

test('Deep Feature Factorization tells how far it is, and can be ended on the way', async (t) => {
  const on = await device();
  const x = tensor(on, numbers(48, 1), [1, 3, 4, 4]);
  const shares: number[] = [];
  const ending = new AbortController();
  const progress = (_: string, share: number) => {
    shares.push(share);
    if (shares.length === 2) ending.abort(new Error('enough'));
  };
  const options = { methods: ['deep-feature-factorization'], progress, signal: ending.signal };
  const error = await explain(randomNetwork(on, itself(3), 1), x, options).catch((error: unknown) => error);
  t.equal(error, ending.signal.reason);
  t.deepEqual(shares, [1 / 8, 2 / 8]);
});

test('a method over versions of the picture: the mean of its maps', async (t) => {
  const on = await device();
  const network = randomNetwork(on, itself(3), 3);
  const pixels = numbers(3 * 48, 5);
  const x = tensor(on, pixels, [1, 3, 6, 8]);
  const methods = ['grad-cam', 'augmented-grad-cam', 'smooth-grad-cam'];
  const found = await explain(network, x, { methods, classes: [CLASS], signed: true });
  const [plain, augmented, smooth] = await Promise.all(found.map(({ map }) => map.data()));
  // Everything is linear here: brightness has mean 1, mirrored maps are mirrored back, and noise has mean 0.
  t.ok(relativeError(augmented!, plain!) < TOLERANCE, 'augmented');
  const off = relativeError(smooth!, plain!);
  t.ok(off > 1e-3 && off < 0.3, `noise of 0.3 over 16 versions: ${off}`);
  t.equal(methodOf('smooth-grad-cam').title, 'SmoothGrad of Grad-CAM');
  t.throws(() => methodOf('smooth-nothing'), /no method "nothing"/);

  const bent = randomNetwork(on, graphs.gapLinear, 3);
  const mirror = (values: Float32Array, width: number) =>
    values.map((_, i) => values[i - (i % width) + width - 1 - (i % width)]!);
  const mapOf = async (input: Float32Array, method: string) => {
    const [e] = await explain(bent, tensor(on, input, [1, 3, 6, 8]), {
      methods: [method],
      classes: [CLASS],
      signed: true,
    });
    return e!.map.data();
  };
  const [there, mirrored] = [
    await mapOf(pixels, 'augmented-hires-cam'),
    await mapOf(mirror(pixels, 8), 'augmented-hires-cam'),
  ];
  t.ok(relativeError(mirror(mirrored, 4), there) < TOLERANCE, 'a mirrored picture has the mirrored map');
  const alone = await mapOf(mirror(pixels, 8), 'hires-cam');
  t.ok(relativeError(mirror(alone, 4), there) > 1e-3, 'which one version has not');
});

test('Finer-CAM: a logit less a share of the mean of others', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear, 1);
  const trace = observe(network, tensor(network.device, numbers(3 * 48, 1), [1, 3, 6, 8]));
  const z = await trace.outputs.logits.data();
  const score = (target: Target) => targets.scoreOf(target, trace.outputs).data();
  const [value] = await score(targets.finer(1, [0, 3]));
  t.ok(Math.abs(value! - (z[1]! - 0.3 * (z[0]! + z[3]!))) < TOLERANCE);
  const [total] = await sum(trace.at().gradient(targets.finer(1, [1], 1))).data();
  t.equal(total, 0, 'less itself nothing is left');
  trace.dispose();
});
