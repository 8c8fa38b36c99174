// GAE and AttnLRP of a vision transformer as exporters write it to ONNX, with attention, normalisation and GELU taken
// apart, against the same network built of Limelight's layers, whose maps transformer.test.ts holds to float64.

import test from 'tape';
import { explain } from '../../cam/index.ts';
import { type Device, tensor } from '../../engine/index.ts';
import { vit } from '../../models/architectures/vit.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';
import { modelBytes, type NodeSpec, type TensorSpec } from '../models/onnx-file.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { randomNetwork, randomTensors } from './networks.ts';

const [WIDTH, HEADS, HIDDEN, CLASSES, GRID, SEED] = [8, 2, 12, 5, 3, 4];
const [TOKENS, DEPTH] = [GRID * GRID + 1, WIDTH / HEADS];
const graph = vit({
  image: 2 * GRID,
  patch: 2,
  width: WIDTH,
  depth: 2,
  heads: HEADS,
  hidden: HIDDEN,
  classes: CLASSES,
  channels: 1,
});

/** Writes operators one after another; each gives the name of its output. */
function writer() {
  const weights = randomTensors(graph, SEED);
  const nodes: NodeSpec[] = [];
  const initializers: TensorSpec[] = [];
  const op = (name: string, inputs: readonly string[], attributes: NodeSpec['attributes'] = {}) => {
    const output = `${name}_${nodes.length}`;
    nodes.push({ op: name, inputs, outputs: [output], attributes });
    return output;
  };
  const constant = (spec: TensorSpec) => {
    const name = `constant_${initializers.length}`;
    initializers.push({ ...spec, name });
    return name;
  };
  const number = (n: number) => constant({ dims: [], data: [n] });
  const ints = (...data: number[]) => constant({ dims: [data.length], type: 7, data });
  /** A parameter, or the `part`-th of `of` equal parts of its first axis. */
  const weight = (key: string, part = 0, of = 1) => {
    const { shape, data } = weights.get(key)!;
    const size = data.length / of;
    const dims = [shape[0]! / of, ...shape.slice(1)];
    return constant({ dims, data: [...data.slice(part * size, (part + 1) * size)] });
  };
  return {
    nodes,
    initializers,
    op,
    number,
    ints,
    weight,
    transpose: (x: string, perm: number[]) => op('Transpose', [x], { perm }),
    linear(x: string, key: string, part = 0, of = 1) {
      const turned = op('Transpose', [weight(`${key}.weight`, part, of)], { perm: [1, 0] });
      return op('Add', [weight(`${key}.bias`, part, of), op('MatMul', [x, turned])]);
    },
    norm(x: string, key: string) {
      const far = op('Sub', [x, op('ReduceMean', [x], { axes: [-1] })]);
      const variance = op('ReduceMean', [op('Pow', [far, number(2)])], { axes: [-1] });
      const deviation = op('Sqrt', [op('Add', [variance, number(1e-6)])]);
      const scaled = op('Mul', [op('Div', [far, deviation]), weight(`${key}.weight`)]);
      return op('Add', [scaled, weight(`${key}.bias`)]);
    },
    gelu(x: string) {
      const erf = op('Erf', [op('Div', [x, number(Math.SQRT2)])]);
      return op('Mul', [op('Mul', [x, op('Add', [erf, number(1)])]), number(0.5)]);
    },
  };
}
type Writer = ReturnType<typeof writer>;

