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

// ---- Functions at the edges

/** A number, and the size of the terms that it is the sum of, which its error is measured by. */
type Terms = readonly number[];

const sigmoid64 = (x: number) => 1 / (1 + Math.exp(-x));
/** Phi(x): the reference's erf in the middle, a continued fraction on the left, where 1 + erf would lose all digits. */
function normal64(x: number): number {
  if (x > -2) return (1 + ref.unary.erf(ref.array([], [x / Math.SQRT2])).data[0]!) / 2;
  let fraction = 0;
  for (let k = 80; k > 0; k--) fraction = k / (-x + fraction);
  return density64(x) / (-x + fraction);
}
const density64 = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Values and three derivatives, each as the terms of its sum. */
const functions: Readonly<
  Record<string, { f: (x: Tensor) => Tensor; terms: (x: number) => readonly Terms[] }>
> = {
  sigmoid: {
    f: engine.sigmoid,
    terms: (x) => {
      const [s, r] = [sigmoid64(x), sigmoid64(-x)];
      return [[s], [s * r], [s * r * r, -s * s * r], [s * r, -6 * s * r * s * r]];
    },
  },
  softplus: {
    f: engine.softplus,
    terms: (x) => {
      const [s, r] = [sigmoid64(x), sigmoid64(-x)];
      const value = Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
      return [[value], [s], [s * r], [s * r * r, -s * s * r]];
    },
  },
  tanh: {
    f: engine.tanh,
    terms: (x) => {
      const [y, d] = [Math.tanh(x), 4 * sigmoid64(2 * x) * sigmoid64(-2 * x)];
      return [[y], [d], [-2 * y * d], [4 * d * y * y, -2 * d * d]];
    },
  },
  silu: {
    f: engine.silu,
    terms: (x) => {
      const [s, r] = [sigmoid64(x), sigmoid64(-x)];
      const d = s * r;
      return [
        [x * s],
        [s, x * d],
        [2 * d, x * d * r, -x * d * s],
        [3 * d * r, -3 * d * s, x * d, -6 * x * d * d],
      ];
    },
  },
  gelu: {
    f: engine.gelu,
    terms: (x) => {
      const [phi, n] = [normal64(x), Math.abs(x) > 40 ? 0 : density64(x)];
      const cube = n === 0 ? 0 : n * x ** 3;
      return [
        [n === 0 && x < 0 ? 0 : x * phi],
        [phi, n * x],
        [2 * n, n === 0 ? 0 : -n * x * x],
        [cube, -4 * n * x],
      ];
    },
  },
};

const edges = [0, 1e-8, 1e-4, 0.01, 0.3, 0.62, 0.63, 1, 2, 3.3, 5, 8, 12, 15.5, 16.5, 20, 40, 80, 1e4, 1e20];
const points = [...edges.slice(1).map((x) => -x), ...edges].map(Math.fround);
/** Below it numbers lose digits, or are 0, on some drivers. */
const SMALLEST = 2 ** -122;

for (const [name, { f, terms }] of Object.entries(functions)) {
  test(`exact: ${name} and its derivatives at the edges`, async (t) => {
    const on = await device();
    let of = f;
    for (const order of [0, 1, 2, 3]) {
      const g = of;
      const y = scope(() => g(tensor(on, points, [points.length])));
      const found = await y.data();
      const wrong = points.flatMap((x, i) => {
        const parts = terms(x)[order]!;
        const expected = parts.reduce((a, b) => a + b, 0);
        const size = parts.reduce((a, b) => a + Math.abs(b), 0);
        const error = Math.abs(found[i]! - expected);
        return error <= (order === 0 ? 8e-7 : 3e-6) * size + SMALLEST
          ? []
          : [`${x}: ${found[i]}, not ${expected}`];
      });
      t.deepEqual(wrong, [], `derivative ${order}`);
      y.dispose();
      of = (x) => engine.grad((free) => sum(g(free)))(x);
    }
  });
}

test('exact: cross-entropy with logits that are infinite, or say what the target says', async (t) => {
  const on = await device();
  const inf = Number.POSITIVE_INFINITY;
  const entropy = (loss: typeof engine.crossEntropy, logits: number[], targets: number[]) => {
    const of = tensor(on, targets, [1, targets.length]);
    return engine.valueAndGrad((x) => loss(x, of), [tensor(on, logits, [1, logits.length])]);
  };
  for (const [loss, logits, targets, expected, slopes] of [
    [engine.crossEntropy, [0, -inf, 0], [1, 0, 0], Math.LN2, [-0.5, 0, 0.5]],
    [engine.binaryCrossEntropy, [-inf, inf], [0, 1], 0, [0, 0]],
    [
      engine.binaryCrossEntropy,
      [20, -20],
      [1, 0],
      Math.log1p(Math.exp(-20)),
      [-1, 1].map((s) => s * 0.5 * sigmoid64(-20)),
    ],
  ] as const) {
    const { value, gradients } = scope(() => entropy(loss, [...logits], [...targets]));
    const [found] = await value.data();
    t.ok(Math.abs(found! - expected) <= 1e-6 * expected, `${loss.name} of ${logits}: ${found}`);
    const slope = await gradients[0]!.data();
    t.ok(
      ref.relativeError(
        slope.map((v) => v + 0),
        slopes,
      ) < 1e-6,
      `its derivative: ${slope}`,
    );
    for (const made of [value, ...gradients]) made.dispose();
  }
});
