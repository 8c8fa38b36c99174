// Rewrites: each on a graph that it is for, which must be what is expected afterwards and give the same numbers, for other
// batches than it was rewritten with; and graphs that look alike, which must be left alone.

import test, { type Test } from 'tape';
import * as ops from '../../engine/index.ts';
import { canonical } from '../../models/canonical.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import { evaluate, type GraphNode, INPUT } from '../../models/graph.ts';
import * as fn from '../../models/layers/functions.ts';
import * as layers from '../../models/layers.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';

type Shape = readonly number[];

/** Numbers for every parameter of some nodes; `given` are those that matter. */
function numbersFor(nodes: readonly GraphNode[], given: Readonly<Record<string, readonly number[]>> = {}) {
  const next = seededRandom(nodes.length);
  const tensors = new Map<string, HostTensor>();
  for (const { parameters } of nodes) {
    for (const { key, shape } of Object.values(parameters)) {
      const count = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length: count }, (_, i) => given[key]?.[i] ?? 0.5 + next());
      tensors.set(key, { shape, data });
    }
  }
  return tensors;
}

async function outputOf(
  nodes: readonly GraphNode[],
  tensors: ReadonlyMap<string, HostTensor>,
  output: string,
  shape: Shape,
): Promise<{ shape: Shape; data: Float32Array; x: Float32Array }> {
  const gpu = await device();
  const next = seededRandom(7);
  const x = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 6 * next() - 3);
  const y = ops.scope(() => {
    const parameters = new Map(
      [...tensors].map(([key, { data, shape }]) => [key, ops.tensor(gpu, data, shape)] as const),
    );
    const known = new Map([[INPUT, ops.tensor(gpu, x, shape)]]);
    return evaluate({ nodes, output }, parameters, known, [output]).get(output)!;
  });
  const result = { shape: y.shape, data: await y.data(), x };
  y.dispose();
  return result;
}

interface Case {
  readonly nodes: readonly GraphNode[];
  readonly input: Shape;
  readonly given?: Readonly<Record<string, readonly number[]>>;
  /** Kinds of what is left. */
  readonly kinds: readonly string[];
}

/** Rewrites, and compares the numbers for three pictures. */
async function check(t: Test, what: string, { nodes, input, given, kinds }: Case) {
  const output = nodes.at(-1)!.name;
  const tensors = numbersFor(nodes, given);
  const found = canonical({ nodes, tensors, inputs: new Map([[INPUT, [2, ...input]]]), outputs: [output] });
  const end = found.aliases.get(output) ?? output;
  t.deepEqual(
    found.nodes.map(({ kind }) => kind),
    kinds,
    `${what}: ${kinds.join(', ')}`,
  );
  if (end === INPUT) return found;
  const before = await outputOf(nodes, tensors, output, [3, ...input]);
  const after = await outputOf(found.nodes, found.tensors, end, [3, ...input]);
  t.deepEqual(after.shape, before.shape, `${what}: the shape`);
  t.ok(relativeError(after.data, before.data) < 1e-5, `${what}: the same numbers`);
  return found;
}

/** A function of one value and a parameter of some shape. */
const withNumber = (
  name: string,
  input: string,
  shape: Shape,
  device: (x: ops.Tensor, p: ops.Tensor) => ops.Tensor,
  each: (x: number, p: number) => number,
): GraphNode => ({
  name,
  kind: 'withNumber',
  inputs: [input],
  parameters: { p: { key: `${name}.p`, shape } },
  attributes: {},
  run: ([x], { parameters }) => device(x!, parameters.p!),
  traits: { each: ([x], { p }) => each(x!, p!) },
});
const times = (name: string, input: string, shape: Shape = []) =>
  withNumber(name, input, shape, ops.mul, (x, p) => x * p);
const plus = (name: string, input: string, shape: Shape = []) =>
  withNumber(name, input, shape, ops.add, (x, p) => x + p);
const over = (name: string, input: string, shape: Shape = []) =>
  withNumber(name, input, shape, ops.div, (x, p) => x / p);
const apply = (one: fn.ElementFunction, name: string, input: string) => layers.applied(one, name, input);
const meanOver = (name: string, input: string, axes: Shape, keep: boolean) =>
  layers.plain(name, 'mean', [input], (x) => ops.mean(x, axes, keep), {}, { mean: () => axes });

