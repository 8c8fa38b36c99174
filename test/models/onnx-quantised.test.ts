// ONNX Runtime's quantised operators and its weights of few bits, each against its definition in float64.

import test from 'tape';
import {
  type Array64,
  array,
  binary,
  concat,
  map,
  matmul,
  mean,
  reshape,
  seededRandom,
  softmax,
} from '../reference/index.ts';
import { type Case, holdToFloat64, readCase } from './onnx-case.ts';
import type { NodeSpec, TensorSpec } from './onnx-file.ts';

const domain = 'com.microsoft';
const next = seededRandom(11);
const byte = (name: string, value: number): TensorSpec => ({
  name,
  dims: [],
  type: 2,
  raw: Uint8Array.of(value),
});
const bytes = (name: string, dims: readonly number[], data: ArrayLike<number>): TensorSpec => ({
  name,
  dims,
  type: 2,
  raw: Uint8Array.from(data),
});
const floats = (name: string, dims: readonly number[], ...data: number[]): TensorSpec => ({
  name,
  dims,
  data,
});
const scalar = (value: number) => array([1], [value]);

// Scales and zero points of a, b and the result.
const [sA, sB, sY] = [0.03, 0.017, 0.02137].map(Math.fround) as [number, number, number];
const [zA, zB, zY] = [120, 7, 100];
const scales = [
  floats('sa', [], sA),
  floats('sb', [], sB),
  floats('sy', [], sY),
  byte('za', zA),
  byte('zb', zB),
  byte('zy', zY),
];
const even = (x: number) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
const through = (scale: number, zero: number) => (x: Array64) =>
  map(x, (value) => (Math.min(Math.max(even(value / scale) + zero, 0), 255) - zero) * scale);
const [roundA, roundY] = [through(sA, zA), through(sY, zY)];
const quantizeA: NodeSpec = { op: 'QuantizeLinear', inputs: ['x', 'sa', 'za'], outputs: ['a'] };
const dequantizeY: NodeSpec = { op: 'DequantizeLinear', inputs: ['q', 'sy', 'zy'], outputs: ['r'] };

/** The picture quantised, an operator between quantised values, and floats again. */
const between = (
  op: string,
  expected: (a: Array64) => Array64,
  { inputs = ['a', 'sa', 'za', 'sy', 'zy'], ...more }: Partial<Omit<NodeSpec, 'op'>> = {},
  stored: readonly TensorSpec[] = [],
): Case => ({
  shape: [1, 2, 4, 6],
  nodes: [quantizeA, { op, domain, inputs, outputs: ['q'], ...more }, dequantizeY],
  stored: [...scales, ...stored],
  expected: (x) => roundY(expected(roundA(x))),
});

const randomBytes = (count: number) => Array.from({ length: count }, () => Math.floor(next() * 256));
const other = randomBytes(24);
const b = array(
  [4, 6],
  other.map((n) => (n - zB) * sB),
);
const withB = ['a', 'sa', 'za', 'b', 'sb', 'zb', 'sy', 'zy'];
const stored = [bytes('b', [4, 6], other)];

// Weights [6, 5], quantised by columns, and their bias.
const numbers = randomBytes(30);
const columns = [0.011, 0.02, 0.013, 0.007, 0.009].map(Math.fround);
const weight = array(
  [6, 5],
  numbers.map((n, i) => (n - 128) * columns[i % 5]!),
);
const bias = [0.5, -1, 2, 0, 1.5];
const product: readonly TensorSpec[] = [
  bytes('w', [6, 5], numbers),
  floats('sw', [5], ...columns),
  bytes('zw', [5], new Array(5).fill(128)),
  floats('bias', [5], ...bias),
];

// Five rows of 40 weights of 4 bits, in blocks of 16.
const packed = randomBytes(5 * 3 * 8);
const blockScales = Array.from({ length: 15 }, () => Math.fround(0.01 + next() / 50));
const blockZeros = randomBytes(5 * 2);
const half = (from: readonly number[], i: number) => (from[i >> 1]! >> (i % 2 === 0 ? 0 : 4)) & 15;
const few = (zero: (row: number, block: number) => number) =>
  array(
    [40, 5],
    Array.from({ length: 200 }, (_, at) => {
      const [k, row] = [Math.floor(at / 5), at % 5];
      const block = Math.floor(k / 16);
      return (half(packed, row * 48 + k) - zero(row, block)) * blockScales[row * 3 + block]!;
    }),
  );
const nBits = (zeros: boolean): Omit<Case, 'expected'> => ({
  shape: [1, 2, 3, 40],
  nodes: [
    {
      op: 'MatMulNBits',
      domain,
      inputs: ['x', 'w', 's', ...(zeros ? ['z'] : [])],
      outputs: ['r'],
      attributes: { K: 40, N: 5, bits: 4, block_size: 16 },
    },
  ],
  stored: [bytes('w', [5, 3, 8], packed), floats('s', [15], ...blockScales), bytes('z', [10], blockZeros)],
});

/** Rounded to 256 steps between its own ends, of which 0 is one. */
const dynamically = (x: Array64): Array64 => {
  const [low, high] = [Math.min(...x.data, 0), Math.max(...x.data, 0)];
  const scale = Math.fround((high - low) / 255);
  return through(scale, Math.min(Math.max(even(-low / scale), 0), 255))(x);
};

