// Keras's layers, one small model.json each, against float64 references. Each network ends in a Flatten, so its output is
// the layer's value in Keras's own order, [H, W, C].

import test from 'tape';
import { camLayer } from '../../cam/index.ts';
import { scope, tensor } from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import { FormatError } from '../../models/formats/errors.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readKerasH5 } from '../../models/formats/keras/h5.ts';
import { samePadding } from '../../models/formats/kit.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  avgPool2d,
  batchNorm,
  binary,
  clamp,
  concat,
  conv2d,
  convTranspose2d,
  elu,
  globalAvgPool,
  globalMaxPool,
  layerNorm,
  leakyRelu,
  map,
  matmul,
  maxPool2d,
  pad,
  randomArray,
  relativeError,
  reshape,
  resizeBilinear,
  resizeNearest,
  seededRandom,
  slice,
  softmax,
  transpose,
  unary,
} from '../reference/index.ts';
import {
  encode,
  functional,
  h5File,
  type LayerSpec,
  memory,
  tfjsFiles,
  type Weights,
  weightsOf,
} from './keras-fixtures.ts';

const TOLERANCE = 2e-6;

const read = (config: unknown, weights: Weights, kerasVersion?: string): Promise<ImportedNetwork> => {
  const { root, shard } = tfjsFiles(config, weights, kerasVersion);
  return readTfjs(encode(root), 'model.json', memory({ 'group1-shard1of1.bin': shard }));
};

/** The network's output for x [N, C, H, W]. */
async function outputOf({ graph, tensors }: ImportedNetwork, x: Array64): Promise<Float32Array> {
  const on = await device();
  const result = scope(() => {
    const parameters = new Map(
      [...tensors].map(([key, { data, shape }]) => [key, tensor(on, data, shape)] as const),
    );
    const known = new Map([[INPUT, tensor(on, x.data, x.shape)]]);
    return evaluate(graph, parameters, known, [graph.output]).get(graph.output)!;
  });
  const values = await result.data();
  result.dispose();
  return values;
}

const image = (shape: readonly number[], seed = 3) =>
  randomArray(shape, seededRandom(seed), { low: -2, high: 2 });
const toKeras = (x: Array64) => (x.shape.length === 4 ? transpose(x, [0, 2, 3, 1]) : x);
/** [y, x, in, out] -> [out, in, y, x]. */
const kernel = (w: Array64) => transpose(w, [3, 2, 0, 1]);

interface Case {
  readonly layers: readonly LayerSpec[];
  readonly weights?: Weights;
  /** [N, C, H, W]; two images of awkward sizes when left out. */
  readonly x?: Array64;
  readonly expected: (x: Array64, weights: Weights) => Array64;
  readonly version?: string;
}

async function check(t: test.Test, title: string, { layers, weights = {}, x, expected, version }: Case) {
  const input = x ?? image([2, 3, 5, 7]);
  const [, channels, height, width] = input.shape as [number, number, number, number];
  const all = [...layers, { class: 'Flatten', name: 'flat' }];
  const network = await read(functional([height, width, channels], all), weights, version);
  const found = await outputOf(network, input);
  const wanted = toKeras(expected(input, weights)).data;
  const error = found.length === wanted.length ? relativeError(found, wanted) : Number.POSITIVE_INFINITY;
  t.ok(error < TOLERANCE, `${title} (${error.toExponential(1)})`);
}

/** SAME padding by hand: size, kernel, stride, dilation -> pixels before and after, and the windows. */
const same = [
  { size: 5, kernel: 3, stride: 1, dilation: 1, before: 1, after: 1, windows: 5 },
  { size: 4, kernel: 2, stride: 1, dilation: 1, before: 0, after: 1, windows: 4 },
  { size: 6, kernel: 3, stride: 2, dilation: 1, before: 0, after: 1, windows: 3 },
  { size: 7, kernel: 3, stride: 2, dilation: 1, before: 1, after: 1, windows: 4 },
  { size: 8, kernel: 5, stride: 3, dilation: 1, before: 1, after: 2, windows: 3 },
  { size: 7, kernel: 5, stride: 3, dilation: 1, before: 2, after: 2, windows: 3 },
  { size: 9, kernel: 4, stride: 3, dilation: 1, before: 0, after: 1, windows: 3 },
  { size: 7, kernel: 1, stride: 2, dilation: 1, before: 0, after: 0, windows: 4 },
  { size: 8, kernel: 1, stride: 3, dilation: 1, before: 0, after: 0, windows: 3 },
  { size: 8, kernel: 2, stride: 3, dilation: 1, before: 0, after: 0, windows: 3 },
  { size: 1, kernel: 3, stride: 2, dilation: 1, before: 1, after: 1, windows: 1 },
  { size: 2, kernel: 7, stride: 1, dilation: 1, before: 3, after: 3, windows: 2 },
  { size: 7, kernel: 3, stride: 1, dilation: 2, before: 2, after: 2, windows: 7 },
  { size: 6, kernel: 2, stride: 1, dilation: 3, before: 1, after: 2, windows: 6 },
] as const;

/** Rows of the table along y, each with another along x. */
const pairs = same.map((y, i) => [y, same[(i + 1) % same.length]!] as const);

test('SAME padding is what TensorFlow computes', (t) => {
  for (const [y, x] of pairs) {
    const window = {
      kernel: [y.kernel, x.kernel],
      stride: [y.stride, x.stride],
      dilation: [y.dilation, x.dilation],
    } as const;
    t.deepEqual(
      samePadding(window).of([y.size, x.size]),
      [y.before, x.before, y.after, x.after],
      `${y.size}x${x.size}, kernel ${y.kernel}x${x.kernel}, stride ${y.stride}x${x.stride}`,
    );
  }
  t.end();
});

