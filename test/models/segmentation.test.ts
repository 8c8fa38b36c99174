// Networks that score classes at each place of the picture: how their outputs are read, what of them is explained, and its
// value and gradient against float64.

import test from 'tape';
import { explain, observe, targets } from '../../cam/index.ts';
import { tensor } from '../../engine/index.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { disposeNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  conv2d,
  gradient,
  map,
  mean,
  randomArray,
  relativeError,
  reshape,
  resizeNearest,
  seededRandom,
} from '../reference/index.ts';
import { noParts } from './onnx-case.ts';
import { modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

const next = seededRandom(5);
const [w, b] = [randomArray([5, 3, 3, 3], next), randomArray([5], next)];
const [v, c] = [randomArray([4, 5, 1, 1], next), randomArray([4], next)];
const one = { v: array([1, 5, 1, 1], v.data.slice(0, 5)), c: array([1], c.data.slice(0, 1)) };
const stored = (name: string, { shape, data }: Array64): TensorSpec => ({
  name,
  dims: shape,
  data: [...data],
});
const initializers: readonly TensorSpec[] = [
  ...Object.entries({ w, b, v, c, v1: one.v, c1: one.c }).map(([name, x]) => stored(name, x)),
  { name: 'scales', dims: [4], data: [1, 1, 2, 2] },
  { name: 'axis1', dims: [1], type: 7, data: [1] },
];

const body: readonly NodeSpec[] = [
  {
    op: 'Conv',
    inputs: ['x', 'w', 'b'],
    outputs: ['k'],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { op: 'Relu', inputs: ['k'], outputs: ['features'] },
];
const scores: NodeSpec = { op: 'Conv', inputs: ['features', 'v', 'c'], outputs: ['s'] };
const oneScore: NodeSpec = { op: 'Conv', inputs: ['features', 'v1', 'c1'], outputs: ['s'] };
const larger: NodeSpec = {
  op: 'Resize',
  inputs: ['s', '', 'scales'],
  outputs: ['l'],
  attributes: { mode: 'nearest' },
};
const softmax = (input: string, axis: number): NodeSpec => ({
  op: 'Softmax',
  inputs: [input],
  outputs: ['y'],
  attributes: { axis },
});
const turned = (input: string, output: string, ...perm: number[]): NodeSpec => ({
  op: 'Transpose',
  inputs: [input],
  outputs: [output],
  attributes: { perm },
});
const read = (nodes: readonly NodeSpec[], outputs: readonly string[] = ['y']) =>
  modelBytes({
    opset: 18,
    nodes: [...body, ...nodes],
    initializers,
    outputs,
    inputs: [{ name: 'x', dims: [1, 3, 6, 8] }],
  });

const features = (x: Array64) =>
  map(conv2d(x, w, { stride: [2, 2], padding: [1, 1, 1, 1] }, b), (n) => Math.max(n, 0));
/** The sum of a class's scores [1, classes, h, w] where it is the largest, or, of one that is independent, above 0. */
const areas = (at: Array64, independent: boolean, where: Array64 = at): number[] => {
  const [, classes, h, width] = at.shape as [number, number, number, number];
  const places = Array.from({ length: h * width }, (_, i) => i);
  const score = (from: Array64, k: number, i: number) => from.data[k * h * width + i]!;
  const most = (i: number) => Math.max(...Array.from({ length: classes }, (_, k) => score(where, k, i)));
  return Array.from({ length: classes }, (_, k) =>
    places
      .filter((i) => (independent ? score(where, k, i) > 0 : score(where, k, i) === most(i)))
      .reduce((sum, i) => sum + score(at, k, i), 0),
  );
};
const of = (a: Array64) => conv2d(a, v, {}, c);
const twice = (a: Array64) => resizeNearest(of(a), [6, 8]);

/** Twice as large: output 2 i lies on input i, and what is beyond the last one is the last. */
const asymmetric = (x: Array64): Array64 => {
  const [n, k, h, width] = x.shape as [number, number, number, number];
  const at = (c: number, row: number, column: number) =>
    x.data[(c * h + Math.min(row, h - 1)) * width + Math.min(column, width - 1)]!;
  const values = Array.from({ length: k * 4 * h * width }, (_, i) => {
    const [column, row, c] = [
      i % (2 * width),
      Math.floor(i / (2 * width)) % (2 * h),
      Math.floor(i / (4 * h * width)),
    ];
    const [y, z] = [row / 2, column / 2];
    const corners = [Math.floor(y), Math.ceil(y)].flatMap((r) =>
      [Math.floor(z), Math.ceil(z)].map((q) => at(c, r, q)),
    );
    return corners.reduce((sum, corner) => sum + corner / 4, 0);
  });
  return array([n, k, 2 * h, 2 * width], values);
};

/** By what it shows: the nodes behind the features, the scores from them, and whether classes are independent. */
const forms: Readonly<Record<string, readonly [readonly NodeSpec[], (a: Array64) => Array64, boolean?]>> = {
  scores: [[{ ...scores, outputs: ['y'] }], of],
  'enlarged scores': [[scores, { ...larger, outputs: ['y'] }], twice],
  'a softmax over channels': [[scores, larger, softmax('l', 1)], twice],
  'scores enlarged by lines between them, in the way of old exporters': [
    [
      scores,
      {
        ...larger,
        outputs: ['y'],
        attributes: { mode: 'linear', coordinate_transformation_mode: 'asymmetric' },
      },
    ],
    (a) => asymmetric(of(a)),
  ],
  'channels last': [[scores, turned('s', 't', 0, 2, 3, 1), softmax('t', 3)], of],
  'a softmax that is turned afterwards': [
    [scores, { ...softmax('s', 1), outputs: ['p'] }, turned('p', 'y', 0, 2, 3, 1)],
    of,
  ],
  'independent classes': [[scores, { op: 'Sigmoid', inputs: ['s'], outputs: ['y'] }], of, true],
  'one class': [
    [oneScore, { op: 'Sigmoid', inputs: ['s'], outputs: ['y'] }],
    (a) => conv2d(a, one.v, {}, one.c),
    true,
  ],
  'one class without an axis': [
    [oneScore, { op: 'Squeeze', inputs: ['s', 'axis1'], outputs: ['y'] }],
    (a) => conv2d(a, one.v, {}, one.c),
    true,
  ],
  'from left to right': [
    [
      scores,
      { op: 'ReduceMean', inputs: ['s'], outputs: ['m'], attributes: { axes: [2], keepdims: 0 } },
      turned('m', 't', 0, 2, 1),
      softmax('t', 2),
    ],
    (a) => reshape(mean(of(a), [2], false), [1, 4, 1, 4]),
  ],
};

for (const [name, [nodes, from, independent = false]] of Object.entries(forms)) {
  test(`segmentation: ${name}`, async (t) => {
    const on = await device();
    const network = await open(on, read(nodes), { output: 'y' });
    const x = randomArray([1, 3, 6, 8], seededRandom(2), { low: -2, high: 2 });
    const picture = tensor(on, x.data, x.shape);
    const a = features(x);
    const expected = areas(from(a), independent);
    t.deepEqual([network.targetLayer, network.probabilities], ['features', 'none']);
    t.equal(network.classes.length, expected.length);
    const trace = observe(network, picture);
    const found = await trace.outputs.logits.data();
    t.ok(relativeError(found, expected) < 2e-6, `areas ${[...found]}`);
    const sizes = expected.map(Math.abs);
    const index = sizes.indexOf(Math.max(...sizes));
    t.notEqual(expected[index], 0);
    const slopes = gradient((other) => areas(from(other), independent, from(a))[index]!, a);
    const g = await trace.at().gradient(targets.logit(index)).data();
    t.ok(relativeError(g, slopes.data) < 1e-5, 'the gradient');
    trace.dispose();
    picture.dispose();
    disposeNetwork(network);
  });
}

test('segmentation: a part of the picture, a class that is nowhere, and several maps', async (t) => {
  const on = await device();
  const network = await open(on, read([scores, larger, softmax('l', 1)]), { output: 'y' });
  const x = randomArray([1, 3, 6, 8], seededRandom(2), { low: -2, high: 2 });
  const picture = tensor(on, x.data, x.shape);
  const inside = Array.from({ length: 48 }, (_, i) => Number(i % 8 < 3 && i >= 16));
  const mask = tensor(on, inside, [6, 8]);
  const trace = observe(network, picture);
  const score = targets.region(network.segmentation!.scores, 2, mask)(trace.outputs);
  const map2 = twice(features(x)).data.slice(96, 144);
  t.ok(Math.abs((await score.data())[0]! - inside.reduce((sum, n, i) => sum + n * map2[i]!, 0)) < 1e-5);
  const empty = areas(twice(features(x)), false).indexOf(0);
  t.ok(empty >= 0, 'some class is nowhere the most probable');
  const [nothing] = await explain(network, picture, { methods: ['grad-cam'], classes: [empty] });
  t.match(nothing!.notes.join(), /zero everywhere/);
  for (const [outputs, words] of [
    [['l'], /output "l" is \[1, 4, 6, 8\] for one picture; [\s\S]*segmentation.*--output l /],
    [
      ['s', 'l'],
      /none of its outputs is a row[\s\S]* {2}s \[1, 4, 3, 4\]\n {2}l \[1, 4, 6, 8\]\n[\s\S]*--output s, or l /,
    ],
  ] as const) {
    const refused = await readOnnx(read([scores, larger], outputs), 'maps.onnx', noParts).catch(
      (error) => error,
    );
    t.match(refused.message, words, 'asked for by name alone');
    t.deepEqual(refused.cause.outputs, outputs);
  }
  const asked = await readOnnx(read([scores, larger], ['s', 'l']), 'two.onnx', noParts, { output: 'l' });
  t.equal(asked.classCount, 4);
  for (const one of [score, mask, picture, nothing!.map]) one.dispose();
  trace.dispose();
  disposeNetwork(network);
});
