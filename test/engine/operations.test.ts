// Every operation of the engine, forward and derivatives to the third order, against the float64 reference and its
// finite differences: one table, one checker.

import test, { type Test } from 'tape';
import * as engine from '../../engine/index.ts';
import {
  add,
  type Device,
  exp,
  indexTensor,
  mul,
  scope,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { device } from '../device.ts';
import type { Array64 } from '../reference/index.ts';
import * as ref from '../reference/index.ts';

// f32 carries 6e-8 an operation. Sums of some hundred terms, and exp, log and pow at the few ulp that WGSL allows
// drivers, reach 1e-6 to 1e-5 of the largest value; each derivative multiplies the chain's length.
const FORWARD = 2e-5;
const FIRST = 5e-5;
const HIGHER = [FIRST, 2e-4, 5e-4] as const;

type Input = readonly [shape: readonly number[], low?: number, high?: number, step?: number];

interface Row {
  readonly name: string;
  readonly engine: (...xs: Tensor[]) => Tensor;
  readonly reference: (...xs: Array64[]) => Array64;
  readonly inputs: readonly Input[];
  /** Highest derivative checked; 1 where a choice has kinks too close together for stencils, 0 where there is none. */
  readonly order: 0 | 1 | 3;
}

/**
 * Evenly spaced values in random order: no two are equal and none lies on a kink at 0 or a whole number, so that
 * finite differences do not straddle kinks of max, relu or clamp. With a step they are rounded down to low and whole steps
 * from there: of two such inputs all values lie apart.
 */
function values([shape, low = -1, high = 1, step]: Input, next: () => number): Array64 {
  const x = ref.filled(shape, 0);
  const n = x.data.length;
  for (let i = 0; i < n; i++) {
    const j = Math.floor(next() * (i + 1));
    x.data[i] = x.data[j]!;
    const above = ((i + 0.37) / n) * (high - low);
    x.data[j] = Math.fround(low + (step === undefined ? above : Math.floor(above / step) * step));
  }
  return x;
}

const inner = (a: Array64, b: Array64) => a.data.reduce((total, value, i) => total + value * b.data[i]!, 0);

/** Several arrays as one vector, and back. */
const join = (xs: readonly Array64[]) => {
  const data = xs.flatMap((x) => [...x.data]);
  return ref.array([data.length], data);
};
const split = (v: Array64, like: readonly Array64[]) => {
  let end = 0;
  return like.map(({ shape, data }) => {
    const start = end;
    end += data.length;
    return ref.array(shape, v.data.subarray(start, end));
  });
};

const upload = (on: Device, x: Array64) => tensor(on, x.data, x.shape);

/** The derivative of a scalar function along a direction, again a scalar function. */
const along =
  (f: (...xs: Tensor[]) => Tensor, v: readonly Tensor[]) =>
  (...xs: Tensor[]) =>
    engine
      .valueAndGrad(f, xs)
      .gradients.map((g, i) => sum(mul(g, v[i]!)))
      .reduce(add);

async function close(t: Test, actual: Tensor, expected: Array64, tolerance: number, about: string) {
  t.deepEqual(actual.shape, expected.shape, `${about}: shape`);
  const error = ref.relativeError(await actual.data(), expected.data);
  t.ok(error <= tolerance, `${about}: error ${error.toExponential(1)}`);
}

async function checkRow(t: Test, on: Device, row: Row) {
  const next = ref.seededRandom(row.name.length * 7919 + row.inputs.length);
  const inputs = row.inputs.map((input) => values(input, next));
  const expected = row.reference(...inputs);
  const xs = inputs.map((x) => upload(on, x));
  const y = scope(() => row.engine(...xs));
  await close(t, y, expected, FORWARD, 'forward');
  y.dispose();
  if (row.order > 0) {
    const weights = ref.randomArray(expected.shape, next);
    const w = upload(on, weights);
    const gradients = scope(() => engine.valueAndGrad((...a) => sum(mul(row.engine(...a), w)), xs).gradients);
    const f = (v: Array64) => inner(row.reference(...split(v, inputs)), weights);
    const wanted = split(ref.gradient(f, join(inputs)), inputs);
    for (const [i, g] of gradients.entries()) await close(t, g, wanted[i]!, FIRST, `gradient ${i}`);
    for (const g of gradients) g.dispose();
    if (row.order > 1) await checkHigher(t, on, row, inputs, xs, weights, w);
    w.dispose();
  }
  for (const x of xs) x.dispose();
}

/** Derivatives along one direction of sum(w exp(y / max|y|)), which has all of them even where y is linear. */
async function checkHigher(
  t: Test,
  on: Device,
  row: Row,
  inputs: readonly Array64[],
  xs: readonly Tensor[],
  weights: Array64,
  w: Tensor,
) {
  const expected = row.reference(...inputs);
  const k = 1 / Math.max(1, ...expected.data.map(Math.abs));
  const random = ref.randomArray([join(inputs).data.length], ref.seededRandom(5));
  const norm = Math.sqrt(inner(random, random));
  const direction = ref.map(random, (value) => Math.fround(value / norm));
  const v = split(direction, inputs).map((part) => upload(on, part));
  const readOut = (x: Array64) => {
    const y = row.reference(...split(x, inputs));
    return inner(
      ref.map(y, (value) => Math.exp(k * value)),
      weights,
    );
  };
  let f = (...a: Tensor[]) => sum(mul(exp(engine.scale(row.engine(...a), k)), w));
  for (const order of [1, 2, 3] as const) {
    f = along(f, v);
    const g = f;
    const found = scope(() => g(...xs));
    const wanted = ref.directionalDerivative(readOut, join(inputs), direction, order);
    const [actual] = await found.data();
    const error = Math.abs(actual! - wanted) / Math.max(1, Math.abs(wanted));
    t.ok(error <= HIGHER[order - 1]!, `derivative ${order} of a direction: ${actual}, wanted ${wanted}`);
    found.dispose();
  }
  for (const part of v) part.dispose();
}

const row = (
  name: string,
  run: Row['engine'],
  reference: Row['reference'],
  inputs: readonly Input[],
  order: Row['order'] = 3,
): Row => ({ name, engine: run, reference, inputs, order });

// ---- Convolution

interface Conv {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly options?: engine.ConvOptions;
  readonly bias?: boolean;
}

const convolutions: Conv[] = [
  { x: [1, 1, 1, 1], w: [1, 1, 1, 1] },
  { x: [2, 3, 5, 7], w: [5, 3, 1, 1], bias: true },
  { x: [1, 16, 7, 11], w: [17, 16, 1, 1] },
  { x: [2, 3, 4, 5], w: [2, 3, 1, 1], options: { stride: [2, 3] } },
  { x: [2, 3, 4, 5], w: [2, 3, 1, 1], options: { padding: [1, 0, 2, 1] } },
  { x: [2, 3, 7, 5], w: [5, 3, 3, 3], options: { padding: [1, 1, 1, 1] }, bias: true },
  { x: [1, 2, 9, 6], w: [9, 2, 3, 3], options: { padding: [0, 1, 2, 0], stride: [2, 2] } },
  { x: [1, 2, 11, 8], w: [3, 2, 3, 2], options: { stride: [3, 3], padding: [1, 1, 0, 2] } },
  { x: [1, 2, 13, 9], w: [3, 2, 2, 3], options: { stride: [1, 4] } },
  { x: [1, 1, 6, 13], w: [2, 1, 2, 2], options: { stride: [2, 5] } },
  { x: [2, 1, 5, 5], w: [1, 1, 2, 2], options: { padding: [3, 3, 3, 3] } },
  { x: [1, 2, 6, 7], w: [2, 2, 3, 3], options: { padding: [-1, 0, 0, -2] } },
  { x: [1, 2, 9, 8], w: [3, 2, 5, 5], options: { padding: [2, 2, 2, 2] } },
  { x: [1, 1, 13, 11], w: [5, 1, 7, 7], options: { stride: [2, 2], padding: [3, 3, 3, 3] }, bias: true },
  { x: [1, 1, 12, 11], w: [2, 1, 11, 11], options: { stride: [4, 4], padding: [2, 2, 2, 2] } },
  { x: [1, 1, 3, 14], w: [2, 1, 2, 12] },
  { x: [1, 2, 9, 9], w: [3, 2, 3, 3], options: { dilation: [2, 3], padding: [2, 1, 0, 3] } },
  { x: [2, 4, 5, 6], w: [6, 2, 3, 3], options: { groups: 2, stride: [2, 1], padding: [1, 1, 1, 1] } },
  { x: [1, 5, 6, 5], w: [5, 1, 3, 3], options: { groups: 5, padding: [1, 1, 1, 1] }, bias: true },
  { x: [1, 3, 7, 7], w: [6, 1, 3, 3], options: { groups: 3, stride: [2, 2], dilation: [2, 2] } },
  { x: [0, 3, 7, 5], w: [5, 3, 3, 3] },
  { x: [0, 3, 7, 5], w: [5, 3, 1, 1] },
  { x: [0, 4, 7, 5], w: [4, 1, 3, 3], options: { groups: 4 } },
];

/** A convolution with all that may follow it. */
const followed = (['relu', 'relu6'] as const).map((activation) =>
  row(
    `conv2d, a bias, a sum and ${activation}`,
    (x, w, bias, summand) => engine.conv2d(x!, w!, {}, { bias: bias!, summand: summand!, activation }),
    (x, w, bias, summand) => ref.unary[activation](ref.binary.add(ref.conv2d(x!, w!, {}, bias!), summand!)),
    [[[1, 2, 4, 5]], [[3, 2, 3, 3]], [[3]], [[1, 3, 2, 3], -8, 14]],
  ),
);

const convRows = convolutions.flatMap(({ x, w, options = {}, bias }): Row[] => {
  const about = `[${x}] by [${w}] ${JSON.stringify(options)}`;
  const y = ref.conv2d(ref.filled(x, 0), ref.filled(w, 0), options).shape;
  const size = [x[2]!, x[3]!] as const;
  return [
    row(
      `conv2d ${about}${bias ? ' with bias' : ''}`,
      (a, b, c) => engine.conv2d(a!, b!, options, { bias: c }),
      (a, b, c) => ref.conv2d(a!, b!, options, c),
      [[x], [w], ...(bias ? [[[w[0]!]] as const] : [])],
    ),
    row(
      `convTranspose2d to ${about}`,
      (a, b) => engine.convTranspose2d(a!, b!, size, options),
      (a, b) => ref.convTranspose2d(a!, b!, size, options),
      [[y], [w]],
    ),
  ];
});

// ---- Matrix products

const swapped = (x: Array64, swap: boolean) => {
  const axes = x.shape.map((_, axis) => axis);
  return swap ? ref.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]) : x;
};
const matmulRow = (a: readonly number[], b: readonly number[], ta = false, tb = false, order: 1 | 3 = 3) =>
  row(
    `matmul [${a}]${ta ? "'" : ''} [${b}]${tb ? "'" : ''}`,
    (x, y) => engine.matmul(x!, y!, ta, tb),
    (x, y) => ref.matmul(swapped(x!, ta), swapped(y!, tb)),
    [[a], [b]],
    order,
  );