test('SAME convolutions and poolings at odd and even sizes, strides 1 to 3', async (t) => {
  for (const [y, x] of pairs) {
    const input = image([2, 3, y.size, x.size]);
    const stride = [y.stride, x.stride] as const;
    const dilation = [y.dilation, x.dilation] as const;
    const padding = [y.before, x.before, y.after, x.after] as const;
    const size = [y.kernel, x.kernel] as const;
    const title = `${y.size}x${x.size}, kernel ${size.join('x')}, stride ${stride.join('x')}, dilation ${dilation.join('x')}`;
    const window = { kernel_size: size, strides: stride, dilation_rate: dilation, padding: 'same' };
    await check(t, `Conv2D ${title}`, {
      layers: [{ class: 'Conv2D', name: 'c', config: { ...window, filters: 4 } }],
      weights: weightsOf({ 'c/kernel': [...size, 3, 4], 'c/bias': [4] }),
      x: input,
      expected: (x, w) => conv2d(x, kernel(w['c/kernel']!), { stride, padding, dilation }, w['c/bias']),
    });
    await check(t, `DepthwiseConv2D ${title}`, {
      layers: [
        { class: 'DepthwiseConv2D', name: 'd', config: { ...window, depth_multiplier: 2, use_bias: false } },
      ],
      weights: weightsOf({ 'd/depthwise_kernel': [...size, 3, 2] }),
      x: input,
      expected: (x, w) => {
        // [y, x, c, m] -> [c m, 1, y, x]
        const filters = reshape(transpose(w['d/depthwise_kernel']!, [2, 3, 0, 1]), [6, 1, ...size]);
        return conv2d(x, filters, { stride, padding, dilation, groups: 3 });
      },
    });
    if (y.dilation > 1 || x.dilation > 1) continue;
    const config = { pool_size: size, strides: stride, padding: 'same' };
    await check(t, `MaxPooling2D ${title}`, {
      layers: [{ class: 'MaxPooling2D', name: 'p', config }],
      x: input,
      expected: (x) => maxPool2d(x, { kernel: size, stride, padding }),
    });
    await check(t, `AveragePooling2D ${title}`, {
      layers: [{ class: 'AveragePooling2D', name: 'p', config }],
      x: input,
      expected: (x) => avgPool2d(x, { kernel: size, stride, padding, countIncludePad: false }),
    });
    // The transposed convolution of the windows gives a map of stride times their number.
    const up = [y.windows * y.stride, x.windows * x.stride] as const;
    const pads = samePadding({ kernel: size, stride, dilation: [1, 1] }).of(up);
    await check(t, `Conv2DTranspose ${title}`, {
      layers: [{ class: 'Conv2DTranspose', name: 'u', config: { ...window, dilation_rate: 1, filters: 4 } }],
      weights: weightsOf({ 'u/kernel': [...size, 4, 3], 'u/bias': [4] }),
      x: image([2, 3, y.windows, x.windows]),
      expected: (x, w) => {
        const sum = convTranspose2d(x, kernel(w['u/kernel']!), up, { stride, padding: pads });
        return binary.add(sum, reshape(w['u/bias']!, [4, 1, 1]));
      },
    });
  }
  t.end();
});

test('a network of any size computes its SAME padding from the size that comes', async (t) => {
  const layers = [
    {
      class: 'Conv2D',
      name: 'c',
      config: { filters: 4, kernel_size: 3, strides: 2, padding: 'same', use_bias: false },
    },
    { class: 'GlobalAveragePooling2D', name: 'gap' },
  ];
  const weights = weightsOf({ 'c/kernel': [3, 3, 3, 4] });
  const network = await read(functional([null, null, 3], layers), weights);
  t.ok(network.anySize, 'the file leaves the size open');
  t.equal(network.preprocessing?.size, undefined, 'so it names none');
  for (const [height, width, padding] of [
    [6, 7, [0, 1, 1, 1]],
    [7, 6, [1, 0, 1, 1]],
    [1, 2, [1, 0, 1, 1]],
  ] as const) {
    const x = image([1, 3, height, width]);
    const map = conv2d(x, kernel(weights['c/kernel']!), { stride: [2, 2], padding });
    const error = relativeError(await outputOf(network, x), globalAvgPool(map).data);
    t.ok(error < TOLERANCE, `${height}x${width}`);
  }
  t.end();
});

test('convolutions without padding', async (t) => {
  await check(t, 'Conv2D in two groups, with an activation', {
    layers: [
      {
        class: 'Conv2D',
        name: 'c',
        config: { filters: 6, kernel_size: [2, 3], groups: 2, activation: 'relu' },
      },
    ],
    weights: weightsOf({ 'c/kernel': [2, 3, 2, 6], 'c/bias': [6] }),
    x: image([2, 4, 5, 7]),
    expected: (x, w) => unary.relu(conv2d(x, kernel(w['c/kernel']!), { groups: 2 }, w['c/bias'])),
  });
  await check(t, 'SeparableConv2D', {
    layers: [
      {
        class: 'SeparableConv2D',
        name: 's',
        config: { filters: 5, kernel_size: 3, strides: 2, depth_multiplier: 2, activation: 'tanh' },
      },
    ],
    weights: weightsOf({
      's/depthwise_kernel': [3, 3, 3, 2],
      's/pointwise_kernel': [1, 1, 6, 5],
      's/bias': [5],
    }),
    expected: (x, w) => {
      const filters = reshape(transpose(w['s/depthwise_kernel']!, [2, 3, 0, 1]), [6, 1, 3, 3]);
      const depthwise = conv2d(x, filters, { stride: [2, 2], groups: 3 });
      return unary.tanh(conv2d(depthwise, kernel(w['s/pointwise_kernel']!), {}, w['s/bias']));
    },
  });
  await check(t, 'Conv2DTranspose whose stride exceeds its kernel', {
    layers: [
      {
        class: 'Conv2DTranspose',
        name: 'u',
        config: { filters: 2, kernel_size: 2, strides: 3, use_bias: false },
      },
    ],
    weights: weightsOf({ 'u/kernel': [2, 2, 2, 3] }),
    expected: (x, w) => convTranspose2d(x, kernel(w['u/kernel']!), [15, 21], { stride: [3, 3] }),
  });
  t.end();
});

test('Dense and Flatten count in [H, W, C]', async (t) => {
  const dense = await read(
    functional(
      [1, 2, 2],
      [
        { class: 'Flatten', name: 'flat' },
        { class: 'Dense', name: 'd', config: { units: 1, use_bias: false } },
      ],
    ),
    { 'd/kernel': array([4, 1], [1, 2, 3, 4]) },
  );
  t.deepEqual(
    [...dense.tensors.get('d.weight')!.data],
    [1, 3, 2, 4],
    "a dense layer's weights are put in order",
  );
  t.deepEqual(
    dense.graph.nodes.map(({ kind }) => kind),
    ['flatten', 'linear'],
    'and nothing is moved',
  );
  // By hand: a 1x2 picture of 2 channels is flattened as (0, 0, c0), (0, 0, c1), (0, 1, c0), (0, 1, c1).
  const byHand = await read(functional([1, 2, 2], [{ class: 'Flatten', name: 'flat' }]), {});
  t.deepEqual(
    await outputOf(byHand, array([1, 2, 1, 2], [1, 2, 10, 20])).then((y) => [...y]),
    [1, 10, 2, 20],
  );
  await check(t, 'Flatten, Dense with an activation, Dense', {
    layers: [
      { class: 'Flatten', name: 'f' },
      { class: 'Dense', name: 'a', config: { units: 6, activation: 'relu' } },
      { class: 'Dense', name: 'b', config: { units: 4, use_bias: false } },
    ],
    weights: weightsOf({ 'a/kernel': [105, 6], 'a/bias': [6], 'b/kernel': [6, 4] }),
    expected: (x, w) => {
      const flat = reshape(toKeras(x), [2, 105]);
      const hidden = unary.relu(binary.add(matmul(flat, w['a/kernel']!), w['a/bias']!));
      return matmul(hidden, w['b/kernel']!);
    },
  });
  await check(t, 'Flatten, Dropout, ReLU, Dense: what treats all features alike may stand between', {
    layers: [
      { class: 'Flatten', name: 'f' },
      { class: 'Dropout', name: 'o' },
      { class: 'ReLU', name: 'r' },
      { class: 'Dense', name: 'b', config: { units: 4, use_bias: false } },
    ],
    weights: weightsOf({ 'b/kernel': [105, 4] }),
    expected: (x, w) => matmul(unary.relu(reshape(toKeras(x), [2, 105])), w['b/kernel']!),
  });
  await check(t, 'Flatten, BatchNormalization, Dense: what tells features apart gets them in order', {
    layers: [
      { class: 'Flatten', name: 'f' },
      { class: 'BatchNormalization', name: 'n', config: { scale: false } },
      { class: 'Dense', name: 'b', config: { units: 4, use_bias: false } },
    ],
    weights: {
      ...weightsOf({ 'b/kernel': [105, 4], 'n/beta': [105], 'n/moving_mean': [105] }),
      'n/moving_variance': randomArray([105], seededRandom(8), { low: 0.5, high: 2 }),
    },
    expected: (x, w) => {
      const [mean, variance, beta] = [w['n/moving_mean']!, w['n/moving_variance']!, w['n/beta']!];
      const scale = map(mean, () => 1);
      return matmul(
        batchNorm(reshape(toKeras(x), [2, 105]), mean, variance, scale, beta, 1e-3),
        w['b/kernel']!,
      );
    },
  });
  await check(t, 'Dense on a feature map', {
    layers: [{ class: 'Dense', name: 'd', config: { units: 4 } }],
    weights: weightsOf({ 'd/kernel': [3, 4], 'd/bias': [4] }),
    expected: (x, w) => conv2d(x, reshape(transpose(w['d/kernel']!, [1, 0]), [4, 3, 1, 1]), {}, w['d/bias']),
  });
  t.end();
});

