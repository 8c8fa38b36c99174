// Operators that ONNX Runtime writes when it optimises a file (domain com.microsoft), taken apart again, and attention.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import * as fn from '../../layers/functions.ts';
import * as layers from '../../layers.ts';
import { broadcastTo, type Constant, concat, constant, map, transpose } from '../constant.ts';
import { FormatError } from '../errors.ts';
import {
  type Builder,
  type Call,
  choose,
  element,
  isConstant,
  productOf,
  type Value,
  withInputs,
} from './call.ts';
import { identity } from './elementwise.ts';
import { conv, gemm, layerNorm, linear, matmul } from './neural.ts';

/** Functions that are fused into the operator before them, with their parameters. */
const ACTIVATIONS: Readonly<Record<string, (a: number, b: number) => fn.ElementFunction>> = {
  Relu: () => fn.functions.relu,
  Sigmoid: () => fn.functions.sigmoid,
  Tanh: () => fn.functions.tanh,
  LeakyRelu: (slope = 0.01) => fn.leakyRelu(slope),
  Clip: fn.clip,
  HardSigmoid: fn.hardSigmoid,
};

/** An operator and behind it, under its name, a function. */
const activated =
  (operation: Builder, parameters: (call: Call) => readonly number[]): Builder =>
  (call) => {
    const name = call.text('activation', '');
    if (name === '') return operation(call);
    const [a, b] = parameters(call) as [number, number];
    return element(
      call,
      choose(ACTIVATIONS, 'activation', name)(a, b),
      operation(call.part('sum', ...call.inputs)) as Value,
    );
  };

const add = (call: Call, a: Value, b: Value): Value =>
  call.apply({ kind: 'add', operands: { a, b }, device: (x, y) => ops.add(x!, y!), each: (x, y) => x! + y! });

/** conv(x, w, b) + z. */
const convSum: Builder = (call) => {
  const [x, w, b, z] = [0, 1, 2, 3].map((i) => call.optional(i));
  if (z === undefined) return conv(call);
  return add(call, conv(call.part('conv', x, w, b)) as Value, z);
};

/** A sum of x and perhaps a bias, and a function of it. */
const ofSum =
  (f: (call: Call) => fn.ElementFunction): Builder =>
  (call) => {
    const [x, bias] = [call.input(0), call.optional(1)];
    return element(call, f(call), bias ? add(call.part('sum'), x, bias) : x);
  };

/** alpha A B, each perhaps transposed along its last two axes. */
const fusedMatMul: Builder = (call) => {
  if (call.int('transBatchA', 0) !== 0 || call.int('transBatchB', 0) !== 0) {
    throw new FormatError('transBatchA and transBatchB are not supported');
  }
  const turns = [call.int('transA', 0) !== 0, call.int('transB', 0) !== 0];
  const alpha = call.float('alpha', 1);
  const turned = (x: Tensor, i: 0 | 1) => {
    const n = x.shape.length;
    return turns[i] && n > 1 ? ops.transpose(x, [...x.shape.keys()].slice(0, -2).concat(n - 1, n - 2)) : x;
  };
  const [first, second] = [call.input(0), call.input(1)];
  return call.apply({
    kind: 'matmul',
    operands: { a: first, b: second },
    traits: productOf(first, second),
    device: (a, b) => ops.scale(matmul(turned(a!, 0), turned(b!, 1)), alpha),
    attributes: { alpha, transposeA: turns[0], transposeB: turns[1] },
  });
};

/** Layer normalisation of a sum, which is a further output. */
const skipLayerNorm: Builder = (call) => {
  const [x, skip, gamma, beta, bias] = [0, 1, 2, 3, 4].map((i) => call.optional(i));
  const sum = add(call.part('sum'), x!, skip!);
  const whole = bias ? add(call.part('biased'), sum, bias) : sum;
  const epsilon = call.float('epsilon', 1e-12);
  const norm = layerNorm({
    ...withInputs(call, whole, gamma, beta),
    wants: () => false,
    float: () => epsilon,
  });
  return [[norm].flat()[0]!, undefined as never, undefined as never, whole];
};

