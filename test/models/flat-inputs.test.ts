// Networks whose input holds a picture's numbers in another shape: a row, or a matrix without channels.

import test from 'tape';
import { scope, tensor } from '../../engine/index.ts';
import { describeImported } from '../../models/describe.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { disposeNetwork, loadNetwork } from '../../models/network.ts';
import { device } from '../device.ts';
import {
  conv2d,
  globalAvgPool,
  map,
  matmul,
  randomArray,
  relativeError,
  reshape,
  seededRandom,
} from '../reference/index.ts';
import { encode, functional, type LayerSpec, memory, tfjsFiles } from './keras-fixtures.ts';
import { type InputSpec, modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

const noParts = () => Promise.reject(new Error('no parts are expected'));
const random = seededRandom(11);
const side = 12;
const size = side * side;
const kernel = randomArray([4, 1, 3, 3], random);
const last = randomArray([4, 5], random);
const dense = randomArray([size, 5], random);
const stored = (
  name: string,
  { shape, data }: { shape: readonly number[]; data: Float64Array },
): TensorSpec => ({
  name,
  dims: shape,
  data: [...data],
});
const initializers = [
  stored('kernel', kernel),
  stored('last', last),
  stored('dense', dense),
  { name: 'map', dims: [4], type: 7, data: [-1, 1, side, side] },
  { name: 'row', dims: [2], type: 7, data: [-1, size] },
];
/** A convolution behind what makes a map of the input; a layer of all its numbers. */
const bodies: Readonly<Record<string, readonly NodeSpec[]>> = {
  convolution: [
    { op: 'Reshape', inputs: ['x', 'map'], outputs: ['image'] },
    { op: 'Conv', inputs: ['image', 'kernel'], outputs: ['c'], attributes: { kernel_shape: [3, 3] } },
    { op: 'Relu', inputs: ['c'], outputs: ['features'] },
    { op: 'GlobalAveragePool', inputs: ['features'], outputs: ['g'] },
    { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
    { op: 'MatMul', inputs: ['f', 'last'], outputs: ['y'] },
  ],
  dense: [
    { op: 'Reshape', inputs: ['x', 'row'], outputs: ['r'] },
    { op: 'MatMul', inputs: ['r', 'dense'], outputs: ['y'] },
  ],
};
const inputs: Readonly<Record<string, InputSpec['dims']>> = {
  'a row of any batch': ['N', size],
  'a row': [1, size],
  'a row without a batch': [size],
  'a matrix of any batch': ['N', side, side],
  'a matrix': [1, side, side],
  'a matrix without a batch': [side, side],
};

test('pictures go into flat inputs, as many at once as one likes', async (t) => {
  const pictures = randomArray([3, 1, side, side], seededRandom(2));
  const truth = {
    convolution: matmul(
      reshape(globalAvgPool(map(conv2d(pictures, kernel), (x) => Math.max(0, x))), [3, 4]),
      last,
    ),
    dense: matmul(reshape(pictures, [3, size]), dense),
  };
  for (const [name, dims] of Object.entries(inputs)) {
    for (const kind of ['convolution', 'dense'] as const) {
      const bytes = modelBytes({ nodes: bodies[kind]!, initializers, inputs: [{ name: 'x', dims }] });
      const imported = await readOnnx(bytes, 'flat.onnx', noParts);
      t.deepEqual(imported.inputShape, [1, 1, side, side], name);
      const description = describeImported('flat.onnx', imported);
      t.match(description.summary, /its input \[(144|12, 12)\] is taken as a grey picture of 12 x 12/);
      if (kind === 'convolution') t.equal(description.targetLayer, 'features');
      const network = loadNetwork(await device(), description, imported.tensors);
      const x = tensor(network.device, pictures.data, pictures.shape);
      const { graph, parameters } = network;
      const y = scope(
        () => evaluate(graph, parameters, new Map([[INPUT, x]]), [graph.output]).get(graph.output)!,
      );
      t.ok(relativeError(await y.data(), truth[kind].data) < 1e-5, kind);
      for (const made of [x, y]) made.dispose();
      disposeNetwork(network);
    }
  }
});

test('which rows are pictures', async (t) => {
  const read = (dims: InputSpec['dims']) =>
    readOnnx(
      modelBytes({
        nodes: [
          { op: 'Flatten', inputs: ['x'], outputs: ['f'] },
          { op: 'ReduceMean', inputs: ['f'], outputs: ['y'], attributes: { axes: [1] } },
        ],
        inputs: [{ name: 'x', dims }],
      }),
      'flat.onnx',
      noParts,
    ).then(
      ({ inputShape, remark }) => `${inputShape}: ${remark}`,
      ({ message }: Error) => message,
    );
  t.equal(
    await read(['N', 3072]),
    '1,3,32,32: its input [3072] is taken as a picture, its three colours one after the other, of 32 x 32',
  );
  for (const dims of [
    ['N', 100 * 99],
    ['N', 49],
    ['N', 'any'],
  ] as const)
    t.match(
      await read(dims),
      /its input "x" is float .*; a picture is float \[N, C, H, W\], .* a signal float \[N, C, L\]/,
      `${dims}`,
    );
});

test('Keras models of rows and matrices', async (t) => {
  const random = seededRandom(21);
  const weights = { 'dense/kernel': randomArray([size, 5], random), 'dense/bias': randomArray([5], random) };
  const dense = { class: 'Dense', name: 'dense', config: { units: 5, activation: 'linear', use_bias: true } };
  const flatten = { class: 'Flatten', name: 'flatten' };
  const cases: [readonly number[], readonly LayerSpec[]][] = [
    [
      [side, side],
      [flatten, dense],
    ],
    [[size], [dense]],
    [
      [side, side],
      [{ class: 'Reshape', name: 'image', config: { target_shape: [side, side, 1] } }, flatten, dense],
    ],
  ];
  const pictures = randomArray([2, 1, side, side], seededRandom(4));
  const product = matmul(reshape(pictures, [2, size]), weights['dense/kernel']);
  const truth = product.data.map((value, i) => value + weights['dense/bias'].data[i % 5]!);
  for (const [shape, specs] of cases) {
    const { root, shard } = tfjsFiles(functional(shape, specs), weights);
    const imported = await readTfjs(encode(root), 'model.json', memory({ 'group1-shard1of1.bin': shard }));
    t.deepEqual(imported.inputShape, [1, 1, side, side]);
    const description = describeImported('model.json', imported);
    t.match(description.summary, /its input \[(144|12, 12)\] is taken as a grey picture of 12 x 12/);
    const network = loadNetwork(await device(), description, imported.tensors);
    const x = tensor(network.device, pictures.data, pictures.shape);
    const { graph, parameters } = network;
    const y = scope(
      () => evaluate(graph, parameters, new Map([[INPUT, x]]), [graph.output]).get(graph.output)!,
    );
    t.ok(relativeError(await y.data(), truth) < 1e-5, `${shape} ${specs.map(({ name }) => name)}`);
    for (const made of [x, y]) made.dispose();
    disposeNetwork(network);
  }
});