const matmulRows = [
  matmulRow([1, 1], [1, 1]),
  matmulRow([3, 5], [5, 7]),
  matmulRow([5, 3], [5, 7], true),
  matmulRow([3, 5], [7, 5], false, true),
  matmulRow([5, 3], [7, 5], true, true),
  matmulRow([2, 3, 5], [2, 5, 4]),
  matmulRow([2, 3, 5], [5, 4]),
  matmulRow([3, 5], [2, 5, 4]),
  matmulRow([2, 5, 3], [4, 5], true, true),
  matmulRow([2, 1, 3, 5], [2, 1, 4, 5], false, true),
  matmulRow([0, 5], [5, 3]),
  matmulRow([3, 0], [0, 4]),
  matmulRow([0, 3, 5], [0, 5, 2]),
  // Large enough for the tiled kernel, with whole and ragged tiles.
  matmulRow([13, 29], [29, 44]),
  matmulRow([29, 13], [45, 29], true, true, 1),
  matmulRow([3, 9, 41], [41, 46], false, false, 1),
  matmulRow([9, 41], [2, 46, 41], false, true, 1),
  row(
    'linear',
    (x, w) => engine.linear(x!, w!),
    (x, w) => ref.matmul(x!, swapped(w!, true)),
    [[[4, 7]], [[3, 7]]],
  ),
];

// ---- Elementwise

const shapePairs: [readonly number[], readonly number[]][] = [
  [[7], [7]],
  [[1], [13]],
  [[2, 3], []],
  [[], []],
  [
    [3, 1, 5],
    [1, 4, 1],
  ],
  [[3], [2, 1, 3]],
  [
    [2, 5, 3],
    [5, 1],
  ],
  [
    [2, 1, 2, 1, 2, 1, 2, 1],
    [1, 2, 1, 2, 1, 2, 1, 2],
  ],
  [
    [0, 3],
    [1, 3],
  ],
  // Lines of whole vec4, along which one runs and the other is one element, or both run.
  [
    [2, 3, 8],
    [3, 1],
  ],
  [
    [7, 1],
    [2, 7, 4],
  ],
  [
    [3, 1, 8],
    [2, 8],
  ],
  // Lines of whole vec4 that begin between two of them.
  [
    [2, 3, 1, 4],
    [3, 2, 1],
  ],
];

const addRelu64 = (a: Array64, b: Array64) => ref.unary.relu(ref.binary.add(a, b));
const binaries = [
  ['add', engine.add, ref.binary.add, [-1, 1], [-1, 1], 3],
  ['sub', engine.sub, ref.binary.sub, [-1, 1], [-1, 1], 3],
  ['mul', engine.mul, ref.binary.mul, [-1, 1], [-1, 1], 3],
  ['div', engine.div, ref.binary.div, [-1, 1], [0.5, 2], 3],
  ['pow', engine.pow, ref.binary.pow, [0.5, 2], [-2, 2], 3],
  ['maximum', engine.maximum, ref.binary.max, [-1, 1, 0.5], [-1.25, 1.25, 0.5], 3],
  ['minimum', engine.minimum, ref.binary.min, [-1, 1, 0.5], [-1.25, 1.25, 0.5], 3],
  ['addRelu', engine.addRelu, addRelu64, [-1, 1, 0.5], [-0.75, 1.25, 0.5], 3],
] as const;

const binaryRows = binaries.flatMap(([name, run, reference, a, b, order]) =>
  shapePairs.map(([left, right]) =>
    row(
      `${name} [${left}] [${right}]`,
      (x, y) => run(x!, y!),
      (x, y) => reference(x!, y!),
      [
        [left, ...a],
        [right, ...b],
      ],
      order,
    ),
  ),
);

/** More vec4 than a workgroup takes. */
const longLines = row(
  'sub [3, 1040] [1040]',
  (x, y) => engine.sub(x!, y!),
  (x, y) => ref.binary.sub(x!, y!),
  [[[3, 1040]], [[1040]]],
  0,
);

const one =
  (f: (x: Tensor) => Tensor): Row['engine'] =>
  (x) =>
    f(x!);
const one64 =
  (f: (x: Array64) => Array64): Row['reference'] =>
  (x) =>
    f(x!);
const map64 =
  (f: (value: number) => number): Row['reference'] =>
  (x) =>
    ref.map(x!, f);