test('activations', async (t) => {
  const activation = (name: string): LayerSpec => ({
    class: 'Activation',
    name: 'a',
    config: { activation: name },
  });
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const softplus = (x: number) => Math.log1p(Math.exp(x));
  const erf = (x: Array64) => unary.gelu(x);
  const functions: Record<string, (x: Array64) => Array64> = {
    linear: (x) => x,
    relu: (x) => unary.relu(x),
    relu6: (x) => clamp(x, 0, 6),
    elu: (x) => elu(x),
    selu: (x) => map(elu(x, 1.6732632423543772), (v) => 1.0507009873554805 * v),
    leaky_relu: (x) => leakyRelu(x, 0.2),
    sigmoid: (x) => map(x, sigmoid),
    tanh: (x) => map(x, Math.tanh),
    softplus: (x) => map(x, softplus),
    softsign: (x) => map(x, (v) => v / (1 + Math.abs(v))),
    exponential: (x) => map(x, Math.exp),
    swish: (x) => map(x, (v) => v * sigmoid(v)),
    silu: (x) => map(x, (v) => v * sigmoid(v)),
    mish: (x) => map(x, (v) => v * Math.tanh(softplus(v))),
    gelu: erf,
    softmax: (x) => softmax(x, 1),
  };
  for (const [name, expected] of Object.entries(functions))
    await check(t, name, { layers: [activation(name)], expected });
  // The one function whose meaning changed from Keras 2 to Keras 3.
  const old = (v: number) => Math.min(Math.max(0.2 * v + 0.5, 0), 1);
  const now = (v: number) => Math.min(Math.max(v / 6 + 0.5, 0), 1);
  const layers = [activation('hard_sigmoid')];
  await check(t, 'hard_sigmoid of Keras 2', { layers, expected: (x) => map(x, old) });
  await check(t, 'hard_sigmoid of Keras 3', { layers, version: '3.1.1', expected: (x) => map(x, now) });

  const layer = (className: string, config: Record<string, unknown> = {}): LayerSpec[] => [
    { class: className, name: 'a', config },
  ];
  await check(t, 'ReLU with max_value 1', {
    layers: layer('ReLU', { max_value: 1 }),
    expected: (x) => clamp(x, 0, 1),
  });
  await check(t, 'ReLU with a slope', {
    layers: layer('ReLU', { max_value: null, negative_slope: 0.1, threshold: 0 }),
    expected: (x) => leakyRelu(x, Math.fround(0.1)),
  });
  await check(t, 'LeakyReLU', {
    layers: layer('LeakyReLU'),
    expected: (x) => leakyRelu(x, Math.fround(0.3)),
  });
  await check(t, 'LeakyReLU with alpha', {
    layers: layer('LeakyReLU', { alpha: 0.5 }),
    expected: (x) => leakyRelu(x, 0.5),
  });
  await check(t, 'ELU with alpha', { layers: layer('ELU', { alpha: 0.5 }), expected: (x) => elu(x, 0.5) });
  await check(t, 'Softmax', { layers: layer('Softmax', { axis: -1 }), expected: (x) => softmax(x, 1) });
  for (const shared of [[], [1, 2], [1]]) {
    const alpha = [5, 7, 3].map((n, i) => (shared.includes(i + 1) ? 1 : n));
    await check(t, `PReLU, shared axes [${shared}]`, {
      layers: layer('PReLU', { shared_axes: shared }),
      weights: weightsOf({ 'a/alpha': alpha }),
      expected: (x, w) => {
        const slopes = transpose(w['a/alpha']!, [2, 0, 1]);
        return binary.add(
          unary.relu(x),
          binary.mul(
            slopes,
            map(x, (v) => Math.min(v, 0)),
          ),
        );
      },
    });
  }
  t.end();
});

