// How exact results are where a formula taken at its word loses digits or overflows, against float64.

import test from 'tape';
import * as engine from '../../engine/index.ts';
import { type Device, mul, scope, sum, type Tensor, tensor } from '../../engine/index.ts';
import { device } from '../device.ts';
import type { Array64 } from '../reference/index.ts';
import * as ref from '../reference/index.ts';

interface Norm {
  readonly name: string;
  readonly engine: (x: Tensor) => Tensor;
  readonly reference: (x: Array64) => Array64;
  readonly shape: readonly number[];
}

const ones = (n: number) => ref.filled([n], 1);
const zeros = (n: number) => ref.filled([n], 0);
const full = (x: Tensor, n: number, value: number) => engine.full(x.device, [n], value);

const layerNorm = (shape: readonly number[]): Norm => {
  const n = shape.at(-1)!;
  return {
    name: `layerNorm of [${shape}]`,
    engine: (x) => engine.layerNorm(x, full(x, n, 1), full(x, n, 0)),
    reference: (x) => ref.layerNorm(x, ones(n), zeros(n)),
    shape,
  };
};
const batchNorm = (shape: readonly number[]): Norm => {
  const c = shape[1]!;
  return {
    name: `batchNormTraining of [${shape}]`,
    engine: (x) => engine.batchNormTraining(x, full(x, c, 1), full(x, c, 0)).output,
    reference: (x) => ref.batchNormTraining(x, ones(c), zeros(c)).output,
    shape,
  };
};
const planes: Norm = {
  name: 'standardise of planes',
  engine: (x) => engine.standardise(x, 2),
  reference: (x) => ref.instanceNorm(x, ones(3), zeros(3)),
  shape: [2, 3, 4, 5],
};

/** One kernel, operations on long rows, and for channels the same. */
const norms = [
  layerNorm([3, 40]),
  layerNorm([2, 32_768]),
  planes,
  batchNorm([2, 3, 4, 5]),
  batchNorm([1, 2, 200, 200]),
];

const upload = (on: Device, { data, shape }: Array64) => tensor(on, data, shape);

async function checkNorm(t: test.Test, norm: Norm, x: Array64) {
  const on = await device();
  const input = upload(on, x);
  const expected = norm.reference(x).data;
  const weights = ref.randomArray(x.shape, ref.seededRandom(3));
  const w = upload(on, weights);
  const plain = scope(() => norm.engine(input));
  const { value, gradient } = scope(() => {
    const taken = engine.vjp(norm.engine, [input]);
    return { value: taken.value, gradient: taken.pullback(w)[0]! };
  });
  for (const [about, y] of [
    ['alone', plain],
    ['while a derivative is taken', value],
  ] as const) {
    const error = ref.relativeError(await y.data(), expected);
    t.ok(error < 1e-5, `${norm.name}, ${about}: error ${error.toExponential(1)}`);
  }
  const g = await gradient.data();
  const wanted = derivative(norm, x, weights);
  const error = ref.relativeError(g, wanted);
  t.ok(error < 1e-4, `${norm.name}, derivative: error ${error.toExponential(1)}`);
  for (const made of [input, w, plain, value, gradient]) made.dispose();
}

/** dx = (w - mean(w) - y mean(w y)) / deviation over each row, or each channel, in float64; epsilon beside nothing. */
function derivative({ name, shape }: Norm, x: Array64, w: Array64): Float64Array {
  const isChannel = name.startsWith('batch');
  const inner = shape.slice(2).reduce((product, n) => product * n, 1);
  const rowOf = (i: number) => {
    if (isChannel) return Math.floor(i / inner) % shape[1]!;
    return Math.floor(i / (name.startsWith('layer') ? shape.at(-1)! : inner));
  };
  const rows = new Map<number, number[]>();
  for (const i of x.data.keys()) {
    if (!rows.has(rowOf(i))) rows.set(rowOf(i), []);
    rows.get(rowOf(i))!.push(i);
  }
  const dx = new Float64Array(x.data.length);
  for (const indices of rows.values()) {
    const mean = (f: (i: number) => number) => indices.reduce((total, i) => total + f(i), 0) / indices.length;
    const centre = mean((i) => x.data[i]!);
    const deviation = Math.sqrt(mean((i) => (x.data[i]! - centre) ** 2) + 1e-5);
    const y = (i: number) => (x.data[i]! - centre) / deviation;
    const [first, second] = [mean((i) => w.data[i]!), mean((i) => w.data[i]! * y(i))];
    for (const i of indices) dx[i] = (w.data[i]! - first - y(i) * second) / deviation;
  }
  return dx;
}

for (const norm of norms) {
  test(`exact: ${norm.name}`, async (t) => {
    const random = ref.randomArray(norm.shape, ref.seededRandom(2));
    // Neighbours of f32 at 10,000 lie 2^-10 apart.
    await checkNorm(
      t,
      norm,
      ref.map(random, (v) => 10_000 + Math.round(v * 32) / 1024),
    );
    await checkNorm(
      t,
      norm,
      ref.map(random, (v) => Math.fround(v * 1e19)),
    );
  });
}

test('exact: a constant has no deviation, however large it is', async (t) => {
  const on = await device();
  for (const norm of norms) {
    const y = scope(() => norm.engine(engine.full(on, norm.shape, 1e10)));
    const data = await y.data();
    t.ok(
      data.every((value) => value === 0),
      `${norm.name}: ${data.find((value) => value !== 0) ?? 0}`,
    );
    y.dispose();
  }
});

test('exact: statistics of numbers far from 0', async (t) => {
  const on = await device();
  const x = ref.map(ref.randomArray([2, 3, 4, 5], ref.seededRandom(2)), (v) => Math.fround(10_000 + v));
  const expected = ref.batchNormTraining(x, ones(3), zeros(3));
  const { mean, variance } = scope(() => {
    const input = upload(on, x);
    return engine.batchNormTraining(input, full(input, 3, 1), full(input, 3, 0));
  });
  t.ok(ref.relativeError(await mean.data(), expected.mean.data) < 1e-7, 'mean');
  t.ok(ref.relativeError(await variance.data(), expected.variance.data) < 1e-6, 'variance');
  for (const made of [mean, variance]) made.dispose();
  const inverse = scope(() => sum(mul(engine.inverseDeviation(upload(on, x), 2), engine.full(on, [], 1))));
  const rows = Array.from({ length: 6 }, (_, row) => x.data.subarray(20 * row, 20 * row + 20));
  const wanted = rows.reduce((total, row) => {
    const centre = row.reduce((a, b) => a + b) / 20;
    return total + 1 / Math.sqrt(row.reduce((a, b) => a + (b - centre) ** 2, 0) / 20 + 1e-5);
  }, 0);
  t.ok(Math.abs((await inverse.data())[0]! / wanted - 1) < 1e-6, 'inverse deviation');
  inverse.dispose();
});