const unaries: [string, (x: Tensor) => Tensor, Row['reference'], number, number, Row['order']][] = [
  ['neg', engine.neg, one64(ref.unary.neg), -2, 2, 3],
  ['exp', engine.exp, one64(ref.unary.exp), -2, 2, 3],
  ['log', engine.log, one64(ref.unary.log), 0.5, 3, 3],
  ['sqrt', engine.sqrt, one64(ref.unary.sqrt), 0.5, 3, 3],
  ['abs', engine.abs, one64(ref.unary.abs), -2, 2, 3],
  ['tanh', engine.tanh, one64(ref.unary.tanh), -2, 2, 3],
  ['sigmoid', engine.sigmoid, one64(ref.unary.sigmoid), -4, 4, 3],
  ['step', engine.step, one64(ref.unary.step), -2, 2, 3],
  ['sign', engine.sign, one64(ref.unary.sign), -2, 2, 3],
  ['softplus', engine.softplus, one64(ref.unary.softplus), -4, 4, 3],
  ['relu', engine.relu, one64(ref.unary.relu), -2, 2, 3],
  ['reciprocal', engine.reciprocal, one64(ref.unary.reciprocal), 0.5, 2, 3],
  ['erf', engine.erf, one64(ref.unary.erf), -3, 3, 3],
  ['gelu', engine.gelu, one64(ref.unary.gelu), -3, 3, 3],
  ['silu', engine.silu, one64(ref.unary.silu), -3, 3, 3],
  ['relu6', engine.relu6, one64(ref.unary.relu6), -3, 9, 3],
  ['hardSigmoid', engine.hardSigmoid, one64((x) => ref.hardSigmoid(x)), -5, 5, 3],
  ['hardSwish', engine.hardSwish, one64(ref.unary.hardSwish), -5, 5, 3],
  ['clamp', (x) => engine.clamp(x, -0.5, 0.7), one64((x) => ref.clamp(x, -0.5, 0.7)), -1, 1, 3],
  ['leakyRelu', (x) => engine.leakyRelu(x, 0.1), one64((x) => ref.leakyRelu(x, 0.1)), -1, 1, 3],
  ['affine', (x) => engine.affine(x, -1.5, 0.25), map64((v) => -1.5 * v + 0.25), -1, 1, 3],
  ['scale', (x) => engine.scale(x, 3), map64((v) => 3 * v), -1, 1, 3],
  ...[-1, 0, 1, 2, 3].map(
    (k) =>
      [`powScalar ${k}`, (x: Tensor) => engine.powScalar(x, k), map64((v) => v ** k), 0.5, 2, 3] as [
        string,
        (x: Tensor) => Tensor,
        Row['reference'],
        number,
        number,
        3,
      ],
  ),
  ['powScalar 0.5', (x) => engine.powScalar(x, 0.5), map64((v) => v ** 0.5), 0.5, 2, 3],
  ['powScalar -2.5', (x) => engine.powScalar(x, -2.5), map64((v) => v ** -2.5), 0.7, 2, 3],
  ['powScalar 4 of negatives', (x) => engine.powScalar(x, 4), map64((v) => v ** 4), -2, -0.5, 3],
  ['powScalar 5 of negatives', (x) => engine.powScalar(x, 5), map64((v) => v ** 5), -2, -0.5, 3],
  ['powScalar -3 of negatives', (x) => engine.powScalar(x, -3), map64((v) => v ** -3), -2, -0.7, 3],
  // Far out, where a naive formula overflows.
  ['tanh far out', engine.tanh, one64(ref.unary.tanh), -200, 200, 0],
  ['sigmoid far out', engine.sigmoid, one64(ref.unary.sigmoid), -200, 200, 0],
  ['softplus far out', engine.softplus, one64(ref.unary.softplus), -200, 600, 0],
  ['gelu far out', engine.gelu, one64(ref.unary.gelu), -200, 200, 0],
  ['erf far out', engine.erf, one64(ref.unary.erf), -20, 20, 0],
];

const unaryRows = unaries.flatMap(([name, run, reference, low, high, order]) => [
  row(name, one(run), reference, [[[3, 13], low, high]], order),
  row(`${name}, one element`, one(run), reference, [[[], low, high]], Math.min(order, 1) as 0 | 1),
  row(`${name}, empty`, one(run), reference, [[[0, 3], low, high]], Math.min(order, 1) as 0 | 1),
]);

const comparisons = (
  [
    ['greater', engine.greater, (a: number, b: number) => a > b],
    ['equal', engine.equal, (a: number, b: number) => a === b],
  ] as const
).map(([name, run, holds]) =>
  row(
    name,
    (x) => run(x!, engine.full(x!.device, [], 0.25)),
    map64((v) => Number(holds(v, 0.25))),
    [[[5, 3], -0.5475, 1.6225]],
    0,
  ),
);

// ---- Pooling

const pools: [readonly number[], engine.PoolOptions][] = [
  [[1, 1, 1, 1], { kernel: [1, 1] }],
  [[2, 3, 6, 4], { kernel: [2, 2] }],
  [[1, 2, 7, 5], { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1] }],
  [[1, 2, 7, 5], { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1] }],
  [[1, 1, 7, 6], { kernel: [3, 3], stride: [2, 2], ceilMode: true }],
  [[1, 2, 5, 8], { kernel: [2, 3], stride: [3, 2], padding: [1, 1, 1, 1], ceilMode: true }],
  [[1, 1, 5, 5], { kernel: [2, 2], stride: [3, 3] }],
  [[0, 2, 5, 5], { kernel: [2, 2] }],
];
const poolRows = [
  ...pools.map(([x, options]) =>
    row(
      `maxPool2d [${x}] ${JSON.stringify(options)}`,
      one((a) => engine.maxPool2d(a, options)),
      one64((a) => ref.maxPool2d(a, options)),
      [[x]],
      1,
    ),
  ),
  row(
    'maxPool2d, dilated',
    one((x) =>
      engine.maxPool2d(x, { kernel: [2, 3], stride: [2, 1], padding: [1, 1, 0, 1], dilation: [3, 2] }),
    ),
    one64((x) =>
      ref.maxPool2d(x, { kernel: [2, 3], stride: [2, 1], padding: [1, 1, 0, 1], dilation: [3, 2] }),
    ),
    [[[1, 2, 8, 7]]],
    1,
  ),
  ...pools.flatMap(([x, options]) =>
    [true, false].map((countIncludePad) =>
      row(
        `avgPool2d [${x}] ${JSON.stringify({ ...options, countIncludePad })}`,
        one((a) => engine.avgPool2d(a, { ...options, countIncludePad })),
        one64((a) => ref.avgPool2d(a, { ...options, countIncludePad })),
        [[x]],
      ),
    ),
  ),
  row(
    'globalAvgPool',
    one(engine.globalAvgPool),
    one64((x) => ref.mean(x, [2, 3])),
    [[[2, 3, 5, 7]]],
  ),
  row(
    'globalMaxPool',
    one(engine.globalMaxPool),
    one64((x) => ref.max(x, [2, 3])),
    [[[2, 3, 5, 7]]],
    1,
  ),
];

// ---- Softmax, reductions, normalisation, losses

const axisRows = [0, 1, 2, -1].flatMap((axis) => [
  row(
    `softmax ${axis}`,
    one((x) => engine.softmax(x, axis)),
    one64((x) => ref.softmax(x, axis)),
    [[[3, 5, 4], -3, 3]],
  ),
  row(
    `logSoftmax ${axis}`,
    one((x) => engine.logSoftmax(x, axis)),
    one64((x) => ref.logSoftmax(x, axis)),
    [[[3, 5, 4], -3, 3]],
  ),
]);

const reductions: [readonly number[], readonly number[] | undefined][] = [
  [[], undefined],
  [[1], undefined],
  [[2, 3, 5], undefined],
  [[2, 3, 5], [0]],
  [[2, 3, 5], [1]],
  [[2, 3, 5], [-1]],
  [
    [2, 3, 5],
    [0, 2],
  ],
  [
    [2, 3, 2, 3],
    [2, 1],
  ],
  [[0, 3], [1]],
  [[2, 1, 3], [1]],
  // Long enough to be reduced in parts, whole and ragged.
  [[1024], undefined],
  [[2, 1031], [1]],
  [[521, 2, 3], [0]],
];
/** Long lines are checked by their values and first derivatives; their sum is not to be near 0. */
const isLong = (shape: readonly number[]) => Math.max(0, ...shape) > 500;
const reductionRows = reductions.flatMap(([shape, axes]) =>
  [false, true].flatMap((keep) =>
    (
      [
        ['sum', engine.sum, ref.sum, 3],
        ['mean', engine.mean, ref.mean, 3],
        ['max', engine.max, ref.max, 1],
        ['min', engine.min, ref.min, 1],
        ['maxNorm', engine.maxNorm, ref.maxNorm, 1],
      ] as const
    )
      .filter(([name]) => shape[0] !== 0 || name === 'sum' || name === 'mean')
      .map(([name, run, reference, order]) =>
        row(
          `${name} [${shape}] over ${axes ? `[${axes}]` : 'all'}${keep ? ', kept' : ''}`,
          one((x) => run(x, axes, keep)),
          one64((x) => reference(x, axes, keep)),
          [isLong(shape) ? [shape, -0.7, 1] : [shape]],
          isLong(shape) ? 1 : order,
        ),
      ),
  ),
);

