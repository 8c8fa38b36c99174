// ONNX's operators of transformers, newer normalisations, ONNX Runtime's fusions and half-precision inputs, each against its
// definition in float64.

import test from 'tape';
import { scope, tensor } from '../../engine/index.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  binary,
  concat,
  map,
  matmul,
  mean,
  randomArray,
  relativeError,
  reshape,
  seededRandom,
  slice,
  softmax,
  sum,
  transpose,
  unary,
} from '../reference/index.ts';
import { modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

const noParts = () => Promise.reject(new Error('no parts are expected'));
const next = seededRandom(3);
const domain = 'com.microsoft';
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const scalar = (value: number) => array([1], [value]);

interface Case {
  /** Its output is r. */
  readonly nodes: readonly NodeSpec[];
  readonly opset?: number;
  readonly shape: readonly number[];
  readonly weights?: Readonly<Record<string, Array64>>;
  readonly expected: (x: Array64) => Array64;
}

const stored = (name: string, { shape, data }: Array64): TensorSpec => ({
  name,
  dims: shape,
  data: [...data],
});
const read = ({ nodes, opset = 21, shape, weights = {} }: Omit<Case, 'expected'>, type = 1) =>
  readOnnx(
    modelBytes({
      opset,
      nodes: [...nodes, { op: 'Flatten', inputs: ['r'], outputs: ['y'] }],
      initializers: Object.entries(weights).map(([name, one]) => stored(name, one)),
      inputs: [{ name: 'x', dims: shape, type }],
    }),
    'net.onnx',
    noParts,
  );

async function outputOf(one: Omit<Case, 'expected'>, x: Array64, type = 1): Promise<Float32Array> {
  const { graph, tensors, inputShape } = await read(one, type);
  const on = await device();
  const y = scope(() => {
    const parameters = new Map(
      [...tensors].map(([key, { data, shape }]) => [key, tensor(on, data, shape)] as const),
    );
    const known = new Map([[INPUT, tensor(on, x.data, inputShape)]]);
    return evaluate(graph, parameters, known, [graph.output]).get(graph.output)!;
  });
  const values = await y.data();
  y.dispose();
  return values;
}

/** Rows [N, T, heads d] as [N, heads, T, d], and back. */
const apart = (x: Array64, heads: number) => {
  const [n, t, d] = x.shape as [number, number, number];
  return transpose(reshape(x, [n, t, heads, d / heads]), [0, 2, 1, 3]);
};
const together = (x: Array64) => {
  const [n, h, t, d] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [n, t, h * d]);
};
/** softmax(Q K^T / sqrt(d)) V of each head (Vaswani 2017). */
const attended = (q: Array64, k: Array64, v: Array64, scale = 1 / Math.sqrt(q.shape[3]!)) =>
  matmul(softmax(binary.mul(matmul(q, transpose(k, [0, 1, 3, 2])), scalar(scale)), 3), v);
const columns = (x: Array64, from: number, to: number) =>
  slice(x, [0, 0, from], [x.shape[0]!, x.shape[1]!, to]);
/** Each head as often in a row as queries share it. */
const shared = (x: Array64, times: number) =>
  concat(
    Array.from({ length: x.shape[1]! * times }, (_, h) => {
      const [n, , t, d] = x.shape as [number, number, number, number];
      const head = Math.floor(h / times);
      return slice(x, [0, head, 0, 0], [n, head + 1, t, d]);
    }),
    1,
  );

const w = {
  gemm: randomArray([5, 24], next),
  bias: randomArray([5], next),
  qkv: randomArray([24], next),
  q: randomArray([8, 8], next),
  k: randomArray([8, 4], next),
  v: randomArray([8, 4], next),
  scale: randomArray([6], next),
  shift: randomArray([6], next),
};
const product = (to: string, by: string): NodeSpec => ({ op: 'MatMul', inputs: ['x', by], outputs: [to] });
const qkv = [product('a', 'q'), product('b', 'k'), product('c', 'v')];