test('normalisation and preprocessing layers', async (t) => {
  const positive = (shape: readonly number[]) => randomArray(shape, seededRandom(9), { low: 0.5, high: 2 });
  const statistics = { 'n/moving_mean': image([3], 4), 'n/moving_variance': positive([3]) };
  const affine = { 'n/gamma': image([3], 5), 'n/beta': image([3], 6) };
  const ones = array([3], [1, 1, 1]);
  const zeros = array([3], [0, 0, 0]);
  for (const axis of [-1, 3, [3]]) {
    await check(t, `BatchNormalization along ${JSON.stringify(axis)}`, {
      layers: [{ class: 'BatchNormalization', name: 'n', config: { axis, epsilon: 0.01 } }],
      weights: { ...affine, ...statistics },
      expected: (x, w) =>
        batchNorm(x, w['n/moving_mean']!, w['n/moving_variance']!, w['n/gamma']!, w['n/beta']!, 0.01),
    });
  }
  await check(t, 'BatchNormalization without scale and centre, epsilon 1e-3', {
    layers: [{ class: 'BatchNormalization', name: 'n', config: { scale: false, center: false } }],
    weights: statistics,
    expected: (x, w) => batchNorm(x, w['n/moving_mean']!, w['n/moving_variance']!, ones, zeros, 1e-3),
  });
  await check(t, 'LayerNormalization', {
    layers: [{ class: 'LayerNormalization', name: 'n', config: { axis: [3] } }],
    weights: affine,
    expected: (x, w) => transpose(layerNorm(toKeras(x), w['n/gamma']!, w['n/beta']!, 1e-3), [0, 3, 1, 2]),
  });
  await check(t, 'Rescaling', {
    layers: [{ class: 'Rescaling', name: 'r', config: { scale: 1 / 127.5, offset: -1 } }],
    expected: (x) => map(x, (v) => v / 127.5 - 1),
  });
  await check(t, 'Rescaling of each channel', {
    layers: [{ class: 'Rescaling', name: 'r', config: { scale: [1, 2, 4], offset: [0, 1, 2] } }],
    expected: (x) => binary.add(binary.mul(x, array([3, 1, 1], [1, 2, 4])), array([3, 1, 1], [0, 1, 2])),
  });
  const normalised = (x: Array64, mean: Array64, variance: Array64) =>
    batchNorm(x, mean, variance, ones, zeros, 0);
  await check(t, 'Normalization by weights', {
    layers: [{ class: 'Normalization', name: 'n', config: { axis: [-1], mean: null, variance: null } }],
    weights: { 'n/mean': image([3], 4), 'n/variance': positive([3]), 'n/count': array([], [9]) },
    expected: (x, w) => normalised(x, w['n/mean']!, w['n/variance']!),
  });
  await check(t, 'Normalization by settings', {
    layers: [
      { class: 'Normalization', name: 'n', config: { axis: -1, mean: [[1, 2, 3]], variance: [4, 9, 16] } },
    ],
    expected: (x) => normalised(x, array([3], [1, 2, 3]), array([3], [4, 9, 16])),
  });
  t.end();
});

test('pooling, padding, shapes', async (t) => {
  const sides = [[0, 1], [2, 3]]; // biome-ignore format: top and bottom, left and right
  const cases: Record<string, [LayerSpec['class'], Record<string, unknown>, (x: Array64) => Array64]> = {
    GlobalAveragePooling2D: ['GlobalAveragePooling2D', {}, globalAvgPool],
    'GlobalAveragePooling2D, keepdims': ['GlobalAveragePooling2D', { keepdims: true }, globalAvgPool],
    GlobalMaxPooling2D: ['GlobalMaxPooling2D', {}, globalMaxPool],
    'MaxPooling2D by its default': ['MaxPooling2D', {}, (x) => maxPool2d(x, { kernel: [2, 2] })],
    'AveragePooling2D over the map': ['AveragePooling2D', { pool_size: [5, 7] }, globalAvgPool],
    'ZeroPadding2D, four sides': [
      'ZeroPadding2D',
      { padding: sides },
      (x) => pad(x, [0, 0, 0, 2], [0, 0, 1, 3]),
    ],
    Cropping2D: ['Cropping2D', { cropping: sides }, (x) => slice(x, [0, 0, 0, 2], [2, 3, 4, 4])],
    UpSampling2D: ['UpSampling2D', { size: [2, 3] }, (x) => resizeNearest(x, [10, 21])],
    'UpSampling2D, bilinear': [
      'UpSampling2D',
      { size: 2, interpolation: 'bilinear' },
      (x) => resizeBilinear(x, [10, 14], false),
    ],
    Resizing: ['Resizing', { height: 4, width: 9 }, (x) => resizeBilinear(x, [4, 9], false)],
    Reshape: [
      'Reshape',
      { target_shape: [7, -1, 5] },
      (x) => transpose(reshape(toKeras(x), [2, 7, 3, 5]), [0, 3, 1, 2]),
    ],
    Permute: [
      'Permute',
      { dims: [3, 1, 2] },
      (x) => transpose(transpose(toKeras(x), [0, 3, 1, 2]), [0, 3, 1, 2]),
    ],
  };
  for (const [title, [className, config, expected]] of Object.entries(cases)) {
    await check(t, title, { layers: [{ class: className, name: 'a', config }], expected });
  }
  t.end();
});

test('merging', async (t) => {
  const relu: LayerSpec = { class: 'Activation', name: 'r', config: { activation: 'relu' } };
  const merge = (className: string, config: Record<string, unknown> = {}): LayerSpec[] => [
    relu,
    { class: className, name: 'm', from: ['in', 'r'], config },
  ];
  const { relu: reluOf } = unary;
  const pairsOf: Record<string, (a: Array64, b: Array64) => Array64> = {
    Add: binary.add,
    Subtract: binary.sub,
    Multiply: binary.mul,
    Maximum: binary.max,
    Minimum: binary.min,
    Average: (a, b) => map(binary.add(a, b), (v) => v / 2),
  };
  for (const [className, expected] of Object.entries(pairsOf)) {
    await check(t, className, { layers: merge(className), expected: (x) => expected(x, reluOf(x)) });
  }
  for (const [axis, own] of [
    [-1, 1],
    [3, 1],
    [1, 2],
    [-2, 3],
  ] as const) {
    await check(t, `Concatenate along ${axis}`, {
      layers: merge('Concatenate', { axis }),
      expected: (x) => concat([x, reluOf(x)], own),
    });
  }
  await check(t, 'Multiply of a map with one number a channel', {
    layers: [
      { class: 'GlobalMaxPooling2D', name: 'g' },
      { class: 'Multiply', name: 'm', from: ['in', 'g'] },
    ],
    expected: (x) => binary.mul(x, globalMaxPool(x)),
  });
  t.end();
});

/** A convolution, a head, and their weights, for what follows. */
const stem: LayerSpec = {
  class: 'Conv2D',
  name: 'conv',
  config: { filters: 4, kernel_size: 3, activation: 'relu' },
};
const stemShapes = { 'conv/kernel': [3, 3, 3, 4], 'conv/bias': [4] };
const gap: LayerSpec = { class: 'GlobalAveragePooling2D', name: 'gap' };

/** A call of a TensorFlow function as Keras 2 writes it. */
const call2 = (name: string, fn: string, layer: string, named: unknown): LayerSpec => ({
  class: 'TFOpLambda',
  name,
  config: { function: fn },
  call: [layer, 0, 0, named],
});
/** A value as Keras 3 writes it among a call's arguments. */
const value3 = (layer: string) => ({
  class_name: '__keras_tensor__',
  config: { shape: [null], keras_history: [layer, 0, 0] },
});
const call3 = (name: string, operation: string, ...args: unknown[]): LayerSpec => ({
  class: operation,
  name,
  call: { args, kwargs: {} },
});