const planeDotRow = (a: readonly number[], b: readonly number[]) =>
  row(
    `planeDot [${a}] and [${b}]`,
    (x, y) => engine.planeDot(x!, y!),
    (x, y) =>
      ref.sum(
        ref.binary.mul(x!, y!),
        a.map((_, axis) => axis).filter((axis) => axis > 1),
      ),
    [[a], [b]],
    3,
  );

/** Few numbers, and as many as are reduced once and twice. */
const normRows = [[1], [2, 3], [17], [1031], [71, 73]].map((shape) =>
  row(
    `divideByMaxNorm [${shape}]`,
    one(engine.divideByMaxNorm),
    one64((x) => ref.binary.div(x, ref.maxNorm(x))),
    [isLong(shape) || shape[0] === 71 ? [shape, -0.7, 1] : [shape]],
    isLong(shape) || shape[0] === 71 ? 0 : 1,
  ),
);

const labels = [2, 0, 4];
const targets = ref.randomArray([3, 5], ref.seededRandom(1), { low: 0, high: 1 });
const scalar = (value: number) => ref.array([], [value]);

const layerRows = [
  ...axisRows,
  row(
    'softmax far out',
    one((x) => engine.softmax(x, 1)),
    one64((x) => ref.softmax(x, 1)),
    [[[2, 7], -1000, 1000]],
    0,
  ),
  row(
    'logSoftmax far out',
    one((x) => engine.logSoftmax(x, 1)),
    one64((x) => ref.logSoftmax(x, 1)),
    [[[2, 7], -1000, 1000]],
    0,
  ),
  ...reductionRows,
  ...normRows,
  planeDotRow([2, 3, 5], [2, 3, 5]),
  planeDotRow([4, 3, 2, 3], [1, 3, 2, 3]),
  planeDotRow([1, 2, 1], [1, 2, 1]),
  planeDotRow([3, 2], [1, 2]),
  row(
    'sum over an empty axis',
    one((x) => engine.sum(x, [1])),
    one64((x) => ref.sum(x, [1])),
    [[[3, 0]]],
  ),
  row(
    'sum of many, in parts',
    one((x) => engine.sum(x)),
    one64((x) => ref.sum(x)),
    [[[4999], 0, 1]],
    0,
  ),
  row(
    'batchNorm',
    (x, weight, bias, mean, variance) =>
      engine.batchNorm(x!, { weight: weight!, bias: bias!, mean: mean!, variance: variance! }),
    (x, weight, bias, mean, variance) => ref.batchNorm(x!, mean!, variance!, weight!, bias!),
    [[[2, 3, 5, 2]], [[3], 0.5, 1.5], [[3]], [[3]], [[3], 0.5, 2]],
  ),
  row(
    'batchNorm of [N, C]',
    (x, weight, bias, mean, variance) =>
      engine.batchNorm(x!, { weight: weight!, bias: bias!, mean: mean!, variance: variance! }, 0.1),
    (x, weight, bias, mean, variance) => ref.batchNorm(x!, mean!, variance!, weight!, bias!, 0.1),
    [[[7, 3]], [[3], 0.5, 1.5], [[3]], [[3]], [[3], 0.5, 2]],
  ),
  row(
    'batchNormTraining',
    (x, weight, bias) => engine.batchNormTraining(x!, weight!, bias!).output,
    (x, weight, bias) => ref.batchNormTraining(x!, weight!, bias!).output,
    [[[2, 3, 5, 2]], [[3], 0.5, 1.5], [[3]]],
  ),
  row(
    'batchNormTraining, mean',
    one(
      (x) => engine.batchNormTraining(x, engine.full(x.device, [3], 1), engine.full(x.device, [3], 0)).mean,
    ),
    one64((x) => ref.batchNormTraining(x, ref.filled([3], 1), ref.filled([3], 0)).mean),
    [[[2, 3, 5, 2]]],
  ),
  row(
    'batchNormTraining, variance',
    one(
      (x) =>
        engine.batchNormTraining(x, engine.full(x.device, [3], 1), engine.full(x.device, [3], 0)).variance,
    ),
    one64((x) => ref.batchNormTraining(x, ref.filled([3], 1), ref.filled([3], 0)).variance),
    [[[2, 3, 5, 2]]],
  ),
  row(
    'layerNorm',
    (x, w, b) => engine.layerNorm(x!, w!, b!),
    (x, w, b) => ref.layerNorm(x!, w!, b!),
    [[[2, 3, 7]], [[7]], [[7]]],
  ),
  row(
    'layerNorm of lines without variance',
    (x, w, b) => add(engine.layerNorm(x!, w!, b!, 1), mul(x!, w!)),
    (x, w, b) => ref.binary.add(ref.layerNorm(x!, w!, b!, 1), ref.binary.mul(x!, w!)),
    [[[2, 5], 0.5, 0.5], [[5]], [[5]]],
    1,
  ),
  row(
    'batchNormTraining of one image',
    (x, weight, bias) => engine.batchNormTraining(x!, weight!, bias!, 0.5).output,
    (x, weight, bias) => ref.batchNormTraining(x!, weight!, bias!, 0.5).output,
    [[[1, 3, 5, 2]], [[3], 0.5, 1.5], [[3]]],
  ),
  row(
    'batchNorm of an empty batch',
    (x, weight, bias, mean, variance) =>
      engine.batchNorm(x!, { weight: weight!, bias: bias!, mean: mean!, variance: variance! }),
    (x, weight, bias, mean, variance) => ref.batchNorm(x!, mean!, variance!, weight!, bias!),
    [[[0, 3, 5, 2]], [[3], 0.5, 1.5], [[3]], [[3]], [[3], 0.5, 2]],
    1,
  ),
  row(
    'layerNorm of an empty batch',
    (x, w, b) => engine.layerNorm(x!, w!, b!),
    (x, w, b) => ref.layerNorm(x!, w!, b!),
    [[[0, 7]], [[7]], [[7]]],
    1,
  ),
  ...[4, 5].flatMap((classes) => [
    row(
      `softmax of no rows of ${classes}`,
      one((x) => engine.softmax(x, 1)),
      one64((x) => ref.softmax(x, 1)),
      [[[0, classes]]],
      1,
    ),
    row(
      `logSoftmax of ${classes} rows of nothing`,
      one((x) => engine.logSoftmax(x, 1)),
      one64((x) => x),
      [[[classes, 0]]],
      1,
    ),
  ]),
  row(
    'globalAvgPool of an empty batch',
    one(engine.globalAvgPool),
    one64((x) => ref.mean(x, [2, 3])),
    [[[0, 3, 5, 7]]],
    1,
  ),
  row(
    'crossEntropy',
    one((x) => engine.crossEntropy(x, engine.oneHot(x, labels, 5))),
    one64((x) => scalar(ref.crossEntropy(x, labels))),
    [[[3, 5], -3, 3]],
  ),
  row(
    'binaryCrossEntropy',
    one((x) => engine.binaryCrossEntropy(x, upload(x.device, targets))),
    one64((x) => scalar(ref.binaryCrossEntropyWithLogits(x, targets.data))),
    [[[3, 5], -3, 3]],
  ),
  // A last layer that starts at zero gives logits of exactly 0.
  row(
    'binaryCrossEntropy of logits at 0',
    one((x) => engine.binaryCrossEntropy(x, upload(x.device, targets))),
    one64((x) => scalar(ref.binaryCrossEntropyWithLogits(x, targets.data))),
    [[[3, 5], 0, 0]],
  ),
];

// ---- Layout and resampling

const picks = [4, 0, 4, 2];
const gatherRow = (axis: number) =>
  row(
    `gather ${axis}`,
    one((x) => engine.gather(x, indexTensor(x.device, picks, [4]), axis)),
    one64((x) => ref.gather(x, ref.array([4], picks), axis)),
    [[[5, 5, 5]]],
  );