const cases: Readonly<Record<string, Case>> = {
  FusedGemm: {
    shape: [1, 2, 3, 4],
    weights: { gemm: w.gemm, bias: w.bias },
    nodes: [
      { op: 'Flatten', inputs: ['x'], outputs: ['f'] },
      {
        op: 'FusedGemm',
        domain,
        inputs: ['f', 'gemm', 'bias'],
        outputs: ['r'],
        attributes: { transB: 1, activation: 'LeakyRelu', activation_alpha: { float: 0.2 } },
      },
    ],
    expected: (x) => {
      const y = binary.add(matmul(reshape(x, [1, 24]), transpose(w.gemm, [1, 0])), w.bias);
      return map(y, (value) => (value > 0 ? value : Math.fround(0.2) * value));
    },
  },
  QuickGelu: {
    shape: [1, 2, 3, 4],
    nodes: [
      { op: 'QuickGelu', domain, inputs: ['x'], outputs: ['r'], attributes: { alpha: { float: 1.5 } } },
    ],
    expected: (x) => map(x, (value) => value * logistic(1.5 * value)),
  },
  Swish: {
    shape: [1, 2, 3, 4],
    opset: 24,
    nodes: [{ op: 'Swish', inputs: ['x'], outputs: ['r'], attributes: { alpha: { float: 0.5 } } }],
    expected: (x) => map(x, (value) => value * logistic(0.5 * value)),
  },
  'MultiHeadAttention of ONNX Runtime': {
    shape: [1, 5, 8],
    weights: { bias: w.qkv },
    nodes: [
      {
        op: 'MultiHeadAttention',
        domain,
        inputs: ['x', 'x', 'x', 'bias'],
        outputs: ['r'],
        attributes: { num_heads: 2 },
      },
    ],
    expected: (x) => {
      const biased = binary.add(concat([x, x, x], 2), w.qkv);
      const [q, k, v] = [0, 8, 16].map((from) => apart(columns(biased, from, from + 8), 2));
      return together(attended(q!, k!, v!));
    },
  },
  'Attention, keys and values shared by two heads each': {
    shape: [1, 5, 8],
    opset: 23,
    weights: { q: w.q, k: w.k, v: w.v },
    nodes: [
      ...qkv,
      {
        op: 'Attention',
        inputs: ['a', 'b', 'c'],
        outputs: ['r'],
        attributes: { q_num_heads: 4, kv_num_heads: 2 },
      },
    ],
    expected: (x) => {
      const q = apart(matmul(x, w.q), 4);
      const [k, v] = [w.k, w.v].map((by) => shared(apart(matmul(x, by), 2), 2));
      return together(attended(q, k!, v!));
    },
  },
  'Attention of heads apart, with a scale': {
    shape: [1, 2, 5, 4],
    opset: 23,
    nodes: [
      { op: 'Attention', inputs: ['x', 'x', 'x'], outputs: ['r'], attributes: { scale: { float: 0.25 } } },
    ],
    expected: (x) => attended(x, x, x, 0.25),
  },
  GroupNormalization: {
    shape: [1, 6, 3, 5],
    weights: { scale: w.scale, shift: w.shift },
    nodes: [
      {
        op: 'GroupNormalization',
        inputs: ['x', 'scale', 'shift'],
        outputs: ['r'],
        attributes: { num_groups: 3, epsilon: { float: 1e-3 } },
      },
    ],
    expected: (x) => {
      const groups = reshape(x, [1, 3, 30]);
      const centred = binary.sub(groups, mean(groups, [2], true));
      const variance = mean(binary.mul(centred, centred), [2], true);
      const normal = binary.div(centred, unary.sqrt(binary.add(variance, scalar(1e-3))));
      const [by, and] = [w.scale, w.shift].map((one) => reshape(one, [1, 6, 1, 1]));
      return binary.add(binary.mul(reshape(normal, x.shape), by!), and!);
    },
  },
  RMSNormalization: {
    shape: [1, 4, 6],
    opset: 23,
    weights: { scale: w.scale },
    nodes: [
      {
        op: 'RMSNormalization',
        inputs: ['x', 'scale'],
        outputs: ['r'],
        attributes: { axis: -1, epsilon: { float: 1e-3 } },
      },
    ],
    expected: (x) => {
      const squares = binary.div(sum(binary.mul(x, x), [2], true), scalar(6));
      return binary.mul(binary.div(x, unary.sqrt(binary.add(squares, scalar(1e-3)))), w.scale);
    },
  },
};