test('arithmetic between layers', async (t) => {
  const hardSwish = (x: Array64) => map(x, (v) => (v * Math.min(Math.max(v + 3, 0), 6)) / 6);
  await check(t, "MobileNetV3's hard swish, Keras 2", {
    layers: [
      { class: 'Activation', name: 'a', config: { activation: 'linear' } },
      call2('plus', '__operators__.add', 'a', { y: 3, name: null }),
      { class: 'ReLU', name: 'r', config: { max_value: 6 } },
      call2('sixth', 'math.multiply', 'r', { y: 1 / 6, name: null }),
      { class: 'Multiply', name: 'm', from: ['a', 'sixth'] },
    ],
    expected: hardSwish,
  });
  await check(t, 'the same, Keras 3', {
    layers: [
      { class: 'Activation', name: 'a', config: { activation: 'linear' } },
      call3('plus', 'Add', value3('a'), 3),
      { class: 'ReLU', name: 'r', config: { max_value: 6 } },
      call3('sixth', 'Multiply', value3('r'), 1 / 6),
      call3('m', 'Multiply', [value3('a'), value3('sixth')]),
    ],
    version: '3.1.1',
    expected: hardSwish,
  });
  const residual = (second: LayerSpec): LayerSpec[] => [
    { class: 'ReLU', name: 'r' },
    { class: 'Activation', name: 's', config: { activation: 'sigmoid' }, from: ['in'] },
    second,
  ];
  await check(t, 'two values', {
    layers: residual(call2('sum', '__operators__.add', 'r', { y: ['s', 0, 0], name: null })),
    expected: (x) => binary.add(unary.relu(x), unary.sigmoid(x)),
  });
  await check(t, 'two values in order', {
    layers: residual(call2('difference', 'math.subtract', 's', { y: ['r', 0, 0], name: null })),
    expected: (x) => binary.sub(unary.sigmoid(x), unary.relu(x)),
  });
  await check(t, 'two values, Keras 3', {
    layers: residual(call3('quotient', 'TrueDivide', value3('r'), value3('s'))),
    version: '3.0.0',
    expected: (x) => binary.div(unary.relu(x), unary.sigmoid(x)),
  });
  await check(t, 'a number before the value', {
    layers: [
      {
        ...call2('one', 'math.subtract', '', {}),
        call: ['_CONSTANT_VALUE', -1, 1, { y: ['in', 0, 0], name: null }],
      },
      call3('two', 'Subtract', 2.5, value3('one')),
    ],
    expected: (x) => map(x, (v) => 2.5 - (1 - v)),
  });
  const shift = [-103.9, 0, 7];
  await check(t, 'a number a channel', {
    layers: [call2('bias', 'nn.bias_add', 'in', { bias: shift, name: null })],
    expected: (x) => binary.add(x, array([3, 1, 1], shift)),
  });
  await check(t, 'functions', {
    layers: [call2('f', 'nn.silu', 'in', { name: null })],
    expected: (x) => binary.mul(x, unary.sigmoid(x)),
  });
});

test('arithmetic on the picture is what the file says of its preprocessing', async (t) => {
  const network = await read(
    functional(
      [4, 4, 3],
      [
        call2('scaled', 'math.truediv', 'in', { y: 127.5, name: null }),
        call2('centred', 'math.subtract', 'scaled', { y: 1, name: null }),
        { class: 'GlobalAveragePooling2D', name: 'gap' },
      ],
    ),
    {},
  );
  t.equal(network.preprocessing?.scale, 1, 'pixel values as they are');
  const x = image([1, 3, 4, 4]);
  const found = await outputOf(network, x);
  const expected = map(globalAvgPool(x), (v) => v / 127.5 - 1).data;
  t.ok(relativeError(found, expected) < TOLERANCE);
});

test("layers of Keras's own networks: ConvNeXt's and Inception-ResNet's", async (t) => {
  await check(t, 'LayerScale, StochasticDepth', {
    layers: [
      { class: 'LayerScale', name: 'scale', config: { init_values: 1e-6, projection_dim: 3 } },
      { class: 'StochasticDepth', name: 'depth', config: { drop_path_rate: 0.1 } },
    ],
    weights: weightsOf({ 'scale/Variable': [3] }),
    expected: (x, w) => binary.mul(x, reshape(w['scale/Variable']!, [3, 1, 1])),
  });
  await check(t, 'CustomScaleLayer', {
    layers: [
      { class: 'ReLU', name: 'r' },
      { class: 'CustomScaleLayer', name: 'sum', config: { scale: 0.17 }, from: ['in', 'r'] },
    ],
    expected: (x) =>
      binary.add(
        x,
        map(unary.relu(x), (v) => 0.17 * v),
      ),
  });
});

test('calls with numbers that are not understood', async (t) => {
  const refused = (layer: LayerSpec) => read(functional([4, 4, 3], [layer]), {}).then(String, String);
  t.match(
    await refused(call2('f', 'math.cumsum', 'in', { axis: 1 })),
    /the function "math.cumsum" is not supported/,
  );
  t.match(
    await refused(call3('f', 'ReLU', value3('in'), 3)),
    /layer "f" \(ReLU\): it is called with a number/,
  );
  t.match(await refused(call3('f', 'Divide', 1, value3('in'))), /it divides a number by a value/);
  t.match(
    await refused(call2('f', '__operators__.add', 'in', { y: [1, 2], name: null })),
    /its shift has 2 numbers for 3 channels/,
  );
  t.match(
    await refused({ class: 'Lambda', name: 'f', config: { function: ['4wEAAA', null, null] } }),
    /layer "f" \(Lambda\) is not supported: it holds Python code/,
  );
});

test('names are those of Keras', async (t) => {
  const layers = [stem, gap, { class: 'Dense', name: 'scores', config: { units: 5, activation: 'softmax' } }];
  const network = await read(
    functional([6, 6, 3], layers),
    weightsOf({ ...stemShapes, 'scores/kernel': [4, 5], 'scores/bias': [5] }),
  );
  t.deepEqual(
    network.graph.nodes.map(({ name, kind }) => [name, kind]),
    [
      ['conv/conv', 'conv'],
      ['conv', 'relu'],
      ['gap', 'globalAvgPool'],
      ['scores/linear', 'linear'],
      ['scores', 'softmax'],
    ],
    'a layer that has an activation ends in it',
  );
  t.deepEqual([...network.tensors.keys()], ['conv.weight', 'conv.bias', 'scores.weight', 'scores.bias']);
  t.equal(network.graph.output, 'scores/linear', 'the logits');
  t.deepEqual([...network.graph.outputs!], [['scores', 'scores']], "the file's output");
  t.end();
});

test('what stands at the end is named and left off', async (t) => {
  const dense = (activation?: string): LayerSpec => ({
    class: 'Dense',
    name: 'd',
    config: { units: 5, activation },
  });
  const ends: [string, LayerSpec[], string][] = [
    ['softmax', [gap, dense('softmax')], 'd/linear'],
    ['sigmoid', [gap, dense('sigmoid')], 'd/linear'],
    ['softmax', [gap, dense('linear')], 'd'],
    ['softmax', [gap, dense(), { class: 'Activation', name: 'p', config: { activation: 'softmax' } }], 'd'],
    ['softmax', [gap, dense(), { class: 'Softmax', name: 'p' }, { class: 'Dropout', name: 'o' }], 'd'],
    ['sigmoid', [gap, dense(), { class: 'Activation', name: 'p', config: { activation: 'sigmoid' } }], 'd'],
  ];
  const weights = weightsOf({ ...stemShapes, 'd/kernel': [4, 5], 'd/bias': [5] });
  const x = image([2, 3, 6, 6]);
  const features = unary.relu(conv2d(x, kernel(weights['conv/kernel']!), {}, weights['conv/bias']));
  const expected = binary.add(
    matmul(reshape(globalAvgPool(features), [2, 4]), weights['d/kernel']!),
    weights['d/bias']!,
  );
  for (const [probabilities, layers, output] of ends) {
    const network = await read(functional([6, 6, 3], [stem, ...layers]), weights);
    t.equal(network.probabilities, probabilities, layers.map(({ class: name }) => name).join(', '));
    t.equal(network.graph.output, output);
    t.ok(relativeError(await outputOf(network, x), expected.data) < TOLERANCE, 'the logits');
  }
  t.end();
});

