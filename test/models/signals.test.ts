// Networks over signals, which have one axis beside the channels: ONNX's [N, C, L], Keras's [N, L, C].

import test from 'tape';
import { explain } from '../../cam/index.ts';
import { scope, tensor } from '../../engine/index.ts';
import { describeImported } from '../../models/describe.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { disposeNetwork, loadNetwork } from '../../models/network.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  avgPool2d,
  batchNorm,
  conv2d,
  convTranspose2d,
  globalAvgPool,
  globalMaxPool,
  map,
  matmul,
  maxPool2d,
  pad,
  randomArray,
  relativeError,
  reshape,
  resizeNearest,
  seededRandom,
  slice,
  transpose,
} from '../reference/index.ts';
import { encode, functional, type LayerSpec, memory, tfjsFiles, type Weights } from './keras-fixtures.ts';
import { type InputSpec, modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

const noParts = () => Promise.reject(new Error('no parts are expected'));
const relu = (x: Array64) => map(x, (value) => Math.max(0, value));
const stored = (name: string, { shape, data }: Array64): TensorSpec => ({
  name,
  dims: shape,
  data: [...data],
});

/** What a network gives for signals [N, C, 1, L]. */
async function outputOf(imported: ImportedNetwork, x: Array64): Promise<Float32Array> {
  const network = loadNetwork(await device(), describeImported('signals', imported), imported.tensors);
  const input = tensor(network.device, x.data, x.shape);
  const { graph, parameters } = network;
  const y = scope(
    () => evaluate(graph, parameters, new Map([[INPUT, input]]), [graph.output]).get(graph.output)!,
  );
  const values = await y.data();
  for (const one of [input, y]) one.dispose();
  disposeNetwork(network);
  return values;
}

const random = seededRandom(31);
const [channels, steps, classes] = [3, 26, 4];
const first = randomArray([6, channels, 5], random);
const second = randomArray([8, 3, 3], random);
const [scale, shift, mean] = [0, 1, 2].map(() => randomArray([8], random)) as [Array64, Array64, Array64];
const variance = randomArray([8], random, { low: 0.5, high: 2 });
const last = randomArray([8, classes], random);
const line = ({ shape, data }: Array64): Array64 => ({ shape: [shape[0]!, shape[1]!, 1, shape[2]!], data });

/** The features [N, 8, 1, 13] of signals [N, 3, 1, 26], in float64. */
function features(x: Array64): Array64 {
  const a = relu(conv2d(x, line(first), { padding: [0, 2, 0, 2] }));
  const b = maxPool2d(a, { kernel: [1, 2], stride: [1, 2] });
  const c = conv2d(b, line(second), { padding: [0, 1, 0, 1], groups: 2 });
  return relu(batchNorm(c, mean, variance, scale, shift));
}
const scores = (x: Array64) => matmul(reshape(globalAvgPool(features(x)), [x.shape[0]!, 8]), last);

const body = (x: string): NodeSpec[] => [
  { op: 'Conv', inputs: [x, 'first'], outputs: ['a'], attributes: { kernel_shape: [5], pads: [2, 2] } },
  { op: 'Relu', inputs: ['a'], outputs: ['ar'] },
  { op: 'MaxPool', inputs: ['ar'], outputs: ['b'], attributes: { kernel_shape: [2], strides: [2] } },
  {
    op: 'Conv',
    inputs: ['b', 'second'],
    outputs: ['c'],
    attributes: { kernel_shape: [3], pads: [1, 1], group: 2 },
  },
  {
    op: 'BatchNormalization',
    inputs: ['c', 'scale', 'shift', 'mean', 'variance'],
    outputs: ['n'],
    attributes: { epsilon: { float: 1e-5 } },
  },
  { op: 'Relu', inputs: ['n'], outputs: ['features'] },
  { op: 'GlobalAveragePool', inputs: ['features'], outputs: ['g'] },
  { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
  { op: 'MatMul', inputs: ['f', 'last'], outputs: ['y'] },
];
const initializers = Object.entries({ first, second, scale, shift, mean, variance, last }).map(
  ([name, one]) => stored(name, one),
);
const turn: NodeSpec = { op: 'Transpose', inputs: ['x'], outputs: ['t'], attributes: { perm: [0, 2, 1] } };

test('ONNX networks over signals, as channels and steps or the other way round', async (t) => {
  const x = randomArray([2, channels, 1, steps], seededRandom(2));
  const files: Readonly<Record<string, { dims: InputSpec['dims']; nodes: readonly NodeSpec[] }>> = {
    'channels first': { dims: ['N', channels, steps], nodes: body('x') },
    'one signal': { dims: [1, channels, steps], nodes: body('x') },
    'of any length': { dims: ['N', channels, 'L'], nodes: body('x') },
    'nothing known': { dims: ['N', 'C', 'L'], nodes: body('x') },
    'channels last': { dims: ['N', steps, channels], nodes: [turn, ...body('t')] },
    'channels last, of any length': { dims: ['N', 'L', channels], nodes: [turn, ...body('t')] },
  };
  for (const [name, { dims, nodes }] of Object.entries(files)) {
    const imported = await readOnnx(
      modelBytes({ nodes, initializers, inputs: [{ name: 'x', dims }] }),
      'signals.onnx',
      noParts,
    );
    const open = dims.includes('L');
    t.equal(imported.anySize, open, `${name}: its length`);
    t.deepEqual(imported.inputShape, [1, channels, 1, open ? 224 : steps]);
    const { summary, targetLayer, preprocessing } = describeImported('signals.onnx', imported);
    t.match(summary, /its input \[.*\] is taken as a signal: 3 channels, (26|any number of) steps/);
    t.equal(targetLayer, 'features');
    t.equal(preprocessing.channels, channels);
    t.ok(relativeError(await outputOf(imported, x), scores(x).data) < 1e-5, name);
  }
});

test('maps of signals are lines: CAM is the weighted sum of features, Grad-CAM its share', async (t) => {
  const imported = await readOnnx(
    modelBytes({ nodes: body('x'), initializers, inputs: [{ name: 'x', dims: ['N', channels, steps] }] }),
    'signals.onnx',
    noParts,
  );
  const network = loadNetwork(await device(), describeImported('signals', imported), imported.tensors);
  const x = randomArray([1, channels, 1, steps], seededRandom(5));
  const input = tensor(network.device, x.data, x.shape);
  const A = features(x);
  const [, , , length] = A.shape as [number, number, number, number];
  const truth = Float64Array.from({ length }, (_, i) =>
    Array.from({ length: 8 }, (_, k) => A.data[k * length + i]! * last.data[k * classes + 1]!).reduce(
      (sum, n) => sum + n,
    ),
  );
  const found = await explain(network, input, {
    methods: ['cam', 'grad-cam', 'eigen-cam', 'score-cam', 'layer-cam', 'rise', 'ablation-cam'],
    classes: [1],
    signed: true,
  });
  for (const { method, map: one, upsampled } of found) {
    t.deepEqual(upsampled.shape, [1, steps], `${method}: over the signal`);
    if (method !== 'rise') t.deepEqual(one.shape, [1, length], `${method}: at the layer`);
    const expected = { cam: truth, 'grad-cam': truth.map((n) => n / length) }[method];
    if (expected) t.ok(relativeError(await one.data(), expected) < 1e-5, method);
  }
  for (const one of found) for (const value of [one.map, one.upsampled, one.weights]) value?.dispose();
  input.dispose();
  disposeNetwork(network);
});

test('which axis of a picture holds its channels', async (t) => {
  const nodes = [
    { op: 'Flatten', inputs: ['x'], outputs: ['f'] },
    { op: 'ReduceMean', inputs: ['f'], outputs: ['y'], attributes: { axes: [1] } },
  ];
  for (const [dims, shape] of [
    [
      [1, 5, 40, 60],
      [1, 5, 40, 60],
    ],
    [
      [1, 40, 60, 5],
      [1, 5, 40, 60],
    ],
    [
      [1, 64, 64, 13],
      [1, 13, 64, 64],
    ],
    [
      [1, 6, 3, 5],
      [1, 6, 3, 5],
    ],
    [
      [1, 3, 40, 1],
      [1, 3, 40, 1],
    ],
  ] as const) {
    const read = await readOnnx(modelBytes({ nodes, inputs: [{ name: 'x', dims }] }), 'net.onnx', noParts);
    t.deepEqual(read.inputShape, shape, `${dims}`);
  }
});

test('volumes and videos are refused by name', async (t) => {
  const nodes = [{ op: 'GlobalAveragePool', inputs: ['x'], outputs: ['y'] }];
  const bytes = modelBytes({ nodes, inputs: [{ name: 'x', dims: [1, 3, 8, 16, 16] }] });
  const message = await readOnnx(bytes, 'video.onnx', noParts).catch((error: Error) => error.message);
  t.match(
    String(message),
    /^video\.onnx: its input "x" is float \[1, 3, 8, 16, 16\]; volumes and videos, with three axes after the channels, are not read$/,
  );
});

/** One layer of Keras over signals [N, L, C], here [N, C, 1, L]. */
interface Case {
  readonly layer: Omit<LayerSpec, 'name'>;
  readonly weights?: Weights;
  readonly expected: (x: Array64, weights: Weights) => Array64;
}
/** [k, in, out] -> [out, in, 1, k] */
const kernel = (w: Array64) => line(transpose(w, [2, 1, 0]));
const weights = { 'it/kernel': randomArray([3, 4, 6], random), 'it/bias': randomArray([6], random) };
const biased = (x: Array64, bias: Array64): Array64 => {
  const [, k, , l] = x.shape as [number, number, number, number];
  return array(
    x.shape,
    Array.from(x.data, (value, i) => value + bias.data[Math.floor(i / l) % k]!),
  );
};
const norm = Object.fromEntries(
  ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((name) => [
    `it/${name}`,
    randomArray([4], random, { low: 0.5, high: 2 }),
  ]),
);
const cases: Readonly<Record<string, Case>> = {
  'Conv1D, valid': {
    layer: { class: 'Conv1D', config: { filters: 6, kernel_size: [3], strides: [2], padding: 'valid' } },
    weights,
    expected: (x, w) => biased(conv2d(x, kernel(w['it/kernel']!), { stride: [1, 2] }), w['it/bias']!),
  },
  'Conv1D, same, of an even length, with ReLU': {
    layer: {
      class: 'Conv1D',
      config: { filters: 6, kernel_size: 3, strides: 2, padding: 'same', activation: 'relu' },
    },
    weights,
    expected: (x, w) =>
      relu(
        biased(conv2d(x, kernel(w['it/kernel']!), { stride: [1, 2], padding: [0, 0, 0, 1] }), w['it/bias']!),
      ),
  },
  'Conv1D, causal and dilated': {
    layer: {
      class: 'Conv1D',
      config: { filters: 6, kernel_size: [3], padding: 'causal', dilation_rate: [2] },
    },
    weights,
    expected: (x, w) =>
      biased(conv2d(x, kernel(w['it/kernel']!), { dilation: [1, 2], padding: [0, 4, 0, 0] }), w['it/bias']!),
  },
  SeparableConv1D: {
    layer: {
      class: 'SeparableConv1D',
      config: { filters: 5, kernel_size: [3], depth_multiplier: 2, use_bias: false },
    },
    weights: {
      'it/depthwise_kernel': randomArray([3, 4, 2], random),
      'it/pointwise_kernel': randomArray([1, 8, 5], random),
    },
    expected: (x, w) => {
      const { shape, data } = w['it/depthwise_kernel']!;
      const each = transpose({ shape: [...shape], data }, [1, 2, 0]);
      const apart = conv2d(x, { shape: [8, 1, 1, 3], data: each.data }, { groups: 4 });
      return conv2d(apart, kernel(w['it/pointwise_kernel']!));
    },
  },
  Conv1DTranspose: {
    layer: {
      class: 'Conv1DTranspose',
      config: { filters: 6, kernel_size: [3], strides: [2], use_bias: false },
    },
    weights: { 'it/kernel': randomArray([3, 6, 4], random) },
    expected: (x, w) =>
      convTranspose2d(x, line(transpose(w['it/kernel']!, [2, 1, 0])), [1, 2 * 12 + 1], { stride: [1, 2] }),
  },
  BatchNormalization: {
    layer: { class: 'BatchNormalization', config: { axis: [2], epsilon: 0.001 } },
    weights: norm,
    expected: (x, w) =>
      batchNorm(x, w['it/moving_mean']!, w['it/moving_variance']!, w['it/gamma']!, w['it/beta']!, 0.001),
  },
  MaxPooling1D: {
    layer: { class: 'MaxPooling1D', config: { pool_size: [3], strides: [2], padding: 'valid' } },
    expected: (x) => maxPool2d(x, { kernel: [1, 3], stride: [1, 2] }),
  },
  'AveragePooling1D, nothing said': {
    layer: { class: 'AveragePooling1D' },
    expected: (x) => avgPool2d(x, { kernel: [1, 2], stride: [1, 2] }),
  },
  GlobalAveragePooling1D: { layer: { class: 'GlobalAveragePooling1D' }, expected: globalAvgPool },
  'GlobalMaxPooling1D, kept as one step': {
    layer: { class: 'GlobalMaxPooling1D', config: { keepdims: true } },
    expected: globalMaxPool,
  },
  ZeroPadding1D: {
    layer: { class: 'ZeroPadding1D', config: { padding: [1, 2] } },
    expected: (x) => pad(x, [0, 0, 0, 1], [0, 0, 0, 2]),
  },
  Cropping1D: {
    layer: { class: 'Cropping1D', config: { cropping: 2 } },
    expected: (x) => slice(x, [0, 0, 0, 2], [x.shape[0]!, 4, 1, x.shape[3]! - 2]),
  },
  UpSampling1D: {
    layer: { class: 'UpSampling1D', config: { size: 3 } },
    expected: (x) => resizeNearest(x, [1, 3 * x.shape[3]!]),
  },
};

test("Keras's layers over signals", async (t) => {
  for (const [name, { layer, weights = {}, expected }] of Object.entries(cases)) {
    const x = randomArray([2, 4, 1, 12], seededRandom(7));
    const specs = [
      { ...layer, name: 'it' },
      { class: 'Flatten', name: 'flat' },
    ];
    const { root, shard } = tfjsFiles(functional([12, 4], specs), weights);
    const imported = await readTfjs(encode(root), 'model.json', memory({ 'group1-shard1of1.bin': shard }));
    t.deepEqual(imported.inputShape, [1, 4, 1, 12]);
    const wanted = expected(x, weights);
    const last = wanted.shape.length === 4 ? transpose(wanted, [0, 2, 3, 1]) : wanted;
    const found = await outputOf(imported, x);
    t.equal(found.length, last.data.length, name);
    t.ok(relativeError(found, last.data) < 2e-6, name);
  }
});
