// Long sums, windows and rows: every operation where a thread that did its work alone would go round its loops more than
// 65,535 times, which Mesa's software drivers cut short in silence; and how exact long sums are. On both software adapters.

import test, { type Test } from 'tape';
import * as engine from '../../engine/index.ts';
import {
  closeDevice,
  type Device,
  indexTensor,
  mul,
  NoDeviceError,
  openDevice,
  scope,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import type { Array64 } from '../reference/index.ts';
import * as ref from '../reference/index.ts';

const adapters = ['gles', 'swiftshader'];

/** Sums of a hundred thousand terms by blocks and parts, functions of them, and derivatives along a direction. */
const FORWARD = 1e-5;
const FIRST = 1e-4;

interface Row {
  readonly name: string;
  readonly engine: (...xs: Tensor[]) => Tensor;
  readonly reference: (...xs: Array64[]) => Array64;
  readonly inputs: readonly (readonly number[])[];
  /** Which inputs the derivative is checked in; all when left out, none where kinks are too close together. */
  readonly varied?: readonly number[];
}

const many = 70_001;
const transposed = (x: Array64) => ref.transpose(x, [1, 0]);
const column = (n: number, f: (i: number) => number) => Array.from({ length: n }, (_, i) => f(i));
const picks = column(many, (i) => (i * 7) % 3);

/** The normal equation of batch normalisation of [N, C, H, W] as the reference has it, weight 1 and bias 0. */
const channelNorm = {
  engine: (x: Tensor) => {
    const [ones, zeros] = [1, 0].map((value) => engine.full(x.device, [x.shape[1]!], value));
    return engine.batchNormTraining(x, ones!, zeros!).output;
  },
  reference: (x: Array64) =>
    ref.batchNormTraining(x, ref.filled([x.shape[1]!], 1), ref.filled([x.shape[1]!], 0)).output,
};

const pool = (
  kind: 'max' | 'avg',
  shape: readonly number[],
  options: engine.PoolOptions,
  varied = [0],
): Row => ({
  name: `${kind}Pool2d of [${shape}] by [${options.kernel}]`,
  engine: (x) => (kind === 'max' ? engine.maxPool2d : engine.avgPool2d)(x!, options),
  reference: (x) => (kind === 'max' ? ref.maxPool2d(x!, options) : ref.avgPool2d(x!, options)),
  inputs: [shape],
  varied,
});

const product = (a: readonly number[], b: readonly number[], ta: boolean, tb: boolean): Row => ({
  name: `matmul [${a}]${ta ? "'" : ''} [${b}]${tb ? "'" : ''}`,
  engine: (x, y) => engine.matmul(x!, y!, ta, tb),
  reference: (x, y) => ref.matmul(ta ? transposed(x!) : x!, tb ? transposed(y!) : y!),
  inputs: [a, b],
});

const convolution = (
  x: readonly number[],
  w: readonly number[],
  options: engine.ConvOptions,
  varied: readonly number[],
): Row => ({
  name: `conv2d of [${x}] by [${w}] ${JSON.stringify(options)}`,
  engine: (a, b) => engine.conv2d(a!, b!, options),
  reference: (a, b) => ref.conv2d(a!, b!, options),
  inputs: [x, w],
  varied,
});

const reductions = [
  ['sum', engine.sum, ref.sum],
  ['mean', engine.mean, ref.mean],
  ['max', engine.max, ref.max],
  ['min', engine.min, ref.min],
  ['maxNorm', engine.maxNorm, ref.maxNorm],
] as const;

const softmaxes = [
  ['softmax', engine.softmax, ref.softmax],
  ['logSoftmax', engine.logSoftmax, ref.logSoftmax],
] as const;

const rows: readonly Row[] = [
  ...reductions.flatMap(([name, run, reference]) =>
    [
      { shape: [many * 4, 2], axes: [0] },
      { shape: [2, many], axes: [1] },
    ].map(
      ({ shape, axes }): Row => ({
        name: `${name} of [${shape}] over [${axes}]`,
        engine: (x) => run(x!, axes),
        reference: (x) => reference(x!, axes),
        inputs: [shape],
        varied: name === 'sum' || name === 'mean' ? [0] : [],
      }),
    ),
  ),
  ...softmaxes.flatMap(([name, run, reference]) =>
    [
      { shape: [2, many], axis: 1 },
      { shape: [2, many + 3], axis: 1 },
      { shape: [many, 2], axis: 0 },
    ].map(
      ({ shape, axis }): Row => ({
        name: `${name} of [${shape}] along ${axis}`,
        engine: (x) => run(x!, axis),
        reference: (x) => reference(x!, axis),
        inputs: [shape],
      }),
    ),
  ),
  ...[32_768, many].map(
    (n): Row => ({
      name: `layerNorm of rows of ${n}`,
      engine: (x, w, b) => engine.layerNorm(x!, w!, b!),
      reference: (x, w, b) => ref.layerNorm(x!, w!, b!),
      inputs: [[2, n], [n], [n]],
    }),
  ),
  ...[
    [1, 2, 200, 200],
    [many, 2],
  ].map(
    (shape): Row => ({
      name: `batchNormTraining of [${shape}]`,
      engine: (x) => channelNorm.engine(x!),
      reference: (x) => channelNorm.reference(x!),
      inputs: [shape],
    }),
  ),
  {
    name: 'planeDot of 600 x 600',
    engine: (a, b) => engine.planeDot(a!, b!),
    reference: (a, b) => ref.sum(ref.binary.mul(a!, b!), [2, 3]),
    inputs: [
      [1, 2, 600, 600],
      [1, 2, 600, 600],
    ],
  },
  // Rows where they lie, tiles of packed factors, and by the definition.
  product([1, many + 3], [5, many + 3], false, true),
  product([1, 300_004], [2, 300_004], false, true),
  product([9, many], [many, 12], false, false),
  product([many, 1], [many, 3], true, false),
  {
    name: 'linear with all that may follow it',
    engine: (x, w, bias, summand) =>
      engine.linear(x!, w!, { bias: bias!, summand: summand!, activation: 'relu' }),
    reference: (x, w, bias, summand) =>
      ref.unary.relu(ref.binary.add(ref.binary.add(ref.matmul(x!, transposed(w!)), bias!), summand!)),
    inputs: [[2, 300_004], [3, 300_004], [3], [2, 3]],
  },
  convolution([1, many, 1, 2], [3, many, 1, 1], {}, [0, 1]),
  convolution([1, 8200, 3, 3], [2, 8200, 3, 3], {}, [0, 1]),
  convolution([1, 8200, 5, 5], [2, 8200, 3, 3], { dilation: [2, 2] }, [0, 1]),
  // By the definition, for which the taps lie too far apart: many channels on either side.
  convolution([1, 40_000, 1, 41], [1, 40_000, 1, 2], { dilation: [1, 40] }, [0, 1]),
  convolution([1, 1, 1, 41], [40_000, 1, 1, 2], { dilation: [1, 40] }, [0]),
  {
    name: 'conv2d by the definition with all that may follow it',
    engine: (x, w, bias, summand) =>
      engine.conv2d(x!, w!, { dilation: [1, 40] }, { bias: bias!, summand: summand!, activation: 'relu6' }),
    reference: (x, w, bias, summand) =>
      ref.unary.relu6(ref.binary.add(ref.conv2d(x!, w!, { dilation: [1, 40] }, bias!), summand!)),
    inputs: [[1, 40_000, 1, 42], [2, 40_000, 1, 2], [2], [1, 2, 1, 2]],
    varied: [],
  },
  // Few weights, each of which a large map has a part in: by the definition, dilated, as a product, in tiles.
  convolution([8, 2, 112, 112], [2, 1, 3, 3], { groups: 2, padding: [1, 1, 1, 1] }, [1]),
  convolution([1, 1, 320, 320], [1, 1, 2, 2], { dilation: [3, 3] }, [1]),
  convolution([1, 1, 40, 2000], [1, 1, 1, 12], { stride: [1, 1] }, [1]),
  convolution([1, 1, 2, many * 4], [1, 1, 1, 2], {}, [1]),
  convolution([1, 1, 300, 300], [1, 1, 290, 290], { stride: [3, 3] }, [0, 1]),
  pool('avg', [1, 2, 300, 300], { kernel: [260, 260], stride: [40, 40] }),
  pool('avg', [1, 1, 1, many], { kernel: [1, many] }),
  pool('avg', [1, 1, 1, 700], { kernel: [1, 300], stride: [1, 1], padding: [0, 20, 0, 150] }),
  pool('max', [1, 2, 300, 300], { kernel: [260, 260], stride: [40, 40] }, []),
  pool('max', [1, 1, many, 1], { kernel: [many, 1] }, []),
  pool('max', [1, 1, 1, 700], { kernel: [1, 300], stride: [1, 1], padding: [0, 20, 0, 150] }),
  {
    name: 'gather by many indices',
    engine: (x) => engine.gather(x!, indexTensor(x!.device, picks, [many]), 0),
    reference: (x) => ref.gather(x!, ref.array([many], picks), 0),
    inputs: [[3, 2]],
  },
  ...[false, true].flatMap((alignCorners) =>
    [
      [1, 2, 1, 1],
      [1, 1, 2, 3],
    ].map(
      (shape): Row => ({
        name: `upsample of [${shape}] to [600, 700]${alignCorners ? ', corners aligned' : ''}`,
        engine: (x) => engine.upsample(x!, [600, 700], { alignCorners }),
        reference: (x) => ref.resizeBilinear(x!, [600, 700], alignCorners),
        inputs: [shape],
      }),
    ),
  ),
];

const inner = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
};