test('heads of global pooling and one linear layer are recognised in every form', async (t) => {
  const dense: LayerSpec = { class: 'Dense', name: 'head', config: { units: 5, activation: 'softmax' } };
  const conv: LayerSpec = {
    class: 'Conv2D',
    name: 'head',
    config: { filters: 5, kernel_size: [1, 1], padding: 'same' },
  };
  const scores: LayerSpec = { ...conv, config: { ...conv.config, activation: 'softmax' } };
  const keep: LayerSpec = { ...gap, config: { keepdims: true } };
  const average: LayerSpec = { class: 'AveragePooling2D', name: 'gap', config: { pool_size: 4 } };
  const pixel: LayerSpec = { class: 'Reshape', name: 'pixel', config: { target_shape: [1, 1, 4] } };
  const row: LayerSpec = { class: 'Reshape', name: 'row', config: { target_shape: [5] } };
  const drop: LayerSpec = { class: 'Dropout', name: 'drop', config: { rate: 0.5 } };
  const flat: LayerSpec = { class: 'Flatten', name: 'flat' };
  const act: LayerSpec = { class: 'Activation', name: 'act', config: { activation: 'softmax' } };
  const heads: Record<string, LayerSpec[]> = {
    'GAP, Dense': [gap, dense],
    'GAP, Dropout, Dense': [gap, drop, dense],
    'GAP that keeps its axes, Flatten, Dense': [keep, flat, dense],
    'GAP that keeps its axes, Dense on a map of one pixel, Flatten': [
      keep,
      { ...dense, config: { units: 5 } },
      flat,
    ],
    'an average over the whole map, Flatten, Dense': [average, flat, dense],
    'GAP, Reshape, Dropout, 1x1 Conv2D, softmax, Reshape': [gap, pixel, drop, conv, act, row],
    'GAP, Reshape, 1x1 Conv2D, Reshape, softmax': [gap, pixel, conv, row, act],
    'GAP that keeps its axes, 1x1 Conv2D, Flatten': [keep, conv, flat],
    'GAP that keeps its axes, 1x1 Conv2D with a softmax, Flatten': [keep, scores, flat],
  };
  const weights = weightsOf({ ...stemShapes, 'head/kernel': [4, 5], 'head/bias': [5] });
  const x = image([2, 3, 6, 6]);
  const features = unary.relu(conv2d(x, kernel(weights['conv/kernel']!), {}, weights['conv/bias']));
  const expected = binary.add(
    matmul(reshape(globalAvgPool(features), [2, 4]), weights['head/kernel']!),
    weights['head/bias']!,
  );
  for (const [title, layers] of Object.entries(heads)) {
    const own = layers.some(({ class: className }) => className === 'Conv2D')
      ? { ...weights, 'head/kernel': reshape(weights['head/kernel']!, [1, 1, 4, 5]) }
      : weights;
    const network = await read(functional([6, 6, 3], [stem, ...layers]), own);
    t.equal(camLayer(dryRun(network.graph, [1, 3, 6, 6]), 'conv'), 'conv', title);
    t.ok(relativeError(await outputOf(network, x), expected.data) < TOLERANCE, 'and computed');
  }
  const early: LayerSpec = { ...conv, name: 'scores' };
  const fully = await read(functional([6, 6, 3], [stem, early, gap, act]), {
    ...weightsOf({ ...stemShapes, 'scores/kernel': [1, 1, 4, 5], 'scores/bias': [5] }),
  });
  t.equal(camLayer(dryRun(fully.graph, [1, 3, 6, 6]), 'conv'), 'scores', 'class channels before pooling');
  t.end();
});