/** Whether any input from one on is there: masks, past states and the like. */
function refuseFrom(call: Call, first: number): void {
  const i = call.inputs.findIndex((value, at) => at >= first && value !== undefined);
  if (i >= 0) throw new FormatError(`its input ${i} (a mask, a past state) is not supported`);
}

/** Attention of packed queries, keys and values [N, T, 3 D] (Vaswani 2017). */
function attentionOf(call: Call, packed: Value, heads: number): Value {
  const width = packed.shape.at(-1)! / 3 / heads;
  const scale = call.float('scale', 0) * Math.sqrt(width);
  if (isConstant(packed) || packed.shape.length !== 3 || !Number.isInteger(width)) {
    throw new FormatError(
      `its input [${packed.shape.join(', ')}] does not hold queries, keys and values of ${heads} heads, as expected`,
    );
  }
  if (scale !== 0 && Math.abs(scale - 1) > 1e-4) throw new FormatError('its scale is not supported');
  const weights = call
    .part('probabilities')
    .layer([packed], {}, (name, input) => layers.attentionProbabilities(name, input, heads));
  return call.layer([weights as never, packed], {}, (name, p, qkv) =>
    layers.attentionMix(name, p, qkv, heads),
  );
}

/** Attention of x [N, T, D], whose queries, keys and values come from weights [D, 3 D] and a bias [3 D]. */
const attention: Builder = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  refuseFrom(call, 3);
  if (
    call.int('unidirectional', 0) !== 0 ||
    isConstant(x) ||
    !isConstant(weight) ||
    (bias && !isConstant(bias))
  ) {
    throw new FormatError('attention with a mask, or whose weights depend on the picture, is not supported');
  }
  const turned = call.fold(() => transpose(weight, [1, 0]), weight);
  const packed = linear(call.part('qkv'), x, turned, bias);
  return attentionOf(call, packed, call.int('num_heads', 1));
};

/** Attention of queries, keys and values [N, T, D], and a bias of all three. */
const multiHeadAttention: Builder = (call) => {
  const [q, k, v, bias] = [call.input(0), call.input(1), call.input(2), call.optional(3)];
  refuseFrom(call, 4);
  const packed = call.part('qkv').apply({
    kind: 'concat',
    operands: { q, k, v },
    device: (...tensors) => ops.concat(tensors, 2),
    fold: (...constants) => concat(constants, 2),
  });
  return attentionOf(call, bias ? add(call.part('biased'), packed, bias) : packed, call.int('num_heads', 1));
};

/** As good as minus infinity, with which drivers need not compute: e to its power is 0. */
const MASKED = Math.fround(-1e30);

/**
 * What is added to the scores [..., T, S] of attention: the file's numbers, or by a mask of truth values 0 and MASKED; where
 * attention is causal, MASKED to the right of the diagonal.
 */
function maskOf(call: Call, [rows, columns]: readonly [number, number]): Constant | undefined {
  const given = call.constant(3);
  const causal = call.int('is_causal', 0) !== 0;
  if (given === undefined && !causal) return undefined;
  const numbers = given ?? constant('float', [1, 1], [0]);
  const added = (n: number) => (numbers.type === 'bool' ? (n === 0 ? MASKED : 0) : Math.max(n, MASKED));
  const [r = 1, c = 1] = numbers.shape.slice(-2);
  const shape = [...numbers.shape.slice(0, -2), rows, columns];
  if (![1, rows].includes(r) || ![1, columns].includes(c)) {
    throw new FormatError(
      `its mask [${numbers.shape.join(', ')}] does not fit scores of ${rows} x ${columns}`,
    );
  }
  const mask = call.fold(() => {
    const wide = map('float', added, broadcastTo(numbers, shape));
    return constant('float', shape, (i) =>
      causal && i % columns > Math.floor(i / columns) % rows ? MASKED : wide.data[i]!,
    );
  }, numbers);
  for (let i = 0; i < mask.data.length; i += columns) {
    if (mask.data.subarray(i, i + columns).every((n) => n === MASKED))
      throw new FormatError('its mask leaves nothing for a row to attend to');
  }
  return mask;
}