const sliceRow = (
  shape: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps?: readonly number[],
) =>
  row(
    `slice [${shape}] from [${starts}] to [${ends}]${steps ? ` by [${steps}]` : ''}`,
    one((x) => engine.slice(x, starts, ends, steps)),
    one64((x) => ref.slice(x, starts, ends, steps)),
    [[shape]],
  );
/** A window that reaches `beyond` elements past each end of an axis. */
const windowRow = (
  shape: readonly number[],
  beyond: readonly number[],
  steps: readonly number[],
  counts: readonly number[],
) => {
  const starts = beyond.map((n, i) => (steps[i]! > 0 ? -n : shape[i]! - 1 + n));
  const ends = starts.map((start, i) => {
    const end = start + beyond[i]! + steps[i]! * counts[i]!;
    return end < 0 ? Number.NEGATIVE_INFINITY : end;
  });
  return row(
    `stridedWindow of [${shape}] from [${starts}] by [${steps}], [${counts}]`,
    one((x) => engine.stridedWindow(x, starts, steps, counts)),
    one64((x) =>
      ref.slice(
        ref.pad(x, beyond, beyond),
        starts.map((start, i) => start + beyond[i]!),
        ends,
        steps,
      ),
    ),
    [[shape]],
  );
};
const upsampleRow = (from: readonly number[], to: readonly [number, number], alignCorners: boolean) =>
  row(
    `upsample [${from}] to [${to}]${alignCorners ? ', corners aligned' : ''}`,
    one((x) => engine.upsample(x, to, { alignCorners })),
    one64((x) => ref.resizeBilinear(x, to, alignCorners)),
    [[from]],
  );

const layoutRows = [
  row(
    'reshape',
    one((x) => engine.reshape(x, [5, -1])),
    one64((x) => ref.reshape(x, [5, 6])),
    [[[2, 3, 5]]],
  ),
  row(
    'reshape, empty',
    one((x) => engine.reshape(x, [3, 0, 2])),
    one64((x) => ref.reshape(x, [3, 0, 2])),
    [[[0, 7]]],
    1,
  ),
  row(
    'flatten',
    one((x) => engine.flatten(x)),
    one64((x) => ref.reshape(x, [2, 15])),
    [[[2, 3, 5]]],
  ),
  ...[
    [0, 1, 2],
    [2, 0, 1],
    [1, 0, 2],
    [2, 1, 0],
  ].map((order) =>
    row(
      `transpose [${order}]`,
      one((x) => engine.transpose(x, order)),
      one64((x) => ref.transpose(x, order)),
      [[[2, 3, 5]]],
    ),
  ),
  row(
    'transpose of eight axes',
    one((x) => engine.transpose(x, [7, 6, 5, 4, 3, 2, 1, 0])),
    one64((x) => ref.transpose(x, [7, 6, 5, 4, 3, 2, 1, 0])),
    [[[2, 1, 2, 3, 2, 2, 1, 2]]],
    1,
  ),
  row(
    'transpose of a scalar',
    one((x) => engine.transpose(x, [])),
    one64((x) => x),
    [[[]]],
  ),
  sliceRow([5, 7], [1, 2], [4, 6]),
  sliceRow([5, 7], [0, -5], [-1, 100], [2, 3]),
  sliceRow([5, 7], [4, 6], [Number.NEGATIVE_INFINITY, 0], [-1, -2]),
  sliceRow([5, 7], [-1, 5], [-100, 1], [-3, -1]),
  sliceRow([5, 7], [3, 0], [1, 7]),
  sliceRow([1, 1], [0, 0], [1, 1], [-1, 1]),
  windowRow([2, 3, 5, 7], [0, 2, 0, 0], [1, 1, 2, 2], [2, 7, 3, 4]),
  windowRow([3, 5], [1, 2], [1, 1], [3, 5]),
  windowRow([4, 5], [3, 0], [2, -1], [5, 5]),
  windowRow([1, 4], [2, 3], [-1, 3], [5, 3]),
  // Runs of whole vec4: at a whole offset, across lines, at an offset or of a length that is not whole, turned round.
  sliceRow([5, 12], [1, 4], [4, 12]),
  sliceRow([2, 5, 2, 2], [0, 1, 0, 0], [2, 4, 2, 2]),
  sliceRow([3, 12], [0, 2], [3, 10]),
  sliceRow([3, 7], [0, 0], [3, 4]),
  sliceRow([5, 4], [4, 0], [-100, 4], [-2, 1]),
  row(
    'transpose of rows of whole vec4',
    one((x) => engine.transpose(x, [2, 1, 0, 3])),
    one64((x) => ref.transpose(x, [2, 1, 0, 3])),
    [[[2, 3, 5, 4]]],
  ),
  row(
    'pad by whole vec4',
    one((x) => engine.pad(x, [1, 4], [2, -4], 0.5)),
    one64((x) => ref.pad(ref.slice(x, [0, 0], [3, 8]), [1, 4], [2, 0], 'constant', 0.5)),
    [[[3, 12]]],
  ),
  row(
    'pad of a range of lines',
    one((x) => engine.pad(x, [0, 1, 0], [0, 2, 0], 0.5)),
    one64((x) => ref.pad(x, [0, 1, 0], [0, 2, 0], 'constant', 0.5)),
    [[[2, 3, 4]]],
  ),
  row(
    'narrow',
    one((x) => engine.narrow(x, -1, 2, 3)),
    one64((x) => ref.slice(x, [0, 2], [3, 5])),
    [[[3, 7]]],
  ),
  row(
    'pad',
    one((x) => engine.pad(x, [1, 0], [2, 3], 0.5)),
    one64((x) => ref.pad(x, [1, 0], [2, 3], 'constant', 0.5)),
    [[[3, 5]]],
  ),
  row(
    'pad, cropping',
    one((x) => engine.pad(x, [-1, 2], [1, -3])),
    one64((x) => ref.pad(ref.slice(x, [1, 0], [3, 2]), [0, 2], [1, 0])),
    [[[3, 5]]],
  ),
  row(
    'pad, shifting one element out',
    one((x) => engine.pad(x, [1, 0], [-1, 0], 2)),
    one64(() => ref.filled([1, 3], 2)),
    [[[1, 3]]],
    1,
  ),
  row(
    'pad of nothing',
    one((x) => engine.pad(x, [1, 0], [1, 0], 3)),
    one64((x) => ref.pad(x, [1, 0], [1, 0], 'constant', 3)),
    [[[0, 2]]],
    1,
  ),
  ...[0, 1, -1].map((axis) =>
    row(
      `concat ${axis}`,
      (...xs) => engine.concat(xs, axis),
      (...xs) => ref.concat(xs, axis),
      axis === 0 ? [[[2, 3]], [[1, 3]], [[0, 3]]] : [[[2, 3]], [[2, 1]], [[2, 0]]],
    ),
  ),
  gatherRow(0),
  gatherRow(1),
  gatherRow(-1),
  ...(
    [
      [[], [2, 3]],
      [[3], [2, 3]],
      [
        [2, 1, 3],
        [2, 4, 3],
      ],
      [
        [2, 3],
        [2, 3],
      ],
      [
        [1, 3],
        [0, 3],
      ],
    ] as const
  ).map(([from, to]) =>
    row(
      `broadcastTo [${from}] to [${to}]`,
      one((x) => engine.broadcastTo(x, to)),
      one64((x) => ref.broadcastTo(x, to)),
      [[from]],
    ),
  ),
  ...[false, true].flatMap((align) => [
    upsampleRow([1, 2, 3, 5], [7, 11], align),
    upsampleRow([2, 1, 7, 7], [29, 28], align),
    upsampleRow([1, 1, 9, 7], [4, 3], align),
    upsampleRow([1, 1, 13, 5], [2, 1], align),
    upsampleRow([1, 1, 1, 1], [3, 2], align),
    upsampleRow([1, 2, 4, 1], [4, 1], align),
  ]),
];

const maskRow = row(
  'maskImages',
  (x, u) => engine.maskImages(x!, u!, engine.min(u!, [1, 2, 3]), engine.max(u!, [1, 2, 3])),
  (x, u) => {
    const low = ref.min(u!, [1, 2, 3], true);
    const range = ref.binary.sub(ref.max(u!, [1, 2, 3], true), low);
    return ref.binary.mul(x!, ref.binary.div(ref.binary.sub(u!, low), range));
  },
  [[[1, 3, 5, 7]], [[4, 1, 5, 7]]],
  0,
);