for (const [name, { expected, ...one }] of Object.entries(cases)) {
  test(`ONNX: ${name}`, async (t) => {
    const x = randomArray(one.shape, seededRandom(8), { low: -2, high: 2 });
    const [found, wanted] = [await outputOf(one, x), expected(x).data];
    t.equal(found.length, wanted.length);
    t.ok(relativeError(found, wanted) < 2e-6, `off by ${relativeError(found, wanted).toExponential(1)}`);
  });
}

test('ONNX: inputs and weights of half precision', async (t) => {
  const x = randomArray([1, 2, 3, 4], seededRandom(8));
  // 1, 1.5, -2 in both formats.
  const halves = { 10: [0x3c00, 0x3e00, 0xc000], 16: [0x3f80, 0x3fc0, 0xc000] };
  for (const [type, bits] of Object.entries(halves)) {
    const initializers = [
      { name: 'w', dims: [3, 1], type: Number(type), raw: new Uint8Array(Uint16Array.from(bits).buffer) },
    ];
    const bytes = modelBytes({
      opset: 21,
      nodes: [
        { op: 'Mul', inputs: ['x', 'w'], outputs: ['r'] },
        { op: 'Flatten', inputs: ['r'], outputs: ['y'] },
      ],
      initializers,
      inputs: [{ name: 'x', dims: [1, 2, 3, 4], type: Number(type) }],
    });
    const { graph, tensors } = await readOnnx(bytes, 'half.onnx', noParts);
    const on = await device();
    const y = scope(() => {
      const parameters = new Map(
        [...tensors].map(([key, { data, shape }]) => [key, tensor(on, data, shape)] as const),
      );
      return evaluate(graph, parameters, new Map([[INPUT, tensor(on, x.data, x.shape)]]), [graph.output]).get(
        graph.output,
      )!;
    });
    const wanted = Float32Array.from(
      x.data,
      (value, i) => Math.fround(value) * [1, 1.5, -2][Math.floor(i / 4) % 3]!,
    );
    t.deepEqual(await y.data(), wanted, type === '10' ? 'float16' : 'bfloat16');
    y.dispose();
  }
});

test('ONNX: attention with a mask is refused, and says so', async (t) => {
  const masked: readonly [NodeSpec, number][] = [
    [{ op: 'Attention', inputs: ['x', 'x', 'x', 'mask'], outputs: ['r'] }, 23],
    [{ op: 'Attention', inputs: ['x', 'x', 'x'], outputs: ['r'], attributes: { is_causal: 1 } }, 23],
    [
      {
        op: 'MultiHeadAttention',
        domain,
        inputs: ['x', 'x', 'x', '', 'mask'],
        outputs: ['r'],
        attributes: { num_heads: 1 },
      },
      21,
    ],
  ];
  for (const [node, opset] of masked) {
    const refusal = read({
      nodes: [node],
      opset,
      shape: [1, 2, 5, 4],
      weights: { mask: randomArray([5, 5], next) },
    });
    const message = await refusal.then(String, ({ message }: Error) => message);
    t.match(
      message,
      /net\.onnx: .*(a mask, a past state\) is not supported|causal attention .* not supported)/,
      node.op,
    );
  }
});