holdToFloat64({
  QLinearAdd: between('QLinearAdd', (a) => binary.add(a, b), { inputs: withB }, stored),
  QLinearMul: between('QLinearMul', (a) => binary.mul(a, b), { inputs: withB }, stored),
  QLinearSigmoid: between('QLinearSigmoid', (a) => map(a, (v) => 1 / (1 + Math.exp(-v)))),
  QLinearLeakyRelu: between('QLinearLeakyRelu', (a) => map(a, (v) => (v > 0 ? v : Math.fround(0.2) * v)), {
    attributes: { alpha: { float: 0.2 } },
  }),
  QLinearSoftmax: between('QLinearSoftmax', (a) => softmax(a, 2), { attributes: { axis: 2, opset: 13 } }),
  'QLinearSoftmax of old': between(
    'QLinearSoftmax',
    (a) => reshape(softmax(reshape(a, [2, 24]), 1), a.shape),
    { attributes: { axis: 2, opset: 12 } },
  ),
  QLinearGlobalAveragePool: between('QLinearGlobalAveragePool', (a) => mean(a, [2, 3], true)),
  QLinearAveragePool: between(
    'QLinearAveragePool',
    (a) => mean(mean(reshape(a, [1, 2, 2, 2, 3, 2]), [3], false), [4], false),
    {
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
  ),
  QLinearConcat: between(
    'QLinearConcat',
    (a) => concat([a, reshape(b, [1, 2, 4, 3])], 3),
    { inputs: ['sy', 'zy', 'a', 'sa', 'za', 'b', 'sb', 'zb'], attributes: { axis: 3 } },
    [bytes('b', [1, 2, 4, 3], other)],
  ),
  DynamicQuantizeMatMul: {
    shape: [1, 2, 4, 6],
    nodes: [{ op: 'DynamicQuantizeMatMul', domain, inputs: ['x', 'w', 'sw', 'zw', 'bias'], outputs: ['r'] }],
    stored: product,
    expected: (x) => binary.add(matmul(dynamically(x), weight), array([5], bias)),
  },
  MatMulIntegerToFloat: {
    shape: [1, 2, 4, 6],
    nodes: [
      quantizeA,
      { op: 'MatMulIntegerToFloat', domain, inputs: ['a', 'w', 'sa', 'sw', 'za', 'zw'], outputs: ['r'] },
    ],
    stored: [...scales, ...product],
    expected: (x) => matmul(roundA(x), weight),
  },
  'QGemm to bytes, its weights turned': {
    shape: [1, 1, 1, 6],
    nodes: [
      quantizeA,
      { op: 'Flatten', inputs: ['a'], outputs: ['f'] },
      {
        op: 'QGemm',
        domain,
        inputs: ['f', 'sa', 'za', 'wt', 'sw', 'zw', 'c', 'sy', 'zy'],
        outputs: ['q'],
        attributes: { transB: 1, alpha: { float: 0.5 } },
      },
      dequantizeY,
    ],
    stored: [
      ...scales,
      ...product,
      bytes(
        'wt',
        [5, 6],
        Array.from({ length: 30 }, (_, i) => numbers[(i % 6) * 5 + Math.floor(i / 6)]!),
      ),
      { name: 'c', dims: [5], type: 6, raw: new Uint8Array(Int32Array.of(40, -300, 5, 0, 900).buffer) },
    ],
    expected: (x) => {
      const c = [40, -300, 5, 0, 900].map((n, i) => n * sA * columns[i]!);
      const y = binary.add(matmul(reshape(roundA(x), [1, 6]), weight), array([5], c));
      return roundY(binary.mul(y, scalar(0.5)));
    },
  },
  'QGemm to floats': {
    shape: [1, 1, 1, 6],
    nodes: [
      quantizeA,
      { op: 'Flatten', inputs: ['a'], outputs: ['f'] },
      { op: 'QGemm', domain, inputs: ['f', 'sa', 'za', 'w', 'sw', 'zw'], outputs: ['r'] },
    ],
    stored: [...scales, ...product],
    expected: (x) => matmul(reshape(roundA(x), [1, 6]), weight),
  },
  'weights of 4 bits': {
    ...nBits(false),
    expected: (x) =>
      matmul(
        x,
        few(() => 8),
      ),
  },
  'weights of 4 bits with zero points': {
    ...nBits(true),
    expected: (x) =>
      matmul(
        x,
        few((row, block) => half(blockZeros, row * 4 + block)),
      ),
  },
});

test('ONNX: weights of few bits that do not fit what is said of them are refused', async (t) => {
  const { nodes, ...one } = nBits(false);
  const said = async (attributes: NodeSpec['attributes']) => {
    const node: NodeSpec = { ...nodes[0]!, ...(attributes && { attributes }) };
    return readCase({ ...one, nodes: [node] }).then(String, ({ message }: Error) => message);
  };
  t.match(
    await said({ K: 40, N: 6, bits: 4, block_size: 16 }),
    /does not hold 6 x 40 weights of 4 bits in blocks of 16/,
  );
  t.match(await said({ K: 40, N: 5, bits: 3, block_size: 16 }), /bits/);
  t.match(await said({ N: 5 }), /does not hold/);
});