test('what does nothing is gone, and found by its name', async (t) => {
  const nodes = [
    layers.relu('a', INPUT),
    layers.dropout('b', 'a'),
    layers.identity('c', 'b'),
    layers.flatten('d', 'c'),
  ];
  const found = await check(t, 'dropout, identity', { nodes, input: [3, 2, 2], kinds: ['relu', 'flatten'] });
  t.deepEqual([...found.aliases].sort(), [
    ['b', 'a'],
    ['c', 'a'],
  ]);
  const all = await check(t, 'a network of nothing', {
    nodes: [nodes[1]!].map((n) => ({ ...n, inputs: [INPUT] })),
    input: [3],
    kinds: [],
  });
  t.equal(all.aliases.get('b'), INPUT);
});

test('a view that mixes pictures is none', async (t) => {
  const turned = layers.view('v', 'reshape', INPUT, ([n]) => [1, n!]);
  await check(t, '[N, 1] as [1, N]', {
    nodes: [turned, layers.relu('r', 'v')],
    input: [1],
    kinds: ['reshape', 'relu'],
  });
});

test('transpositions', async (t) => {
  const there = layers.transpose('a', INPUT, [0, 2, 3, 1]);
  const back = layers.transpose('b', 'a', [0, 3, 1, 2]);
  const input = [3, 4, 5];
  await check(t, 'there and back', { nodes: [there, back, layers.relu('r', 'b')], input, kinds: ['relu'] });
  const twice = [there, layers.transpose('b', 'a', [0, 2, 3, 1]), layers.relu('r', 'b')];
  await check(t, 'two in one', { nodes: twice, input, kinds: ['transpose', 'relu'] });
  const seen = [there, layers.relu('x', 'a'), back, layers.relu('r', 'b'), layers.add('s', 'r', 'b')];
  await check(t, 'one that others see', {
    nodes: [...seen, layers.transpose('u', 's', [0, 2, 3, 1]), layers.add('w', 'u', 'x')],
    input,
    kinds: ['transpose', 'relu', 'relu', 'add', 'transpose', 'add'],
  });
  const pixel = layers.transpose('a', INPUT, [0, 2, 3, 1]);
  await check(t, 'of one pixel', {
    nodes: [pixel, layers.relu('r', 'a')],
    input: [3, 1, 1],
    kinds: ['reshape', 'relu'],
  });
});

test('global average pooling in every spelling', async (t) => {
  const input = [3, 4, 5];
  const pooled = { input, kinds: ['globalAvgPool'] };
  const rows = layers.view('rows', 'reshape', INPUT, ([n, c, h, w]) => [n!, c!, h! * w!]);
  const last = layers.transpose('last', INPUT, [0, 2, 3, 1]);
  const spellings: Record<string, readonly GraphNode[]> = {
    'a mean over two axes': [meanOver('m', INPUT, [2, 3], false)],
    'one that keeps them': [meanOver('m', INPUT, [2, 3], true)],
    'a window as large as the map': [layers.avgPool('m', INPUT, { kernel: [4, 5], stride: 1 })],
    'one cell': [layers.adaptiveAvgPool('m', INPUT, 1)],
    'two means': [meanOver('a', INPUT, [3], false), meanOver('m', 'a', [2], false)],
    'two that keep their axes': [meanOver('a', INPUT, [2], true), meanOver('m', 'a', [3], true)],
    'rows of pixels and a mean': [rows, meanOver('m', 'rows', [2], false)],
    'channels last': [last, meanOver('m', 'last', [1, 2], false)],
    'channels last in two steps': [last, meanOver('a', 'last', [1], false), meanOver('m', 'a', [1], false)],
  };
  for (const [what, nodes] of Object.entries(spellings)) await check(t, what, { ...pooled, nodes });
  const others: Record<string, readonly GraphNode[]> = {
    'over one axis': [meanOver('m', INPUT, [2], false)],
    'over channels': [meanOver('m', INPUT, [1, 2], false)],
    'a smaller window': [layers.avgPool('m', INPUT, { kernel: [4, 4], stride: 1 })],
    'a padded one': [layers.avgPool('m', INPUT, { kernel: [4, 5], stride: 9, padding: [1, 0, 0, 0] })],
  };
  for (const [what, nodes] of Object.entries(others)) {
    await check(t, what, { nodes, input, kinds: nodes.map(({ kind }) => kind) });
  }
});