// ---- Compositions: second and third derivatives that pass through every adjoint of convolution and pooling

const square64 = (x: Array64) => ref.binary.mul(x, x);
const square = (x: Tensor) => engine.mul(x, x);

const compositions = [
  ...convolutions
    .filter(({ x }) => x[0] !== 0)
    .map(({ x, w, options = {} }) =>
      row(
        `squares of conv2d of exp, [${x}] by [${w}] ${JSON.stringify(options)}`,
        (a, b) => square(engine.conv2d(exp(a!), engine.tanh(b!), options)),
        (a, b) => square64(ref.conv2d(ref.unary.exp(a!), ref.unary.tanh(b!), options)),
        [
          [x, -0.5, 0.5],
          [w, -0.5, 0.5],
        ],
      ),
    ),
  // Some sixty values lie further apart than the stencils reach.
  row(
    'squares of maxPool2d of exp',
    one((x) => square(engine.maxPool2d(exp(x), { kernel: [3, 2], stride: [2, 2], padding: [1, 0, 1, 0] }))),
    one64((x) =>
      square64(ref.maxPool2d(ref.unary.exp(x), { kernel: [3, 2], stride: [2, 2], padding: [1, 0, 1, 0] })),
    ),
    [[[1, 2, 5, 6], -2, 2]],
  ),
  row(
    'squares of avgPool2d of exp',
    one((x) => square(engine.avgPool2d(exp(x), { kernel: [3, 2], stride: [2, 1], ceilMode: true }))),
    one64((x) =>
      square64(ref.avgPool2d(ref.unary.exp(x), { kernel: [3, 2], stride: [2, 1], ceilMode: true })),
    ),
    [[[1, 2, 6, 5]]],
  ),
  row(
    'squares of max over an axis of exp',
    one((x) => square(engine.max(exp(x), [1]))),
    one64((x) => square64(ref.max(ref.unary.exp(x), [1]))),
    [[[3, 7, 2], -2, 2]],
  ),
];

const rows = [
  ...convRows,
  ...followed,
  ...matmulRows,
  ...binaryRows,
  longLines,
  ...unaryRows,
  ...comparisons,
  ...poolRows,
  ...layerRows,
  ...layoutRows,
  maskRow,
  ...compositions,
];

for (const entry of rows) {
  test(`operations: ${entry.name}`, async (t) => {
    await checkRow(t, await device(), entry);
  });
}

test('operations: each refuses tensors of two devices, whichever of them is elsewhere', async (t) => {
  const [on, dry] = [await device(), engine.dryDevice()];
  let tried = 0;
  for (const { name, engine: operation, inputs } of rows) {
    for (const elsewhere of inputs.length > 1 ? inputs.keys() : []) {
      const mixed = () =>
        scope(() =>
          operation(...inputs.map(([shape], i) => engine.full(i === elsewhere ? dry : on, shape, 1))),
        );
      try {
        mixed();
        t.fail(`${name} took input ${elsewhere} of another device`);
      } catch (error) {
        if (!(error instanceof engine.MixedDevicesError)) t.fail(`${name}: ${error}`);
      }
      tried++;
    }
  }
  t.ok(tried > 200, `${tried} times refused`);
});

// ---- What the table cannot say

const gradient = async (on: Device, f: (x: Tensor) => Tensor, x: readonly number[], shape = [x.length]) => {
  const g = scope(() => engine.grad((y) => sum(f(y)))(tensor(on, x, shape)));
  const data = [...(await g.data())];
  g.dispose();
  return data;
};

test('operations: of equals the first takes the derivative', async (t) => {
  const on = await device();
  t.deepEqual(await gradient(on, (x) => engine.max(x), [1, 2, 2]), [0, 1, 0], 'max');
  t.deepEqual(await gradient(on, (x) => engine.min(x), [2, 1, 1]), [0, 1, 0], 'min');
  const two = (x: Tensor) => engine.full(x.device, [1], 2);
  t.deepEqual(await gradient(on, (x) => engine.maximum(x, two(x)), [1, 2, 3]), [0, 1, 1], 'maximum, first');
  t.deepEqual(await gradient(on, (x) => engine.maximum(two(x), x), [1, 2, 3]), [0, 0, 1], 'maximum, second');
  t.deepEqual(await gradient(on, (x) => engine.minimum(x, two(x)), [1, 2, 3]), [1, 1, 0], 'minimum, first');
  const pool = (x: Tensor) => engine.maxPool2d(x, { kernel: [2, 2] });
  t.deepEqual(await gradient(on, pool, [3, 5, 5, 5], [1, 1, 2, 2]), [0, 1, 0, 0], 'maxPool2d');
});

test('operations: derivatives at the kinks', async (t) => {
  const on = await device();
  for (const [f, expected] of [
    [engine.relu, 0],
    [engine.abs, 0],
    [engine.relu6, 0],
    [(x: Tensor) => engine.leakyRelu(x, 0.25), 0.25],
    [(x: Tensor) => engine.powScalar(x, 2), 0],
    [(x: Tensor) => engine.powScalar(x, 4), 0],
  ] as const) {
    t.deepEqual(await gradient(on, f, [0]), [expected], String(f));
  }
});

test('operations: erf to 6e-7, and as exactly near 0', async (t) => {
  const on = await device();
  const n = 4001;
  for (const [reach, unit] of [
    [6, 1],
    [1e-4, 1e-4],
  ] as const) {
    const xs = ref.array(
      [n],
      Float32Array.from({ length: n }, (_, i) => ((2 * i) / (n - 1) - 1) * reach),
    );
    const y = scope(() => engine.erf(upload(on, xs)));
    const found = await y.data();
    const error = Math.max(...ref.unary.erf(xs).data.map((expected, i) => Math.abs(found[i]! - expected)));
    t.ok(error <= 6e-7 * unit, `up to ${reach}: error ${error.toExponential(1)}`);
    t.ok(
      found.every((value) => Math.abs(value) <= 1),
      `up to ${reach}: none beyond 1`,
    );
    y.dispose();
  }
});

test('operations: argmax', async (t) => {
  const on = await device();
  const x = ref.array([2, 3, 2], [1, 4, 3, 4, 3, 2, -1, -9, -2, -7, -1, -8]);
  for (const axis of [0, 1, 2, -1]) {
    const found = scope(() => engine.argmax(upload(on, x), axis));
    const expected = ref.argmax(x, axis);
    t.deepEqual(found.shape, expected.shape);
    t.deepEqual([...(await found.indices())], [...expected.data], `axis ${axis}`);
    found.dispose();
  }
});

test('operations: a norm of 0 or of infinity divides as a normal number would', async (t) => {
  const on = await device();
  const [tiny, inf] = [2 ** -130, Number.POSITIVE_INFINITY];
  for (const [numbers, expected] of [
    [[0, 0, 0], (y: number[]) => y.every((value) => value === 0)],
    [[tiny, 0, -tiny], (y: number[]) => y[1] === 0 && y.every((value) => Math.abs(value) <= 2 ** -4)],
    [[1, inf, 0], (y: number[]) => y[1] === inf && y[2] === 0 && Math.abs(y[0]!) < 2 ** -120],
  ] as const) {
    const x = tensor(on, numbers, [3]);
    const one = await values32(scope(() => engine.divideByMaxNorm(x)));
    t.ok(expected(one), `[${numbers}]: ${one}`);
    const recorded = await values32(scope(() => engine.vjp((y) => engine.divideByMaxNorm(y), [x]).value));
    t.ok(expected(recorded), `[${numbers}], recorded: ${recorded}`);
    x.dispose();
  }
});

test('operations: select and its derivative', async (t) => {
  const on = await device();
  const select = (x: Tensor) => engine.select(x, indexTensor(x.device, [2, 0], [2]), 1);
  const chosen = scope(() => select(tensor(on, [1, 2, 3, 4, 5, 6], [2, 3])));
  t.deepEqual([...(await chosen.data())], [3, 4]);
  chosen.dispose();
  t.deepEqual(await gradient(on, select, [1, 2, 3, 4, 5, 6], [2, 3]), [0, 0, 1, 1, 0, 0]);
});