/** What a row gives in float64: its result, and the derivatives of the result's sum by `weights`, each along a direction. */
function wantedOf({ name, reference, inputs: shapes, varied = shapes.map((_, i) => i) }: Row) {
  const next = ref.seededRandom(name.length);
  // Numbers that are not near 0 on the whole, so that a sum cut short is seen.
  const inputs = shapes.map((shape) => ref.randomArray(shape, next, { low: -0.4, high: 1 }));
  const y = reference(...inputs);
  const weights = ref.randomArray(y.shape, next, { low: 0.5, high: 1.5 });
  const derivatives = varied.map((i) => {
    const input = inputs[i]!;
    const direction = ref.randomArray(input.shape, next, { low: 0.2, high: 1 });
    const norm = Math.sqrt(inner(direction.data, direction.data));
    const v = ref.map(direction, (value) => value / norm);
    const along = ref.directionalDerivative(
      (x) => inner(reference(...inputs.map((other, k) => (k === i ? x : other))).data, weights.data),
      input,
      v,
      1,
    );
    return { i, v, along };
  });
  return { inputs, y, weights, derivatives };
}

async function checkRow(t: Test, on: Device, row: Row, wanted: ReturnType<typeof wantedOf>) {
  const upload = ({ data, shape }: Array64) => tensor(on, data, shape);
  const [xs, w] = [wanted.inputs.map(upload), upload(wanted.weights)];
  const y = scope(() => row.engine(...xs));
  const error = ref.relativeError(await y.data(), wanted.y.data);
  t.ok(error <= FORWARD, `${on.kind}, ${row.name}: error ${error.toExponential(1)}`);
  const varied = wanted.derivatives.map(({ i }) => i);
  const gradients = scope(() =>
    varied.length === 0
      ? []
      : engine.valueAndGrad(
          (...free) => {
            const rest = xs.map((x, i) => free[varied.indexOf(i)] ?? x);
            return sum(mul(row.engine(...rest), w));
          },
          varied.map((i) => xs[i]!),
        ).gradients,
  );
  for (const [j, { i, v, along }] of wanted.derivatives.entries()) {
    const g = await gradients[j]!.data();
    const scale = Math.max(Math.abs(along), 0.1 * Math.sqrt(inner(g, g)));
    const off = Math.abs(inner(g, v.data) - along) / scale;
    t.ok(off <= FIRST, `${on.kind}, ${row.name}, derivative in ${i}: error ${off.toExponential(1)}`);
  }
  for (const x of [...xs, y, ...gradients, w]) x.dispose();
}

