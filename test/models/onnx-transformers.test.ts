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
  filled,
  map,
  matmul,
  mean,
  randomArray,
  reshape,
  seededRandom,
  slice,
  softmax,
  sum,
  transpose,
  unary,
} from '../reference/index.ts';
import { type Case, holdToFloat64, noParts, readCase } from './onnx-case.ts';
import { modelBytes, type NodeSpec } from './onnx-file.ts';

const next = seededRandom(3);
const domain = 'com.microsoft';
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const scalar = (value: number) => array([1], [value]);

/** Rows [N, T, heads d] as [N, heads, T, d], and back. */
const apart = (x: Array64, heads: number) => {
  const [n, t, d] = x.shape as [number, number, number];
  return transpose(reshape(x, [n, t, heads, d / heads]), [0, 2, 1, 3]);
};
const together = (x: Array64) => {
  const [n, h, t, d] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [n, t, h * d]);
};
/** softmax(Q K^T / sqrt(d)) V of each head (Vaswani 2017), with something done to the scores. */
const attended = (
  q: Array64,
  k: Array64,
  v: Array64,
  scale = 1 / Math.sqrt(q.shape[3]!),
  scores = (plain: Array64) => plain,
) => matmul(softmax(scores(binary.mul(matmul(q, transpose(k, [0, 1, 3, 2])), scalar(scale))), 3), v);
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
  scores: randomArray([2, 5, 5], next),
  shift4: randomArray([4], next),
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
  'Attention with a bias of its scores': {
    shape: [1, 2, 5, 4],
    opset: 23,
    weights: { bias: w.scores },
    nodes: [{ op: 'Attention', inputs: ['x', 'x', 'x', 'bias'], outputs: ['r'] }],
    expected: (x) => attended(x, x, x, 0.5, (scores) => binary.add(scores, w.scores)),
  },
  'Attention under a mask of truth values, in heads that are packed': {
    shape: [1, 3, 8],
    opset: 23,
    stored: [{ name: 'mask', dims: [3, 3], type: 9, raw: Uint8Array.of(1, 0, 1, 0, 1, 0, 1, 1, 1) }],
    nodes: [
      {
        op: 'Attention',
        inputs: ['x', 'x', 'x', 'mask'],
        outputs: ['r'],
        attributes: { q_num_heads: 2, kv_num_heads: 2 },
      },
    ],
    expected: (x) => {
      const mask = array(
        [3, 3],
        [1, 0, 1, 0, 1, 0, 1, 1, 1].map((seen) => (seen ? 0 : -1e9)),
      );
      const one = apart(x, 2);
      return together(attended(one, one, one, 0.5, (scores) => binary.add(scores, mask)));
    },
  },
  'causal Attention, its scores bent': {
    shape: [1, 2, 5, 4],
    opset: 23,
    nodes: [
      {
        op: 'Attention',
        inputs: ['x', 'x', 'x'],
        outputs: ['r'],
        attributes: { is_causal: 1, softcap: { float: 2 } },
      },
    ],
    expected: (x) => {
      const later = Array.from({ length: 25 }, (_, i) => (i % 5 > Math.floor(i / 5) ? -1e9 : 0));
      const bent = (scores: Array64) => map(scores, (score) => 2 * Math.tanh(score / 2));
      return attended(x, x, x, 0.5, (scores) => binary.add(bent(scores), array([5, 5], later)));
    },
  },
  'scores that a mask replaces by minus infinity': {
    shape: [1, 1, 2, 4],
    stored: [
      { name: 'seen', dims: [4], type: 9, raw: Uint8Array.of(1, 0, 1, 1) },
      { name: 'never', dims: [], data: [Number.NEGATIVE_INFINITY] },
    ],
    nodes: [
      { op: 'Where', inputs: ['seen', 'x', 'never'], outputs: ['m'] },
      { op: 'Softmax', inputs: ['m'], outputs: ['s'] },
      { op: 'IsNaN', inputs: ['s'], outputs: ['lost'] },
      { op: 'Where', inputs: ['lost', 'never', 's'], outputs: ['r'] },
    ],
    expected: (x) => softmax(binary.add(x, array([4], [0, -1e9, 0, 0])), 3),
  },
  'Sum and Mean of several': {
    shape: [1, 2, 3, 4],
    weights: { shift: w.shift4 },
    nodes: [
      { op: 'Abs', inputs: ['x'], outputs: ['a'] },
      { op: 'Sum', inputs: ['x', 'a', 'shift'], outputs: ['s'] },
      { op: 'Sum', inputs: ['s'], outputs: ['one'] },
      { op: 'Mean', inputs: ['one', 'x', 'shift'], outputs: ['r'] },
    ],
    expected: (x) => {
      const whole = binary.add(binary.add(x, unary.abs(x)), w.shift4);
      return binary.div(binary.add(binary.add(whole, x), w.shift4), scalar(3));
    },
  },
  'LpNormalization, of a row without length too': {
    shape: [1, 1, 2, 3],
    weights: { mask: array([2, 1], [1, 0]) },
    nodes: [
      { op: 'Mul', inputs: ['x', 'mask'], outputs: ['m'] },
      { op: 'LpNormalization', inputs: ['m'], outputs: ['r'] },
    ],
    expected: ({ shape, data }) => {
      const length = Math.hypot(...data.slice(0, 3));
      return array(
        shape,
        data.map((value, i) => (i < 3 ? value / length : 0)),
      );
    },
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

holdToFloat64(cases);

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

test('ONNX: attention with a past, with a mask that nothing passes, and masks of ONNX Runtime are refused', async (t) => {
  const attributes = { num_heads: 1 };
  const refused: readonly [NodeSpec, number, RegExp][] = [
    [{ op: 'Attention', inputs: ['x', 'x', 'x', '', 'mask', 'mask'], outputs: ['r'] }, 23, /a past state/],
    [
      { op: 'Attention', inputs: ['x', 'x', 'x', 'nothing'], outputs: ['r'] },
      23,
      /nothing for a row to attend/,
    ],
    [
      { op: 'Attention', inputs: ['x', 'x', 'x', 'other'], outputs: ['r'] },
      23,
      /\[3, 5\] does not fit .*5 x 5/,
    ],
    [
      { op: 'MultiHeadAttention', domain, inputs: ['x', 'x', 'x', '', 'mask'], outputs: ['r'], attributes },
      21,
      /a mask, a past state\) is not supported/,
    ],
  ];
  const weights = {
    mask: randomArray([5, 5], next),
    other: randomArray([3, 5], next),
    nothing: filled([5, 5], Number.NEGATIVE_INFINITY),
  };
  for (const [node, opset, words] of refused) {
    const refusal = readCase({ nodes: [node], opset, shape: [1, 2, 5, 4], weights });
    const message = await refusal.then(String, ({ message }: Error) => message);
    t.match(message, words, message);
  }
});