test('operations: stopGradient', async (t) => {
  const on = await device();
  t.deepEqual(await gradient(on, (x) => mul(x, engine.stopGradient(x)), [3, -2]), [3, -2]);
});

test('operations: derivatives of several orders, of each row', async (t) => {
  const on = await device();
  const at = [-1, 0.5, 2];
  const x = tensor(on, at, [3]);
  const f = (s: Tensor) => mul(engine.exp(engine.scale(s, 0.5)), mul(s, s)); // e^(t/2) t^2
  const found = scope(() => engine.derivatives(f, x, 3));
  const factors = [
    [0, 0, 1],
    [0, 2, 1 / 2],
    [2, 2, 1 / 4],
    [3, 1.5, 1 / 8],
  ] as const;
  for (const [order, [a, b, c]] of factors.entries()) {
    const wanted = ref.array(
      [3],
      at.map((s) => Math.exp(s / 2) * (a + b * s + c * s * s)),
    );
    await close(t, found[order]!, wanted, 1e-6, `order ${order}`);
  }
  const constant = scope(() => engine.derivatives(() => engine.full(on, [3], 2), x, 2));
  t.deepEqual(await Promise.all(constant.map((d) => d.data().then((v) => [...v]))), [
    [2, 2, 2],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  t.throws(
    () => scope(() => engine.derivatives((s) => sum(s), x, 1)),
    (error) => error instanceof engine.ShapeError && /returned \[\] for numbers \[3\]/.test(error.message),
  );
  for (const made of [x, ...found, ...constant]) made.dispose();
});

test('operations: a mask without a range gives zeros', async (t) => {
  const on = await device();
  const y = scope(() => {
    const flat = engine.full(on, [1], 0.5);
    return engine.maskImages(
      engine.full(on, [1, 2, 1, 2], 3),
      engine.full(on, [1, 1, 1, 2], 0.5),
      flat,
      flat,
    );
  });
  t.deepEqual([...(await y.data())], [0, 0, 0, 0]);
  y.dispose();
});

test('operations: more elements than one dimension of workgroups covers', async (t) => {
  const on = await device();
  // 65,535 workgroups of 64 threads are 4,194,240; the launch goes on in a second dimension there.
  const [rows, columns] = [2049, 2053];
  const left = Float32Array.from({ length: rows }, (_, i) => i);
  const right = Float32Array.from({ length: columns }, (_, i) => i / 4096);
  const y = scope(() => add(tensor(on, left, [rows, 1]), tensor(on, right, [columns])));
  const data = await y.data();
  t.equal(data.length, rows * columns);
  t.equal(
    data.findIndex((value, i) => value !== Math.fround(left[Math.floor(i / columns)]! + right[i % columns]!)),
    -1,
    'every element is right',
  );
  y.dispose();
});

// ---- NaN, infinity and the borders of domains

const values32 = async (x: Tensor) => {
  const data = [...(x.type === 'u32' ? await x.indices() : await x.data())];
  x.dispose();
  return data;
};

test('operations: NaN in, NaN out', async (t) => {
  const on = await device();
  const unaries: ((x: Tensor) => Tensor)[] = [
    engine.neg,
    engine.exp,
    engine.log,
    engine.sqrt,
    engine.abs,
    engine.tanh,
    engine.sigmoid,
    engine.step,
    engine.sign,
    engine.softplus,
    engine.relu,
    engine.reciprocal,
    engine.erf,
    engine.gelu,
    engine.silu,
    engine.relu6,
    engine.hardSigmoid,
    engine.hardSwish,
    (x) => engine.leakyRelu(x, 0.1),
    (x) => engine.clamp(x, -1, 1),
    (x) => engine.affine(x, 2, 1),
    ...[-1, 0.5, 2, 3, 4].map((k) => (x: Tensor) => engine.powScalar(x, k)),
  ];
  for (const f of unaries) {
    const y = await values32(scope(() => f(tensor(on, [1, Number.NaN, 0.5], [3]))));
    t.deepEqual(y.map(Number.isNaN), [false, true, false], `${f.name || f}: ${y}`);
  }
  for (const f of [engine.add, engine.mul, engine.div, engine.maximum, engine.minimum, engine.pow]) {
    for (const [a, b] of [
      [[3], [1]],
      [[3], [1, 3]],
    ] as const) {
      const ones = (shape: readonly number[]) => engine.full(on, shape, 1);
      const x = () => tensor(on, [1, Number.NaN, 2], a);
      const first = await values32(scope(() => f(x(), ones(b))));
      const second = await values32(scope(() => f(ones(b), x())));
      t.deepEqual(first.map(Number.isNaN), [false, true, false], `first of [${a}] and [${b}]: ${first}`);
      t.deepEqual(second.map(Number.isNaN), [false, true, false], `second of [${b}] and [${a}]: ${second}`);
    }
  }
});

/** NaN with its sign bit clear, which JavaScript writes, and set, which processors make. */
const nans = [0x7fc00000, 0xffc00000].map((bits) => new Float32Array(Uint32Array.of(bits).buffer)[0]!);

test('operations: NaN wins wherever it stands', async (t) => {
  const on = await device();
  const square = (x: Tensor) => engine.reshape(x, [1, 1, 2, 2]);
  const choices: [string, (x: Tensor) => Tensor][] = [
    ['max', (x) => engine.max(x)],
    ['min', (x) => engine.min(x)],
    ['max over two axes', (x) => engine.max(square(x), [2, 3])],
    ['maxPool2d', (x) => engine.maxPool2d(square(x), { kernel: [2, 2] })],
    ['maxPool2d by index', (x) => engine.maxPool2d(square(x), { kernel: [2, 2], stride: [1, 5] })],
    ['sum', (x) => engine.sum(x)],
    ['avgPool2d', (x) => engine.avgPool2d(square(x), { kernel: [2, 2] })],
    ['divideByMaxNorm', engine.divideByMaxNorm],
    ['divideByMaxNorm of many', (x) => engine.divideByMaxNorm(engine.broadcastTo(x, [500, 4]))],
  ];
  for (const at of [0, 1, 3]) {
    for (const [i, nan] of nans.entries()) {
      const numbers = Float32Array.of(4, -1, 3, 2);
      numbers.set([nan], at);
      for (const [name, f] of choices) {
        const y = await values32(scope(() => f(tensor(on, numbers, [4]))));
        t.ok(y.every(Number.isNaN), `${name}, NaN ${i} at ${at}: ${y}`);
      }
      for (const f of [engine.softmax, engine.logSoftmax]) {
        for (const n of [4, 3]) {
          const y = await values32(scope(() => f(tensor(on, numbers.slice(4 - n), [n]), 0)));
          const expected = at >= 4 - n;
          t.ok(
            y.every((value) => Number.isNaN(value) === expected),
            `${f.name} of ${n}, NaN ${i} at ${at}: ${y}`,
          );
        }
      }
      const index = await values32(scope(() => engine.argmax(tensor(on, numbers, [4]), 0)));
      t.deepEqual(index, [at], `argmax, NaN ${i} at ${at}`);
    }
  }
});

test('operations: an activation in a convolution hides neither NaN nor infinity', async (t) => {
  const on = await device();
  const without: engine.Variant[][] = [[], ['pointwise', 'depthwise', 'winograd', 'direct'], ['tiled']];
  for (const variants of without) {
    const other = { ...on, profile: { ...on.profile, without: new Set(variants) } };
    for (const { x, w, options = {} } of convolutions.filter(({ x }) => x[0] !== 0)) {
      for (const activation of ['relu', 'relu6'] as const) {
        const run = (value: number) =>
          scope(() => {
            const pixels = ref.filled(x, 1).data;
            pixels.set([value], Math.floor(pixels.length / 2));
            const input = tensor(other, pixels, x);
            const weight = tensor(other, ref.filled(w, 1).data, w);
            const bias = tensor(other, new Float32Array(w[0]!), [w[0]!]);
            const fused = engine.conv2d(input, weight, options, { bias, activation });
            const sums = engine.conv2d(input, weight, options);
            return [fused, activation === 'relu' ? engine.relu(sums) : engine.relu6(sums)] as const;
          });
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
          const [fused, apart] = await Promise.all(run(value).map(values32));
          const about = `${activation} of ${value}, [${x}] by [${w}], without ${variants}`;
          t.equal(ref.relativeError(fused!, apart!) < FORWARD, true, about);
        }
      }
    }
  }
});

test('operations: a maximum of infinities, and of numbers of either sign', async (t) => {
  const on = await device();
  const row = [Number.NEGATIVE_INFINITY, -3e38, -1e-30, 0, 1e-30, 3e38, Number.POSITIVE_INFINITY];
  const pairs = row.slice(1).map((high, i) => [row[i]!, high] as const);
  for (const reversed of [false, true]) {
    const numbers = pairs.flatMap(([low, high]) => (reversed ? [high, low] : [low, high]));
    const x = () => tensor(on, numbers, [1, pairs.length, 1, 2]);
    const expected = pairs.map(([, high]) => Math.fround(high));
    for (const stride of [1, 5]) {
      const y = await values32(scope(() => engine.maxPool2d(x(), { kernel: [1, 2], stride: [1, stride] })));
      t.deepEqual(y, expected, `maxPool2d, stride ${stride}`);
    }
    t.deepEqual(await values32(scope(() => engine.reshape(engine.max(x(), [3]), [-1]))), expected, 'max');
  }
});

test('operations: at the borders of their domains', async (t) => {
  const on = await device();
  const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
  const rows: [string, (x: Tensor) => Tensor, number[], number[]][] = [
    ['log', engine.log, [0, -1, 1, inf], [-inf, nan, 0, inf]],
    ['sqrt', engine.sqrt, [0, -1, 4, inf], [0, nan, 2, inf]],
    ['reciprocal', engine.reciprocal, [0, inf, -2], [inf, 0, -0.5]],
    ['exp', engine.exp, [-inf, -1000, 1000, inf], [0, 0, inf, inf]],
    ['softplus', engine.softplus, [-1e4, 1e4], [0, 1e4]],
    ['silu', engine.silu, [-1e4, 1e4], [0, 1e4]],
    ['gelu', engine.gelu, [-1e4, 1e4], [0, 1e4]],
    ['powScalar 0.5', (x) => engine.powScalar(x, 0.5), [0, -1, 4], [0, nan, 2]],
    ['powScalar -1', (x) => engine.powScalar(x, -1), [0, -2], [inf, -0.5]],
    ['powScalar -2', (x) => engine.powScalar(x, -2), [0, -2], [inf, 0.25]],
    ['powScalar -0.5', (x) => engine.powScalar(x, -0.5), [0, 4], [inf, 0.5]],
    ['powScalar 5', (x) => engine.powScalar(x, 5), [0, -2], [0, -32]],
    ['clamp to nothing', (x) => engine.clamp(x, 2, 1), [0, 3], [1, 1]],
  ];
  for (const [name, f, x, expected] of rows) {
    const y = await values32(scope(() => f(tensor(on, x, [x.length]))));
    t.ok(
      ref.relativeError(
        y.map((v) => v + 0),
        expected.map((v) => v + 0),
      ) < 1e-5,
      `${name} of ${x}: ${y}`,
    );
  }
  for (const numbers of [
    [1e4, 9999, -1e4],
    [1e4, 9999, -1e4, 0],
  ]) {
    const [first, second, third] = await values32(
      scope(() => engine.logSoftmax(tensor(on, numbers, [numbers.length]), 0)),
    );
    const error = ref.relativeError([first!, second!], [-0.31326168751822286, -1.3132616875182228]);
    t.ok(error < 1e-6 && third === Math.fround(-20000.31326), `logSoftmax keeps differences: ${error}`);
  }
  const bases = [0, 0, 0, -2, -2, -2, -2, 2, 2];
  const exponents = [2, 0, -1, 2, 3, -1, 0.5, 0, -2];
  const y = await values32(scope(() => engine.pow(tensor(on, bases, [9]), tensor(on, exponents, [9]))));
  t.ok(ref.relativeError(y, [0, 1, inf, 4, -8, -0.5, nan, 1, 0.25]) < 1e-5, `pow: ${y}`);
});

test('operations: derivatives at the borders', async (t) => {
  const on = await device();
  const inf = Number.POSITIVE_INFINITY;
  const rows: [string, (x: Tensor) => Tensor, number[], number[]][] = [
    ['sqrt', engine.sqrt, [0, 4], [inf, 0.25]],
    ['log', engine.log, [0, 4], [inf, 0.25]],
    ['powScalar 0.5', (x) => engine.powScalar(x, 0.5), [0, 4], [inf, 0.25]],
    ['powScalar 1.5', (x) => engine.powScalar(x, 1.5), [0, 4], [0, 3]],
    ['softplus', engine.softplus, [-1e4, 0, 1e4], [0, 0.5, 1]],
    ['sigmoid', engine.sigmoid, [-1e4, 0, 1e4], [0, 0.25, 0]],
    ['tanh', engine.tanh, [-1e4, 0, 1e4], [0, 1, 0]],
    ['gelu', engine.gelu, [-1e4, 0, 1e4], [0, 0.5, 1]],
    ['silu', engine.silu, [-1e4, 0, 1e4], [0, 0.5, 1]],
    ['hardSwish', engine.hardSwish, [-1e4, 0, 1e4], [0, 0.5, 1]],
    ['sign', engine.sign, [-1, 0, 3], [0, 0, 0]],
    ['softmax', (x) => engine.mul(x, engine.softmax(x, 0)), [1e4, -1e4, 0], [1, 0, 0]],
    ['logSoftmax', (x) => engine.narrow(engine.logSoftmax(x, 0), 0, 0, 1), [-1e4, 1e4, 0], [1, -1, 0]],
    // Where squares of the divisor leave the range of f32.
    ['div by little', (x) => engine.div(engine.full(x.device, [], 1e-25), x), [1e-22], [-1e19]],
    ['div by much', (x) => engine.div(engine.full(x.device, [], 1e30), x), [1e25], [-1e-20]],
  ];
  for (const [name, f, x, expected] of rows) {
    const found = await gradient(on, f, x);
    t.ok(
      ref.relativeError(
        found.map((v) => v + 0),
        expected,
      ) < 1e-4,
      `${name} at ${x}: ${found}`,
    );
  }
  const both = async (base: number[], exponent: number[]) => {
    const { gradients } = scope(() =>
      engine.valueAndGrad(
        (a, b) => sum(engine.pow(a, b)),
        [tensor(on, base, [base.length]), tensor(on, exponent, [base.length])],
      ),
    );
    return Promise.all(gradients.map(values32));
  };
  const [base, exponent] = await both([0, 0, 0, -2, -2, 2], [0, 1, 2, 2, 3, 0]);
  t.deepEqual(base, [0, 1, 0, -4, 12, 0], 'pow in its base');
  t.deepEqual(exponent!.slice(0, 3), [0, 0, 0], 'pow in its exponent at base 0');
  t.ok(Math.abs(exponent![5]! - Math.LN2) < 1e-5, 'pow in its exponent at 0');
});

test('operations: batch normalisation of one number a channel', async (t) => {
  const on = await device();
  const norm = (x: Tensor) =>
    engine.batchNormTraining(x, tensor(on, [2, 3], [2]), tensor(on, [0.5, -1], [2])).output;
  const y = await values32(scope(() => norm(tensor(on, [7, 1e4], [1, 2]))));
  t.deepEqual(y, [0.5, -1], 'the bias');
  t.deepEqual(await gradient(on, norm, [7, 1e4], [1, 2]), [0, 0], 'without a slope');
});

test('operations: higher derivatives of powers at 0', async (t) => {
  const on = await device();
  for (const k of [2, 3, 4, 5]) {
    let f = (x: Tensor) => sum(engine.powScalar(x, k));
    let expected = 1;
    for (let order = 1; order <= k + 1; order++) {
      const of = f;
      f = (x) => sum(engine.grad(of)(x));
      expected *= k - order + 1;
      const [found] = await values32(scope(() => f(tensor(on, [0], [1]))));
      t.equal(found, order === k ? expected : 0, `derivative ${order} of x^${k}`);
    }
  }
});