test('heads: convolutions of a pixel, biases, the order of features', async (t) => {
  const conv = layers.conv('head', INPUT, { in: 3, out: 4, kernel: 1 });
  await check(t, 'a 1x1 convolution of one pixel', {
    nodes: [conv, layers.flatten('f', 'head')],
    input: [3, 1, 1],
    kinds: ['flatten', 'linear'],
  });
  await check(t, 'of more', { nodes: [conv], input: [3, 2, 1], kinds: ['conv'] });
  const grouped = layers.conv('head', INPUT, { in: 4, out: 4, kernel: 1, groups: 2 });
  await check(t, 'in groups', { nodes: [grouped], input: [4, 1, 1], kinds: ['conv'] });

  const product = layers.linear('m', INPUT, { in: 3, out: 4, bias: false });
  for (const shape of [[4], [1, 4]]) {
    await check(t, `product and bias [${shape}]`, {
      nodes: [product, plus('y', 'm', shape)],
      input: [3],
      kinds: ['linear'],
    });
  }
  const map = layers.conv('m', INPUT, { in: 3, out: 4, kernel: 2, bias: false });
  await check(t, 'convolution and bias', {
    nodes: [map, plus('y', 'm', [4, 1, 1])],
    input: [3, 4, 5],
    kinds: ['conv'],
  });
  await check(t, 'a bias along the wrong axis', {
    nodes: [map, plus('y', 'm', [4])],
    input: [3, 4, 5],
    kinds: ['conv', 'withNumber'],
  });
  const biased = layers.linear('m', INPUT, { in: 3, out: 4 });
  await check(t, 'a second bias', {
    nodes: [biased, plus('y', 'm', [4])],
    input: [3],
    kinds: ['linear', 'withNumber'],
  });
  await check(t, 'a factor', {
    nodes: [product, times('y', 'm', [4])],
    input: [3],
    kinds: ['linear', 'withNumber'],
  });

  const turned = layers.transpose('t', INPUT, [0, 2, 3, 1]);
  const dense = layers.linear('y', 'f', { in: 24, out: 5 });
  await check(t, 'flattened channels last', {
    nodes: [turned, layers.flatten('f', 't'), dense],
    input: [4, 2, 3],
    kinds: ['flatten', 'linear'],
  });
});

test('functions that were taken apart are known by their values', async (t) => {
  const { functions: f } = fn;
  const input = [3, 4];
  const half = 1 / Math.SQRT2;
  const gelus: Record<
    string,
    readonly [nodes: readonly GraphNode[], given: Record<string, readonly number[]>]
  > = {
    'x/2 (1 + erf(x / sqrt 2))': [
      [
        over('d', INPUT),
        apply(f.erf, 'e', 'd'),
        plus('p', 'e'),
        layers.mul('m', INPUT, 'p'),
        times('y', 'm'),
      ],
      { 'd.p': [Math.SQRT2], 'p.p': [1], 'y.p': [0.5] },
    ],
    'half of x first': [
      [
        times('h', INPUT),
        times('d', INPUT),
        apply(f.erf, 'e', 'd'),
        plus('p', 'e'),
        layers.mul('y', 'h', 'p'),
      ],
      { 'h.p': [0.5], 'd.p': [half], 'p.p': [1] },
    ],
  };
  for (const [what, [nodes, given]] of Object.entries(gelus))
    await check(t, what, { nodes, given, input, kinds: ['gelu'] });
  const tanh = [
    apply(fn.power(3), 'c', INPUT),
    times('a', 'c'),
    layers.add('s', INPUT, 'a'),
    times('b', 's'),
    apply(f.tanh, 't', 'b'),
    plus('p', 't'),
    layers.mul('m', INPUT, 'p'),
    times('y', 'm'),
  ];
  const given = { 'a.p': [0.044715], 'b.p': [Math.sqrt(2 / Math.PI)], 'p.p': [1], 'y.p': [0.5] };
  const found = await check(t, 'by tanh', { nodes: tanh, given, input, kinds: ['gelu'] });
  t.deepEqual(found.nodes[0]!.attributes, { approximate: 'tanh' }, 'and told from the exact one');
  const silu = [apply(f.sigmoid, 's', INPUT), layers.mul('y', INPUT, 's')];
  await check(t, 'x sigmoid(x)', { nodes: silu, input, kinds: ['silu'] });
  const swish = [
    plus('p', INPUT),
    apply(fn.clip(0, 6), 'c', 'p'),
    over('d', 'c'),
    layers.mul('y', INPUT, 'd'),
  ];
  await check(t, 'x relu6(x + 3) / 6', {
    nodes: swish,
    given: { 'p.p': [3], 'd.p': [6] },
    input,
    kinds: ['hardSwish'],
  });
  const mish = [apply(f.softplus, 's', INPUT), apply(f.tanh, 't', 's'), layers.mul('y', INPUT, 't')];
  await check(t, 'x tanh(softplus(x))', { nodes: mish, input, kinds: ['mish'] });
  const off = { 'p.p': [3], 'd.p': [6.01] };
  await check(t, 'of 6.01 in place of 6', {
    nodes: swish,
    given: off,
    input,
    kinds: swish.map(({ kind }) => kind),
  });
  const seen = [...silu, layers.add('z', 'y', 's')];
  await check(t, 'a step that others see', { nodes: seen, input, kinds: ['sigmoid', 'mul', 'add'] });
  const residual = [
    layers.relu('r', INPUT),
    apply(f.sigmoid, 's', 'r'),
    layers.mul('m', 'r', 's'),
    layers.add('y', 'm', INPUT),
  ];
  await check(t, 'beside a sum', { nodes: residual, input, kinds: ['relu', 'silu', 'add'] });
});