test('models in every shape that Keras writes', async (t) => {
  const dense: LayerSpec = { class: 'Dense', name: 'd', config: { units: 5, activation: 'softmax' } };
  const shapes = { ...stemShapes, 'd/kernel': [4, 5], 'd/bias': [5] };
  const weights = weightsOf(shapes);
  const x = image([2, 3, 6, 6]);
  const reference = functional([6, 6, 3], [stem, gap, dense]);
  const expected = await outputOf(await read(reference, weights), x);
  const alone = ({ class: class_name, name, config }: LayerSpec, extra: Record<string, unknown> = {}) => ({
    class_name,
    config: { name, ...config, ...extra },
  });
  const shape = { batch_input_shape: [null, 6, 6, 3] };
  const input = { class_name: 'InputLayer', config: { name: 'first', ...shape } };
  const renamed = (prefix: string) =>
    Object.fromEntries(Object.entries(weights).map(([key, w]) => [prefix + key, w]));
  const sequential = (layers: unknown[], name = 'sequential') => ({
    class_name: 'Sequential',
    config: { name, layers },
  });
  const tensorOf = (name: string) => ({
    class_name: '__keras_tensor__',
    config: { shape: [null, 1], dtype: 'float32', keras_history: [name, 0, 0] },
  });
  const keras3 = {
    class_name: 'Functional',
    config: {
      layers: [
        {
          module: 'keras.layers',
          class_name: 'InputLayer',
          name: 'in',
          config: { name: 'in', batch_shape: [null, 6, 6, 3], dtype: 'float32' },
          inbound_nodes: [],
        },
        ...[stem, gap, dense].map((layer, i, all) => ({
          ...alone(layer, {
            dtype: { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' } },
            ...(i === 0 && {
              activation: { module: 'keras.activations', class_name: 'function', config: 'relu' },
            }),
          }),
          name: layer.name,
          inbound_nodes: [
            { args: [i === 2 ? [tensorOf(all[1]!.name)] : tensorOf(all[i - 1]?.name ?? 'in')], kwargs: {} },
          ],
        })),
      ],
      input_layers: ['in', 0, 0],
      output_layers: ['d', 0, 0],
    },
  };
  const base = { ...functional([6, 6, 3], [stem]), name: 'base' };
  const named = { ...base, config: { ...base.config, name: 'base' } };
  const nestedIn = functional(
    [6, 6, 3],
    [{ class: 'Functional', name: 'base', config: base.config }, gap, dense],
  );
  const forms: Record<string, [unknown, Weights, string?]> = {
    'Sequential with an input layer': [sequential([input, alone(stem), alone(gap), alone(dense)]), weights],
    'Sequential whose first layer has the shape': [
      sequential([alone(stem, shape), alone(gap), alone(dense)]),
      weights,
    ],
    'Sequential as an array of layers': [
      { class_name: 'Sequential', config: [alone(stem, shape), alone(gap), alone(dense)] },
      weights,
    ],
    'Sequential that was built': [
      {
        class_name: 'Sequential',
        config: {
          name: 's',
          build_input_shape: [null, 6, 6, 3],
          layers: [alone(stem), alone(gap), alone(dense)],
        },
      },
      weights,
    ],
    'weights behind the name of the model': [reference, renamed('model/')],
    'layers in another order': [
      { ...reference, config: { ...reference.config, layers: [...reference.config.layers].reverse() } },
      weights,
    ],
    'Keras 3': [keras3, weights, '3.1.1'],
    'a functional model in a functional one': [nestedIn, weights],
    'its weights behind its name': [
      nestedIn,
      {
        'd/kernel': weights['d/kernel']!,
        'd/bias': weights['d/bias']!,
        'base/conv/kernel': weights['conv/kernel']!,
        'base/conv/bias': weights['conv/bias']!,
      },
    ],
    'a functional model in a Sequential one': [sequential([named, alone(gap), alone(dense)]), weights],
    'a Sequential model in a Sequential one': [
      sequential([sequential([alone(stem, shape)], 'base'), alone(gap), alone(dense)]),
      weights,
    ],
    'a functional model in two Sequential ones, its weights without the names between': [
      sequential([sequential([named], 'outer'), alone(gap), alone(dense)]),
      {
        'd/kernel': weights['d/kernel']!,
        'd/bias': weights['d/bias']!,
        'outer/conv/kernel': weights['conv/kernel']!,
        'outer/conv/bias': weights['conv/bias']!,
      },
    ],
    'three deep, the input shape in the innermost layer alone': [
      sequential([
        sequential([sequential([alone(stem, shape)], 'c')], 'b'),
        sequential([alone(gap)], 'pool'),
        alone(dense),
      ]),
      weights,
    ],
  };
  for (const [title, [config, own, version]] of Object.entries(forms)) {
    const network = await read(config, own, version);
    t.deepEqual(await outputOf(network, x), expected, title);
  }
  const inner = await read(nestedIn, weights);
  t.ok(
    inner.graph.nodes.some(({ name }) => name === 'base/conv'),
    "an inner model's layers carry its name",
  );
  t.end();
});

test('a layer that is called twice shares its weights', async (t) => {
  const config = functional(
    [6, 6, 3],
    [
      {
        class: 'Conv2D',
        name: 'c',
        config: { filters: 3, kernel_size: 3, padding: 'same', activation: 'relu' },
      },
      { class: 'Add', name: 'sum' },
      { class: 'Flatten', name: 'flat' },
    ],
  );
  const [, conv, sum] = config.config.layers as { inbound_nodes: unknown[] }[];
  conv!.inbound_nodes = [[['in', 0, 0, {}]], [['c', 0, 0, {}]]];
  sum!.inbound_nodes = [[['c', 0, 0, {}], ['c', 1, 0, {}]]]; // biome-ignore format: one call
  const weights = weightsOf({ 'c/kernel': [3, 3, 3, 3], 'c/bias': [3] });
  const network = await read(config, weights);
  const x = image([2, 3, 6, 6]);
  const layer = (y: Array64) =>
    unary.relu(conv2d(y, kernel(weights['c/kernel']!), { padding: [1, 1, 1, 1] }, weights['c/bias']));
  const expected = toKeras(binary.add(layer(x), layer(layer(x)))).data;
  t.ok(relativeError(await outputOf(network, x), expected) < TOLERANCE);
  t.deepEqual([...network.tensors.keys()], ['c.weight', 'c.bias']);
  t.end();
});

test('a layer called "input" is not the network\'s input', async (t) => {
  const network = await read(
    functional(
      [2, 2, 1],
      [
        { class: 'Activation', name: 'input', config: { activation: 'relu' } },
        { class: 'Flatten', name: 'f' },
      ],
    ),
    {},
  );
  t.deepEqual([...(await outputOf(network, array([1, 1, 2, 2], [-1, 2, -3, 4])))], [0, 2, 0, 4]);
  t.end();
});

test('preprocessing is what the file says', async (t) => {
  const flat: LayerSpec = { class: 'Flatten', name: 'f' };
  const rescaling: LayerSpec = { class: 'Rescaling', name: 'r', config: { scale: 1 / 255 } };
  const plain = await read(functional([4, 6, 3], [flat]), {});
  t.equal(plain.preprocessing, undefined, 'nothing');
  t.deepEqual([plain.inputShape, plain.anySize], [[1, 3, 4, 6], false], 'the size');
  const raw = await read(functional([4, 6, 1], [rescaling, flat]), {});
  t.deepEqual(
    raw.preprocessing,
    { scale: 1, mean: [0], std: [1] },
    'a network that rescales takes pixels as they are',
  );
  t.end();
});

test('quantised weights', async (t) => {
  const config = functional(
    [1, 2, 2],
    [
      { class: 'Flatten', name: 'f' },
      { class: 'Dense', name: 'd', config: { units: 2, use_bias: false } },
    ],
  );
  const x = array([1, 2, 1, 2], [1, 0, 0, 1]);
  // Rows of the kernel are (x0 c0), (x0 c1), (x1 c0), (x1 c1); the input picks the first and the last.
  const forms: [string, Record<string, unknown>, Uint8Array, number[]][] = [
    ['float32', {}, new Uint8Array(Float32Array.of(1, 2, 0, 0, 0, 0, 10, 20).buffer), [11, 22]],
    [
      'uint8',
      { quantization: { dtype: 'uint8', scale: 0.5, min: -1, original_dtype: 'float32' } },
      Uint8Array.of(2, 4, 0, 0, 0, 0, 255, 1),
      [0 + 126.5, 1 - 0.5],
    ],
    [
      'uint16',
      { quantization: { dtype: 'uint16', scale: 0.25, min: 3 } },
      new Uint8Array(Uint16Array.of(4, 8, 0, 0, 0, 0, 65535, 0).buffer),
      [4 + 16386.75, 5 + 3],
    ],
    [
      'float16',
      { quantization: { dtype: 'float16' } },
      new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0, 0, 0, 0, 0x3800, 0x0400).buffer),
      [1.5, -2 + 2 ** -14],
    ],
  ];
  for (const [name, quantization, shard, expected] of forms) {
    const { root } = tfjsFiles(config, weightsOf({ 'd/kernel': [4, 2] }));
    const [group] = root.weightsManifest;
    Object.assign(group!.weights[0]!, quantization);
    const network = await readTfjs(encode(root), 'model.json', memory({ 'group1-shard1of1.bin': shard }));
    t.deepEqual([...(await outputOf(network, x))], expected, name);
  }
  t.end();
});