/** What sums of n numbers, all c, may be: sums of blocks, and of blocks of them. */
const EXACT = 3e-6;

async function checkEqualNumbers(t: Test, on: Device) {
  const n = 250_000;
  const side = 500;
  const c = Math.fround(0.7);
  const filled = (...shape: number[]) => engine.full(on, shape, c);
  const gradientOf = (f: (x: Tensor) => Tensor, x: Tensor) => engine.grad((free) => sum(f(free)))(x);
  const cases: [string, () => Tensor, number][] = [
    ['sum', () => sum(filled(3, n), [1]), n * c],
    ['sum along the first axis', () => sum(filled(n, 3), [0]), n * c],
    ['mean', () => engine.mean(filled(n)), c],
    ['globalAvgPool', () => engine.globalAvgPool(filled(1, 2, side, side)), c],
    ['planeDot', () => engine.planeDot(filled(1, 2, side, side), filled(1, 2, side, side)), n * c * c],
    ['avgPool2d', () => engine.avgPool2d(filled(1, 1, side, side), { kernel: [side, side] }), c],
    ['matmul, rows', () => engine.matmul(filled(1, n), filled(4, n), false, true), n * c * c],
    ['matmul, tiles', () => engine.matmul(filled(8, n), filled(n, 8)), n * c * c],
    ['matmul, by the definition', () => engine.matmul(filled(1, n), filled(n, 1)), n * c * c],
    ['matmul, a long part', () => engine.matmul(filled(8, 8192), filled(8192, 8)), 8192 * c * c],
    ['softmax', () => engine.softmax(filled(2, 20_001), 1), 1 / 20_001],
    ['softmax of whole vec4', () => engine.softmax(filled(2, 60_000), 1), 1 / 60_000],
    ['softmax of a long row', () => engine.softmax(filled(2, n), 1), 1 / n],
    [
      'gather, its gradient',
      () =>
        gradientOf(
          (x) => engine.scale(engine.gather(x, indexTensor(on, new Uint32Array(n), [n]), 0), c),
          filled(1),
        ),
      n * c,
    ],
    [
      'upsample, its gradient',
      () => gradientOf((x) => engine.scale(engine.upsample(x, [side, side]), c), filled(1, 1, 1, 1)),
      n * c,
    ],
    [
      'conv2d, its weight gradient',
      () => gradientOf((w) => engine.conv2d(filled(1, 1, side, side), w), filled(1, 1, 1, 1)),
      n * c,
    ],
    [
      'dilated conv2d, its weight gradient',
      () =>
        gradientOf(
          (w) => engine.conv2d(filled(1, 1, side + 2, side + 2), w, { dilation: [2, 2] }),
          filled(1, 1, 2, 2),
        ),
      n * c,
    ],
  ];
  for (const [name, run, expected] of cases) {
    const y = scope(run);
    const data = await y.data();
    const error = data.reduce((worst, value) => Math.max(worst, Math.abs(value - expected) / expected), 0);
    t.ok(error <= EXACT, `${on.kind}, ${name}: error ${error.toExponential(1)}`);
    y.dispose();
  }
}