/** ONNX's own (opset 23): of queries, keys and values [N, heads, T, d], or [N, T, D] with their number of heads. */
const onnxAttention: Builder = (call) => {
  refuseFrom(call, 4);
  const [q, k, v] = [0, 1, 2].map((i) => call.input(i)) as [Value, Value, Value];
  const mask = maskOf(call, [q.shape.at(-2)!, k.shape.at(-2)!]);
  const softcap = call.float('softcap', 0);
  const flat = q.shape.length === 3;
  const heads = [call.int('q_num_heads', 0), call.int('kv_num_heads', 0), call.int('kv_num_heads', 0)];
  /** Head by head, each of keys and values for as many heads of queries as share it. */
  const split = (x: Tensor, part: 0 | 1 | 2, wanted?: number): Tensor => {
    const count = heads[part]!;
    const byHead = flat
      ? ops.transpose(ops.reshape(x, [x.shape[0]!, x.shape[1]!, count, -1]), [0, 2, 1, 3])
      : x;
    const [n, h, t, d] = byHead.shape as [number, number, number, number];
    if (wanted === undefined || wanted === h) return byHead;
    const wide = ops.broadcastTo(ops.reshape(byHead, [n, h, 1, t, d]), [n, h, wanted / h, t, d]);
    return ops.reshape(wide, [n, wanted, t, d]);
  };
  const probabilities = call.part('probabilities').apply({
    kind: 'attentionProbabilities',
    operands: { q, k, mask },
    device: (queries, keys, added) => {
      const a = split(queries!, 0);
      const b = split(keys!, 1, a.shape[1]!);
      const factor = call.float('scale', 1 / Math.sqrt(a.shape[3]!));
      const scores = ops.scale(ops.matmul(a, b, false, true), factor);
      const capped = softcap === 0 ? scores : ops.scale(ops.tanh(ops.scale(scores, 1 / softcap)), softcap);
      return ops.softmax(added ? ops.add(capped, added) : capped, 3);
    },
    traits: { nonNegative: true, gives: 'softmax', ...productOf(q, k) },
  });
  return call.apply({
    kind: 'attentionMix',
    operands: { probabilities, v },
    device: (p, c) => {
      const y = ops.matmul(p!, split(c!, 2, p!.shape[1]!));
      return flat ? ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [y.shape[0]!, y.shape[2]!, -1]) : y;
    },
    traits: productOf(probabilities, v),
  });
};

const { functions: f } = fn;
const microsoft: Readonly<Record<string, Builder>> = {
  FusedConv: activated(convSum, (call) => call.floats('activation_params') ?? []),
  FusedGemm: activated(gemm, (call) => [
    call.float('activation_alpha', 0.01),
    call.float('activation_beta', 0),
  ]),
  FusedMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,
  Gelu: (call) => element(call, f.gelu),
  BiasGelu: ofSum(() => f.gelu),
  FastGelu: ofSum(() => f.tanhGelu),
  QuickGelu: (call) => element(call, fn.swish(call.float('alpha', 1.702))),
  SkipLayerNormalization: skipLayerNorm,
  Attention: attention,
  MultiHeadAttention: multiHeadAttention,
};

export const fused: Readonly<Record<string, Builder>> = {
  Attention: onnxAttention,
  ...Object.fromEntries(
    Object.entries(microsoft).map(([name, builder]) => [`com.microsoft.${name}`, builder]),
  ),
  // Names for the numbers of a row: the numbers.
  'ai.onnx.ml.ZipMap': identity('identity'),
};