test('weights in several shards and groups', async (t) => {
  const config = functional([6, 6, 3], [stem, gap]);
  const weights = weightsOf(stemShapes);
  const { root, shard } = tfjsFiles(config, weights);
  const [{ weights: entries }] = root.weightsManifest as unknown as [{ weights: unknown[] }];
  // A weight may be cut anywhere, and shards may lie in folders.
  const split = {
    ...root,
    weightsManifest: [
      { paths: ['a.bin', 'more/b.bin'], weights: entries.slice(0, 1) },
      { paths: ['c.bin'], weights: entries.slice(1) },
    ],
  };
  const files = {
    'a.bin': shard.subarray(0, 101),
    'more/b.bin': shard.subarray(101, 432),
    'c.bin': shard.subarray(432),
  };
  const found = await readTfjs(encode(split), 'model.json', memory(files));
  t.deepEqual([...found.tensors], [...(await read(config, weights)).tensors]);
  t.end();
});

test('a model that TensorFlow.js saved has its configuration at once', async (t) => {
  const config = functional([6, 6, 3], [stem, gap]);
  const { root, shard } = tfjsFiles(config, weightsOf(stemShapes));
  const saved = {
    ...root,
    modelTopology: { ...config, keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js' },
  };
  const found = await readTfjs(encode(saved), 'model.json', memory({ 'group1-shard1of1.bin': shard }));
  t.equal(found.graph.output, 'gap');
  t.end();
});

test('HDF5 gives the same network as TensorFlow.js', async (t) => {
  const dense: LayerSpec = { class: 'Dense', name: 'd', config: { units: 5, activation: 'softmax' } };
  const config = functional([6, 6, 3], [stem, gap, dense]);
  const weights = weightsOf({ ...stemShapes, 'd/kernel': [4, 5], 'd/bias': [5] });
  const expected = await read(config, weights);
  const comparable = ({ graph, ...rest }: ImportedNetwork) => ({
    ...rest,
    tensors: [...rest.tensors],
    nodes: JSON.parse(JSON.stringify(graph.nodes)),
  });
  const found = await readKerasH5(await h5File(config, weights), 'model.h5');
  t.deepEqual(comparable(found), comparable(expected), 'of one level');
  const inner = functional(
    [6, 6, 3],
    [{ class: 'Functional', name: 'base', config: functional([6, 6, 3], [stem]).config }, gap, dense],
  );
  const outer = {
    'base/conv/kernel': weights['conv/kernel']!,
    'base/conv/bias': weights['conv/bias']!,
    'd/kernel': weights['d/kernel']!,
    'd/bias': weights['d/bias']!,
  };
  const nested = await readKerasH5(await h5File(inner, outer), 'model.h5');
  t.deepEqual(comparable(nested), comparable(await read(inner, outer)), 'of two');
  t.end();
});

test('everything that cannot be read is listed at once', async (t) => {
  const layers: LayerSpec[] = [
    { class: 'Lambda', name: 'mystery' },
    {
      class: 'Conv2D',
      name: 'early',
      from: ['in'],
      config: { filters: 4, kernel_size: 3, data_format: 'channels_first' },
    },
    { class: 'Conv2D', name: 'bare', from: ['in'], config: { filters: 4, kernel_size: 3 } },
    { class: 'Dense', name: 'wrong', from: ['in'], config: { units: 2, use_bias: false } },
    { class: 'Activation', name: 'odd', from: ['in'], config: { activation: 'sine' } },
    { class: 'LSTM', name: 'memory', from: ['bare'] },
  ];
  const error = await read(functional([5, 5, 3], layers), weightsOf({ 'wrong/kernel': [2, 3] })).catch(
    (e) => e,
  );
  t.ok(error instanceof FormatError);
  for (const part of [
    'layer "mystery" (Lambda) is not supported',
    'layer "early" (Conv2D): data_format is "channels_first"',
    'missing bare/kernel [3, 3, 3, 4]',
    'missing bare/bias [4]',
    'wrong/kernel is [2, 3], expected [3, 2]',
    'layer "odd" (Activation): activation "sine" is not supported',
    'layer "memory" (LSTM) is not supported',
  ]) {
    t.ok(error.message.includes(part), part);
  }
  const spare = await read(
    functional([5, 5, 3], [stem, gap]),
    weightsOf({ ...stemShapes, 'other/kernel': [2] }),
  ).catch((e) => e);
  t.ok(
    spare instanceof FormatError && spare.message.includes('no layer takes the weight other/kernel'),
    'a weight left over',
  );
  t.end();
});

test('one of several outputs', async (t) => {
  const heads: LayerSpec[] = [
    stem,
    gap,
    { class: 'Dense', name: 'scores', config: { units: 5, activation: 'softmax' }, from: ['gap'] },
    { class: 'Dense', name: 'age', config: { units: 1 }, from: ['gap'] },
  ];
  const config = functional([6, 6, 3], heads);
  const both = { ...config, config: { ...config.config, output_layers: [['scores', 0, 0], ['age', 0, 0]] } }; // biome-ignore format: one list
  const weights = weightsOf({
    ...stemShapes,
    'scores/kernel': [4, 5],
    'scores/bias': [5],
    'age/kernel': [4, 1],
    'age/bias': [1],
  });
  const { root, shard } = tfjsFiles(both, weights);
  const parts = memory({ 'group1-shard1of1.bin': shard });
  const several = await readTfjs(encode(root), 'model.json', parts).then(String, String);
  t.match(several, /--output NAME.*\n {2}scores \[1, 5\]\n {2}age \[1, 1\]/, 'all are listed');
  const scores = await readTfjs(encode(root), 'model.json', parts, { output: 'scores' });
  t.deepEqual([scores.graph.output, scores.probabilities], ['scores/linear', 'softmax']);
  const age = await readTfjs(encode(root), 'model.json', parts, { output: 'age' });
  t.deepEqual([age.graph.output, age.probabilities, age.classCount], ['age', 'none', 1]);
  t.end();
});

test('augmentation and scaling inside a network', async (t) => {
  const augment: LayerSpec = { class: 'RandomFlip', name: 'flip', config: { mode: 'horizontal' } };
  const rescale: LayerSpec = { class: 'Rescaling', name: 'scale', config: { scale: 1 / 127.5, offset: -1 } };
  const resize: LayerSpec = { class: 'Resizing', name: 'size', config: { height: 5, width: 5 } };
  const weights = weightsOf({ ...stemShapes, 'd/kernel': [4, 5], 'd/bias': [5] });
  const dense: LayerSpec = { class: 'Dense', name: 'd', config: { units: 5 } };
  const raw = { scale: 1, mean: [0], std: [1] };
  const starts: [LayerSpec[], typeof raw | undefined][] = [
    [[augment, rescale], raw],
    [[resize, augment, rescale], raw],
    [[augment], undefined],
  ];
  for (const [start, expected] of starts) {
    const network = await read(functional([6, 6, 3], [...start, stem, gap, dense]), weights);
    t.deepEqual(network.preprocessing, expected, start.map(({ class: name }) => name).join(', '));
  }
  t.end();
});