/** Attention as exporters write it: what it makes of tokens [N, T, D] by the layer `key` of queries, keys and values. */
const attentions: Readonly<Record<string, (file: Writer, tokens: string, key: string) => string>> = {
  'one layer, cut by Gather, queries scaled (timm)': (
    { op, ints, number, transpose, linear },
    tokens,
    key,
  ) => {
    const parts = op('Reshape', [linear(tokens, key), ints(0, TOKENS, 3, HEADS, DEPTH)]);
    const turned = transpose(parts, [2, 0, 3, 1, 4]);
    const index = (i: number) => op('Gather', [turned, op('Squeeze', [ints(i)], { axes: [0] })], { axis: 0 });
    const scaled = op('Mul', [index(0), number(DEPTH ** -0.5)]);
    const scores = op('MatMul', [scaled, transpose(index(1), [0, 1, 3, 2])]);
    const mixed = op('MatMul', [op('Softmax', [scores], { axis: -1 }), index(2)]);
    return op('Reshape', [transpose(mixed, [0, 2, 1, 3]), ints(0, TOKENS, WIDTH)]);
  },
  'three layers, scores divided (transformers)': ({ op, ints, number, transpose, linear }, tokens, key) => {
    const head = (part: number, perm: number[]) =>
      transpose(op('Reshape', [linear(tokens, key, part, 3), ints(0, 0, HEADS, DEPTH)]), perm);
    const product = op('MatMul', [head(0, [0, 2, 1, 3]), head(1, [0, 2, 3, 1])]);
    const scores = op('Div', [product, number(Math.sqrt(DEPTH))]);
    const mixed = op('MatMul', [op('Softmax', [scores], { axis: -1 }), head(2, [0, 2, 1, 3])]);
    return op('Reshape', [transpose(mixed, [0, 2, 1, 3]), ints(0, 0, -1)]);
  },
  'queries and keys scaled (scaled_dot_product_attention)': (
    { op, ints, number, transpose, linear },
    tokens,
    key,
  ) => {
    const parts = op('Reshape', [linear(tokens, key), ints(0, TOKENS, 3, HEADS, DEPTH)]);
    const head = (i: number, perm: number[]) =>
      transpose(op('Squeeze', [op('Slice', [parts, ints(i), ints(i + 1), ints(2)])], { axes: [2] }), perm);
    const scale = number(DEPTH ** -0.25);
    const [q, k] = [op('Mul', [head(0, [0, 2, 1, 3]), scale]), op('Mul', [head(1, [0, 2, 3, 1]), scale])];
    const mixed = op('MatMul', [op('Softmax', [op('MatMul', [q, k])], { axis: 3 }), head(2, [0, 2, 1, 3])]);
    return op('Reshape', [transpose(mixed, [0, 2, 1, 3]), ints(0, TOKENS, WIDTH)]);
  },
  'tokens first, heads beside the batch (MultiheadAttention)': (
    { op, ints, number, transpose, linear },
    tokens,
    key,
  ) => {
    const first = transpose(tokens, [1, 0, 2]);
    const head = (part: number, perm: number[]) =>
      transpose(op('Reshape', [linear(first, key, part, 3), ints(TOKENS, HEADS, DEPTH)]), perm);
    const q = op('Div', [head(0, [1, 0, 2]), number(Math.sqrt(DEPTH))]);
    const scores = op('MatMul', [q, head(1, [1, 2, 0])]);
    const mixed = op('MatMul', [op('Softmax', [scores], { axis: -1 }), head(2, [1, 0, 2])]);
    return transpose(op('Reshape', [transpose(mixed, [1, 0, 2]), ints(TOKENS, 1, WIDTH)]), [1, 0, 2]);
  },
};

/** The network as a file for one picture. */
function file(attention: (typeof attentions)[string]): Uint8Array {
  const writing = writer();
  const { nodes, initializers, op, ints, weight, transpose, linear, norm, gelu } = writing;
  const patches = op('Conv', ['x', weight('patch_embed.proj.weight'), weight('patch_embed.proj.bias')], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  const rows = transpose(op('Reshape', [patches, ints(0, WIDTH, -1)]), [0, 2, 1]);
  let x = op('Add', [op('Concat', [weight('cls_token'), rows], { axis: 1 }), weight('pos_embed')]);
  for (const block of ['blocks.0', 'blocks.1']) {
    const mixed = attention(writing, norm(x, `${block}.norm1`), `${block}.attn.qkv`);
    x = op('Add', [x, linear(mixed, `${block}.attn.proj`)]);
    const hidden = gelu(linear(norm(x, `${block}.norm2`), `${block}.mlp.fc1`));
    x = op('Add', [x, linear(hidden, `${block}.mlp.fc2`)]);
  }
  const token = op('Squeeze', [op('Slice', [norm(x, 'norm'), ints(0), ints(1), ints(1)])], { axes: [1] });
  const head = { inputs: [token, weight('head.weight'), weight('head.bias')], attributes: { transB: 1 } };
  return modelBytes({
    opset: 12,
    nodes: [...nodes, { op: 'Gemm', outputs: ['y'], ...head }],
    initializers,
    inputs: [{ name: 'x', dims: [1, 1, 2 * GRID, 2 * GRID] }],
  });
}

const picture = (on: Device) => {
  const next = seededRandom(9);
  const side = 2 * GRID;
  return tensor(
    on,
    Float32Array.from({ length: side * side }, () => 2 * next() - 1),
    [1, 1, side, side],
  );
};

test('attention in ONNX, however it is written, is explained as the layer is', async (t) => {
  const on = await device();
  const options = { methods: ['gae', 'attn-lrp'], classes: [2], signed: true };
  const direct = await explain(randomNetwork(on, graph, SEED, 'blocks.1.norm1'), picture(on), options);
  for (const [name, attention] of Object.entries(attentions)) {
    const network = await open(on, file(attention));
    const found = await explain(network, picture(on), options);
    for (const [i, { method, map }] of found.entries())
      t.ok(relativeError(await map.data(), await direct[i]!.map.data()) < 1e-5, `${method}: ${name}`);
  }
});