test('layer normalisation that was taken apart', async (t) => {
  const difference = layers.plain('d', 'sub', [INPUT, 'm'], ops.sub, {}, { each: ([a, b]) => a! - b! });
  const quotient = layers.plain('q', 'div', ['d', 'r'], ops.div, {}, { each: ([a, b]) => a! / b! });
  const core = [
    meanOver('m', INPUT, [2], true),
    difference,
    apply(fn.power(2), 's', 'd'),
    meanOver('v', 's', [2], true),
    plus('e', 'v'),
    apply(fn.functions.sqrt, 'r', 'e'),
    quotient,
  ];
  const nodes = [...core, times('w', 'q', [6]), plus('y', 'w', [6])];
  for (const epsilon of [1e-5, 1e-6, 1e-3]) {
    const found = await check(t, `epsilon ${epsilon}`, {
      nodes,
      given: { 'e.p': [epsilon] },
      input: [5, 6],
      kinds: ['layerNorm'],
    });
    t.ok(relativeError([found.nodes[0]!.attributes.epsilon as number], [epsilon]) < 0.02, 'its epsilon');
    // By hand, in float64.
    const { x, data } = await outputOf(found.nodes, found.tensors, 'y', [1, 5, 6]);
    const tensors = numbersFor(nodes, { 'e.p': [epsilon] });
    const [w, b] = ['w.p', 'y.p'].map((key) => tensors.get(key)!.data) as [Float32Array, Float32Array];
    const expected = Array.from({ length: 5 }, (_, row) => [...x.subarray(6 * row, 6 * row + 6)]).flatMap(
      (row) => {
        const mean = row.reduce((sum, n) => sum + n, 0) / 6;
        const variance = row.reduce((sum, n) => sum + (n - mean) ** 2, 0) / 6;
        return row.map((n, i) => ((n - mean) / Math.sqrt(variance + epsilon)) * w[i]! + b[i]!);
      },
    );
    t.ok(relativeError(data, expected) < 1e-5, 'against float64');
  }
  const another = [...core.slice(0, 3), meanOver('v', 's', [1], true), ...core.slice(4)];
  await check(t, 'a variance over another axis', {
    nodes: another,
    given: { 'e.p': [1e-5] },
    input: [5, 6],
    kinds: another.map(({ kind }) => kind),
  });
});

test('weights that two layers share stay as they are', async (t) => {
  const a = layers.conv('a', INPUT, { in: 3, out: 3, kernel: 1 });
  const b = { ...layers.conv('b', 'a', { in: 3, out: 3, kernel: 1 }), parameters: a.parameters };
  await check(t, 'a 1x1 convolution twice', { nodes: [a, b], input: [3, 1, 1], kinds: ['conv', 'conv'] });
});