async function checkChoices(t: Test, on: Device) {
  const n = many;
  const peaks = [12_345, 12_346, n - 2];
  const numbers = Float32Array.from({ length: n }, (_, i) => (peaks.includes(i) ? 2 : Math.sin(i)));
  for (const shape of [
    [1, n],
    [n, 1],
  ]) {
    const axis = shape.indexOf(n);
    const x = tensor(on, numbers, shape);
    const index = scope(() => engine.argmax(x, axis));
    t.deepEqual([...(await index.indices())], [peaks[0]], `argmax of [${shape}]: the first of equals`);
    const g = scope(() => engine.grad((free) => sum(engine.max(free, [axis])))(x));
    const found = [...(await g.data())].flatMap((value, i) => (value === 0 ? [] : [i, value]));
    t.deepEqual(found, [peaks[0], 1], `max of [${shape}]: so its derivative`);
    for (const made of [x, index, g]) made.dispose();
  }
  const withNaN = numbers.slice();
  withNaN.set([Number.NaN], 50_000);
  withNaN.set([Number.NaN], 60_000);
  const index = scope(() => engine.argmax(tensor(on, withNaN, [n]), 0));
  t.deepEqual([...(await index.indices())], [50_000], 'argmax: the first NaN');
  index.dispose();
  // Of equals in a large window the first row by row, though another part of the window has one further left.
  const plane = new Float32Array(300 * 300);
  const [first, second] = [5 * 300 + 200, 6 * 300 + 3];
  plane[first] = 1;
  plane[second] = 1;
  const g = scope(() =>
    engine.grad((x) => sum(engine.maxPool2d(x, { kernel: [300, 300] })))(tensor(on, plane, [1, 1, 300, 300])),
  );
  const data = await g.data();
  t.deepEqual([data[first], data[second]], [1, 0], 'maxPool2d: the first of equals, row by row');
  g.dispose();
}

test(`long sums: ${adapters.join(', ')}`, async (t) => {
  const devices: Device[] = [];
  for (const adapter of adapters) {
    try {
      devices.push(await openDevice({ adapter }));
    } catch (error) {
      if (!(error instanceof NoDeviceError)) throw error;
      t.skip(`${adapter} cannot be opened here`);
    }
  }
  for (const row of rows) {
    const wanted = wantedOf(row);
    for (const on of devices) await checkRow(t, on, row, wanted);
  }
  for (const on of devices) {
    await checkEqualNumbers(t, on);
    await checkChoices(t, on);
    closeDevice(on);
  }
});
