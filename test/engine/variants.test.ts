// Every variant of convolution and matrix product, forward and adjoint, each alone, against the float64 reference on
// awkward shapes; what a variant adds at its end (bias, clamp); and the copies of weights that variants keep.

import test, { type Test } from 'tape';
import * as engine from '../../engine/index.ts';
import { type Activation, type Device, sum, type Tensor, type Variant } from '../../engine/index.ts';
import { allocate, release, retain } from '../../engine/memory.ts';
import { type ConvGeometry, forward, inputGradient } from '../../kernels/conv/geometry.ts';
import { type ConvVariant, chooseConv } from '../../kernels/conv/variants.ts';
import { conv2dWinograd } from '../../kernels/conv/winograd.ts';
import { NO_EPILOGUE } from '../../kernels/kernel.ts';
import { deviceClasses, figuresOf } from '../../kernels/profile.ts';
import { asClass, device } from '../device.ts';
import * as ref from '../reference/index.ts';

const all: readonly Variant[] = [
  'pointwise',
  'depthwise',
  'patches',
  'winograd',
  'direct',
  'implicit',
  'rows',
  'tiled',
  'shared',
  'dot',
];

/** The shared device as if opened without some variants. */
const less = (on: Device, without: Iterable<Variant>): Device => ({
  ...on,
  profile: { ...on.profile, without: new Set(without) },
});

/** The shared device as if it were of each class. */
const ofEachClass = (on: Device) => deviceClasses.map((of) => asClass(on, of));

const upload = (on: Device, x: ref.Array64) => engine.tensor(on, x.data, x.shape);

async function close(t: Test, actual: Tensor, expected: ref.Array64, tolerance: number, about: string) {
  const error = ref.relativeError(await actual.data(), expected.data);
  t.ok(error <= tolerance, `${about}: error ${error.toExponential(1)}`);
  actual.dispose();
}

const largest = (x: ref.Array64): number => x.data.reduce((a, v) => Math.max(a, Math.abs(v)), 1e-30);

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly options?: engine.ConvOptions;
  /** The variants that are expected to take it, forward and adjoint; the naive one does always. */
  readonly takes: readonly ConvVariant[];
  readonly adjoint: readonly ConvVariant[];
}

const same = (p: number) => [p, p, p, p] as const;
const tiled = ['direct', 'rows'] as const;
const whole = ['patches', ...tiled] as const;
const winograd = ['patches', 'winograd', ...tiled] as const;

const cases: readonly Case[] = [
  {
    x: [1, 48, 19, 13],
    w: [49, 48, 3, 3],
    options: { padding: same(1) },
    takes: winograd,
    adjoint: winograd,
  },
  {
    x: [3, 51, 12, 8],
    w: [44, 51, 3, 3],
    options: { padding: [0, 2, 1, 0] },
    takes: winograd,
    adjoint: winograd,
  },
  { x: [9, 230, 3, 3], w: [229, 230, 3, 3], takes: winograd, adjoint: winograd },
  { x: [2, 3, 7, 7], w: [5, 3, 3, 3], options: { padding: same(1) }, takes: whole, adjoint: whole },
  { x: [1, 2, 6, 14], w: [9, 2, 1, 3], takes: whole, adjoint: whole },
  { x: [1, 2, 1, 1], w: [3, 2, 3, 3], options: { padding: same(1) }, takes: whole, adjoint: whole },
  {
    x: [2, 5, 11, 8],
    w: [6, 5, 3, 2],
    options: { stride: [2, 1], padding: [1, 0, 1, 1] },
    takes: whole,
    adjoint: ['patches', 'rows'],
  },
  {
    x: [1, 3, 19, 23],
    w: [4, 3, 7, 7],
    options: { stride: [2, 2], padding: same(3) },
    takes: ['patches', 'rows'],
    adjoint: ['patches', 'rows'],
  },
  {
    x: [1, 3, 13, 12],
    w: [7, 3, 3, 3],
    options: { dilation: [2, 3], padding: same(2) },
    takes: ['rows'],
    adjoint: ['rows'],
  },
  {
    x: [1, 6, 9, 9],
    w: [10, 3, 3, 3],
    options: { groups: 2, padding: same(1) },
    takes: tiled,
    adjoint: tiled,
  },
  {
    x: [2, 12, 5, 6],
    w: [8, 3, 3, 3],
    options: { groups: 4, stride: [2, 2], padding: same(1) },
    takes: tiled,
    adjoint: ['rows'],
  },
  {
    x: [2, 7, 9, 10],
    w: [7, 1, 3, 3],
    options: { groups: 7, padding: same(1) },
    takes: ['depthwise', ...tiled],
    adjoint: ['depthwise', ...tiled],
  },
  {
    x: [1, 5, 11, 7],
    w: [5, 1, 5, 5],
    options: { groups: 5, stride: [2, 2], padding: same(2) },
    takes: ['depthwise', 'rows'],
    adjoint: ['depthwise', 'rows'],
  },
  {
    x: [1, 3, 9, 9],
    w: [6, 1, 3, 3],
    options: { groups: 3, dilation: [2, 1], padding: same(2) },
    takes: ['depthwise', 'rows'],
    adjoint: ['rows'],
  },
  { x: [2, 33, 5, 7], w: [18, 33, 1, 1], takes: ['pointwise', ...whole], adjoint: ['pointwise', ...whole] },
  {
    x: [1, 9, 8, 5],
    w: [4, 9, 1, 1],
    options: { stride: [2, 2] },
    takes: ['pointwise', ...whole],
    adjoint: ['pointwise', 'patches', 'rows'],
  },
  {
    x: [1, 2, 5, 50],
    w: [3, 2, 3, 13],
    options: { padding: same(1) },
    takes: ['patches'],
    adjoint: ['patches'],
  },
  {
    x: [3, 2, 24, 17],
    w: [5, 2, 8, 8],
    options: { stride: [8, 8], padding: [0, 1, 3, 2] },
    takes: ['patches'],
    adjoint: ['patches', 'rows'],
  },
  {
    x: [2, 3, 33, 48],
    w: [6, 3, 16, 16],
    options: { stride: [16, 16] },
    takes: ['patches'],
    adjoint: ['patches'],
  },
  {
    x: [2, 3, 9, 31],
    w: [5, 3, 2, 3],
    options: { stride: [3, 5], padding: [-1, 2, 1, -2] },
    takes: ['patches'],
    adjoint: ['patches', 'rows'],
  },
];

/** The geometry of a case, as the engine works it out. */
function geometry({ x, w, options = {} }: Case): ConvGeometry {
  const { stride = [1, 1], padding = same(0), dilation = [1, 1], groups = 1 } = options;
  const [, , height, width] = ref.conv2d(ref.filled(x, 0), ref.filled(w, 0), options).shape;
  return {
    batch: x[0],
    inChannels: x[1],
    input: [x[2], x[3]],
    outChannels: w[0],
    output: [height!, width!],
    kernel: [w[2], w[3]],
    stride,
    padding,
    dilation,
    groups,
  };
}

test('convolution: every variant gives what the definition gives', async (t) => {
  const on = await device();
  for (const row of cases) {
    const { options = {} } = row;
    const next = ref.seededRandom(11);
    const [x, w, b] = [row.x, row.w, [row.w[0]]].map((shape) => ref.randomArray(shape, next)) as [
      ref.Array64,
      ref.Array64,
      ref.Array64,
    ];
    const y = ref.conv2d(x, w, options);
    const size = [row.x[2], row.x[3]] as const;
    const dx = ref.convTranspose2d(y, w, size, options);
    const dw = ref.conv2dWeightGradient(x, y, [row.w[2], row.w[3]], options);
    const summand = ref.randomArray(y.shape, next);
    const sums = ref.binary.add(ref.binary.add(y, ref.reshape(b, [b.data.length, 1, 1])), summand);
    const fused = ref.clamp(sums, 0, 6);
    // The sums' rounding is in proportion to their own size, which the clamped result no longer has.
    const cut = largest(sums) / largest(fused);
    const g = geometry(row);
    const about = `[${row.x}] by [${row.w}] ${JSON.stringify(options)}`;
    for (const [convolution, takes] of [
      [forward(g), row.takes],
      [inputGradient(g), row.adjoint],
    ] as const) {
      const found = all.filter(
        (v) =>
          v ===
          chooseConv(convolution, { class: 'software', without: new Set(all.filter((other) => other !== v)) })
            .variant,
      );
      t.deepEqual(found, [...takes], `${about}: variants`);
    }
    const variants = new Set(['naive', 'implicit', ...row.takes, ...row.adjoint] as const);
    const runs = [...variants].flatMap((variant) => ofEachClass(on).map((of) => ({ variant, of })));
    for (const { variant, of } of runs) {
      // The matrix products inside are those of the class but for those of the naive run.
      const products = variant === 'naive' ? [] : ['tiled', 'shared', 'dot'];
      const without = all.filter((other) => other !== variant && !products.includes(other));
      const at = less(of, without);
      const tensors = [x, w, b, summand].map((a) => upload(at, a)) as [Tensor, Tensor, Tensor, Tensor];
      const [xt, wt, bt, st] = tensors;
      await close(t, engine.conv2d(xt, wt, options), y, 2e-5, `${variant} ${about}`);
      await close(
        t,
        engine.conv2d(xt, wt, options, { bias: bt, summand: st, activation: 'relu6' }),
        fused,
        2e-5 * cut,
        `${variant} ${about}, fused`,
      );
      const yt = upload(at, y);
      await close(t, engine.convTranspose2d(yt, wt, size, options), dx, 4e-5, `${variant} ${about}, adjoint`);
      const found = engine.scope(
        () => engine.vjp((weights) => engine.conv2d(xt, weights, options), [wt]).pullback(yt)[0]!,
      );
      await close(t, found, dw, 4e-5, `${variant} ${about}, weight gradient`);
      for (const made of [...tensors, yt]) made.dispose();
    }
  }
});

test('convolution: patches that would take too much memory give way', (t) => {
  const options = { stride: [2, 2] } as const;
  const few = geometry({ x: [1, 3, 19, 23], w: [4, 3, 7, 7], options, takes: [], adjoint: [] });
  const choice = (batch: number) =>
    chooseConv(inputGradient({ ...few, batch }), { class: 'software', without: new Set() }).variant;
  t.equal(choice(1), 'patches');
  t.equal(choice(10_000), 'rows');
  t.end();
});

test('convolution: a large batch goes through Winograd in parts', async (t) => {
  const on = asClass(await device(), 'software');
  const c = forward(geometry({ x: [16, 32, 88, 88], w: [16, 32, 3, 3], takes: [], adjoint: [] }));
  const { parts } = conv2dWinograd(c, 16, NO_EPILOGUE);
  t.equal(chooseConv(c, on.profile).variant, 'winograd');
  t.ok(parts.length > 1, `${parts.length} parts`);
  const x = ref.randomArray([16, 32, 88, 88], ref.seededRandom(3));
  const w = ref.randomArray([16, 32, 3, 3], ref.seededRandom(4));
  const [a, b] = [on, less(on, ['winograd'])].map((at) => {
    const [xt, wt] = [upload(at, x), upload(at, w)];
    const y = engine.conv2d(xt, wt);
    xt.dispose();
    wt.dispose();
    return y;
  });
  const [found, wanted] = await Promise.all([a!.data(), b!.data()]);
  t.ok(ref.relativeError(found, wanted) <= 1e-5, 'as the direct variant');
  a!.dispose();
  b!.dispose();
});

test('convolution: what follows it is the composition, and so are the derivatives', async (t) => {
  const on = await device();
  const next = ref.seededRandom(8);
  const [x, w, b, s, one] = [[1, 3, 6, 6], [4, 3, 3, 3], [4], [1, 4, 4, 4], [4, 1, 1]].map((shape) =>
    upload(on, ref.randomArray(shape, next)),
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const plain = { relu: engine.relu, relu6: (y: Tensor) => engine.clamp(y, 0, 6) };
  // A summand that has to be broadcast is added by itself.
  for (const summand of [s, one]) {
    for (const activation of ['relu', 'relu6'] as const satisfies readonly Activation[]) {
      const about = `${activation} of a sum with [${summand.shape}]`;
      const f = (...[x, w, bias, summand]: Tensor[]) =>
        sum(engine.conv2d(x!, w!, {}, { bias: bias!, summand: summand!, activation }));
      const g = (...[x, w, bias, summand]: Tensor[]) =>
        sum(plain[activation](engine.add(engine.addBias(engine.conv2d(x!, w!), bias!), summand!)));
      const [found, wanted] = [f, g].map((h) => engine.valueAndGrad(h, [x, w, b, summand]));
      for (const [i, d] of found!.gradients.entries()) {
        const error = ref.relativeError(await d.data(), await wanted!.gradients[i]!.data());
        t.ok(error <= 1e-6, `${about}: gradient ${i}`);
      }
      const alone = f(x, w, b, summand);
      t.ok(ref.relativeError(await alone.data(), await found!.value.data()) <= 1e-5, `${about}: value`);
      for (const made of [alone, ...[found, wanted].flatMap((r) => [r!.value, ...r!.gradients])])
        made.dispose();
    }
  }
  for (const made of [x, w, b, s, one]) made.dispose();
});

test('matmul: tiles of every size and edge', async (t) => {
  const on = await device();
  const sizes = [
    [1, 40, 500],
    [1, 700, 9],
    [5, 130, 33],
    [16, 64, 16],
    [17, 65, 49],
    [33, 7, 121],
    [130, 20, 61],
    [131, 9, 64],
  ] as const;
  for (const [m, k, n] of sizes) {
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
    ] as const) {
      for (const batch of [[], [3]] as const) {
        const next = ref.seededRandom(m + n);
        const a = ref.randomArray([...batch, ...(transposeA ? [k, m] : [m, k])], next);
        const b = ref.randomArray(transposeB ? [n, k] : [k, n], next);
        const swap = (x: ref.Array64) => ref.transpose(x, x.shape.length === 3 ? [0, 2, 1] : [1, 0]);
        const wanted = ref.matmul(transposeA ? swap(a) : a, transposeB ? swap(b) : b);
        const about = `[${[...batch, m, k]}] [${[k, n]}]${transposeA ? ' A^T' : ''}${transposeB ? ' B^T' : ''}`;
        for (const of of ofEachClass(on)) {
          const [at, bt] = [upload(of, a), upload(of, b)];
          const name = `${about}, ${of.profile.class}`;
          await close(t, engine.matmul(at, bt, transposeA, transposeB), wanted, 1e-5, name);
          at.dispose();
          bt.dispose();
        }
      }
    }
  }
});

test('matmul: long sums of many products, in blocks', async (t) => {
  const on = await device();
  const [batch, m, k, n] = [131, 2, 1100, 3];
  const [a, b] = [
    [batch, m, k],
    [batch, k, n],
  ].map((shape, i) => ref.randomArray(shape, ref.seededRandom(i))) as [ref.Array64, ref.Array64];
  const wanted = ref.matmul(a, b);
  for (const of of ofEachClass(on)) {
    const [at, bt] = [upload(of, a), upload(of, b)];
    await close(t, engine.matmul(at, bt), wanted, 1e-5, of.profile.class);
    at.dispose();
    bt.dispose();
  }
});

test('linear: with what follows it, as rows where they lie, in tiles, and by the definition', async (t) => {
  const on = await device();
  const cases = [
    { lead: [1], from: 48, to: 10 }, // small: by the definition
    { lead: [1], from: 340, to: 51 }, // rows, with tiles of every size
    { lead: [3], from: 4100, to: 2 },
    { lead: [5, 1], from: 1024, to: 301 },
    { lead: [3, 17], from: 12, to: 31 },
    { lead: [67], from: 100, to: 33 },
    { lead: [131, 3], from: 72, to: 83 }, // too large for rows
    { lead: [37], from: 31, to: 43 }, // no whole vec4
    { lead: [2], from: 3, to: 5 },
    { lead: [], from: 8, to: 3 },
    { lead: [0, 3], from: 8, to: 3 },
    { lead: [3], from: 0, to: 2 },
  ];
  for (const { lead, from, to } of cases) {
    const next = ref.seededRandom(from + to);
    const shape = [...lead, to];
    const [x, w, b, s] = [[...lead, from], [to, from], [to], shape].map((own) => ref.randomArray(own, next));
    const rows = ref.reshape(x!, [engine.sizeOf(lead), from]);
    const product = ref.reshape(ref.matmul(rows, ref.transpose(w!, [1, 0])), shape);
    const biased = ref.binary.add(product, b!);
    const fused = ref.map(ref.binary.add(biased, s!), (v) => Math.max(0, v));
    const wide = ref.binary.add(ref.binary.add(biased, ref.reshape(b!, [1, to])), s!);
    for (const at of [...ofEachClass(on), less(on, ['tiled', 'rows'])]) {
      const about = `[${lead}] of ${from} to ${to}${at.profile.without.size === 0 ? '' : ', naive'}`;
      const [xt, wt, bt, st] = [x!, w!, b!, s!].map((a) => upload(at, a)) as [Tensor, Tensor, Tensor, Tensor];
      const all = { bias: bt, summand: st, activation: 'relu' } as const;
      await close(t, engine.linear(xt, wt), product, 1e-5, about);
      await close(t, engine.linear(xt, wt, { bias: bt }), biased, 1e-5, `${about}, biased`);
      await close(t, engine.linear(xt, wt, all), fused, 1e-5, `${about}, with all`);
      const row = engine.reshape(bt, [1, to]);
      if (lead.length > 0) {
        const y = engine.scope(() => engine.add(engine.linear(xt, wt, { bias: bt, summand: row }), st));
        await close(t, y, wide, 1e-5, `${about}, and a row`);
      }
      const made = engine.scope(() => {
        const f = (...xs: Tensor[]) => engine.linear(xs[0]!, xs[1]!, { ...all, bias: xs[2], summand: xs[3] });
        return engine.vjp(f, [xt, wt, bt, st]).value;
      });
      await close(t, made, fused, 1e-5, `${about}, recorded`);
      for (const own of [xt, wt, bt, st, row]) own.dispose();
    }
  }
});

test('max pooling: the same with and without a derivative', async (t) => {
  const on = await device();
  const x = upload(on, ref.randomArray([2, 3, 13, 10], ref.seededRandom(6)));
  for (const options of [
    { kernel: [3, 3], stride: [2, 2], ceilMode: true },
    { kernel: [2, 2] },
    { kernel: [3, 2], stride: [1, 3], padding: [1, 1, 2, 0] },
    { kernel: [5, 5], stride: [2, 1], padding: [2, 2, 2, 2] },
    { kernel: [6, 6] },
  ] satisfies engine.PoolOptions[]) {
    const alone = engine.maxPool2d(x, options);
    const { value } = engine.scope(() => engine.vjp((a) => engine.maxPool2d(a, options), [x]));
    t.deepEqual(await alone.data(), await value.data(), JSON.stringify(options));
    alone.dispose();
    value.dispose();
  }
  const low = upload(on, ref.array([1, 1, 2, 2], [-4, -3, -2, -5]));
  const padded = engine.maxPool2d(low, { kernel: [2, 2], stride: [1, 1], padding: [1, 1, 1, 1] });
  t.deepEqual([...(await padded.data())], [-4, -3, -3, -2, -2, -3, -2, -2, -5], 'padding never wins');
  for (const made of [x, low, padded]) made.dispose();
});

test('softmax: rows of whole vec4 and others, few and many', async (t) => {
  const on = await device();
  for (const shape of [
    [1, 4],
    [3, 1000],
    [5, 7],
    [1030, 8],
    [2, 8, 3],
  ] as const) {
    const x = ref.randomArray(shape, ref.seededRandom(shape[0]), { low: -60, high: 80 });
    const xt = upload(on, x);
    await close(t, engine.softmax(xt, 1), ref.softmax(x, 1), 1e-5, `softmax [${shape}]`);
    await close(t, engine.logSoftmax(xt, 1), ref.logSoftmax(x, 1), 1e-5, `log-softmax [${shape}]`);
    xt.dispose();
  }
});

test('lines: reduced by a thread, and by the threads of a workgroup together', async (t) => {
  const on = await device();
  for (const [lines, n] of [
    [3, 32],
    [5, 63],
    [2, 64],
    [4, 65],
    [3, 1000],
    [1, 33_001],
  ] as const) {
    const next = ref.seededRandom(n);
    const [x, u] = [1, 2].map(() => ref.randomArray([lines, n], next, { low: -3, high: 5 })) as [
      ref.Array64,
      ref.Array64,
    ];
    const planes = ref.reshape(x, [lines, 1, n]);
    const [one, none] = [ref.filled([1], 1), ref.filled([1], 0)];
    const about = `[${lines}, ${n}]`;
    for (const of of ofEachClass(on)) {
      const [xt, ut, onet, nonet] = [x, u, one, none].map((a) => upload(of, a)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const name = `${about}, ${of.profile.class}`;
      await close(t, engine.sum(xt, [1]), ref.sum(x, [1]), 1e-6, `sum ${name}`);
      await close(t, engine.mean(xt, [1]), ref.mean(x, [1]), 1e-6, `mean ${name}`);
      await close(t, engine.max(xt, [1]), ref.max(x, [1]), 1e-7, `max ${name}`);
      await close(t, engine.min(xt, [1]), ref.min(x, [1]), 1e-7, `min ${name}`);
      await close(t, engine.maxNorm(xt, [1]), ref.maxNorm(x, [1]), 1e-7, `norm ${name}`);
      await close(t, engine.softmax(xt, 1), ref.softmax(x, 1), 1e-5, `softmax ${name}`);
      await close(t, engine.logSoftmax(xt, 1), ref.logSoftmax(x, 1), 1e-5, `log-softmax ${name}`);
      const [xp, up] = [xt, ut].map((a) => engine.reshape(a, [lines, 1, n])) as [Tensor, Tensor];
      const dots = ref.sum(ref.binary.mul(x, u), [1], true);
      await close(t, engine.planeDot(xp, up), dots, 1e-5, `dots ${name}`);
      const found = engine.batchNormTraining(xp, onet, nonet);
      const wanted = ref.batchNormTraining(planes, one, none);
      for (const of of ['output', 'mean', 'variance'] as const)
        await close(t, found[of], wanted[of], 1e-5, `${of} of moments ${name}`);
      const best = engine.argmax(xt, 1);
      t.deepEqual([...(await best.indices())], [...ref.argmax(x, 1).data], `argmax ${name}`);
      for (const made of [xt, ut, onet, nonet, xp, up, best]) made.dispose();
    }
  }
});

test('lines: the first of equals, NaN, and infinities', async (t) => {
  const on = await device();
  const n = 130;
  const line = (...places: readonly (readonly [number, number])[]) => {
    const values = new Array<number>(n).fill(-1);
    for (const [at, value] of places) values[at] = value;
    return values;
  };
  const x = ref.array(
    [5, n],
    [
      line([70, 2], [6, 2], [129, 2]),
      line([3, 9], [128, Number.NaN], [65, Number.NaN]),
      line([64, Number.POSITIVE_INFINITY]),
      new Array<number>(n).fill(Number.NEGATIVE_INFINITY),
      line([129, 1e-30]),
    ].flat(),
  );
  for (const of of ofEachClass(on)) {
    const xt = upload(of, x);
    const about = of.profile.class;
    const best = engine.argmax(xt, 1);
    t.deepEqual([...(await best.indices())], [6, 65, 64, 0, 129], `argmax, ${about}`);
    const largest = engine.max(xt, [1]);
    const wanted = [2, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Math.fround(1e-30)];
    t.deepEqual([...(await largest.data())], wanted, `max, ${about}`);
    const y = engine.softmax(xt, 1);
    const lost = Array.from({ length: 5 }, (_, i) => i >= 1 && i <= 3);
    const found = await y.data();
    t.deepEqual(
      lost.map((_, i) => found.slice(i * n, (i + 1) * n).every(Number.isNaN)),
      lost,
      `softmax, ${about}`,
    );
    for (const made of [xt, best, largest, y]) made.dispose();
  }
});

test('layer normalisation: the same with and without a derivative, whatever the rows share', async (t) => {
  const on = await device();
  for (const shape of [
    [1, 1],
    [7, 1],
    [1, 5],
    [67, 13],
    [3, 2, 48],
    [2, 1030],
    [0, 3],
  ] as const) {
    const n = shape.at(-1)!;
    const next = ref.seededRandom(n);
    const [x, w, b] = [shape, [n], [n]].map((own) => ref.randomArray(own, next, { low: -3, high: 5 }));
    const wanted = ref.layerNorm(x!, w!, b!);
    for (const of of ofEachClass(on)) {
      const about = `[${shape}], ${of.profile.class}`;
      const [xt, wt, bt] = [x!, w!, b!].map((a) => upload(of, a)) as [Tensor, Tensor, Tensor];
      await close(t, engine.layerNorm(xt, wt, bt), wanted, 1e-5, about);
      const { value } = engine.scope(() => engine.vjp((a) => engine.layerNorm(a, wt, bt), [xt]));
      await close(t, value, wanted, 1e-5, `${about}, recorded`);
      for (const made of [xt, wt, bt]) made.dispose();
    }
  }
  // Deviations whose squares overflow, all below or all above the mean but one.
  for (const sign of [-1, 1]) {
    const x = ref.array(
      [2, 70],
      Array.from({ length: 140 }, (_, i) => (i % 70 === 41 ? sign * 3e30 : i)),
    );
    const [w, b] = [ref.filled([70], 1.5), ref.filled([70], -2)];
    for (const of of ofEachClass(on)) {
      const tensors = [x, w, b].map((a) => upload(of, a)) as [Tensor, Tensor, Tensor];
      await close(
        t,
        engine.layerNorm(...tensors),
        ref.layerNorm(x, w, b),
        1e-5,
        `large, ${of.profile.class}`,
      );
      for (const made of tensors) made.dispose();
    }
  }
  // Steps of 1/8 beside 65,536 are exact in f32; squares of such numbers have no digits left for them.
  for (const offset of [-65_536, 65_536]) {
    const x = ref.map(ref.randomArray([5, 37], ref.seededRandom(9)), (v) => offset + Math.round(v * 64) / 8);
    const [w, b] = [ref.filled([37], 1.5), ref.filled([37], -2)];
    for (const of of ofEachClass(on)) {
      const tensors = [x, w, b].map((a) => upload(of, a)) as [Tensor, Tensor, Tensor];
      const about = `around ${offset}, ${of.profile.class}`;
      await close(t, engine.layerNorm(...tensors), ref.layerNorm(x, w, b), 1e-5, about);
      for (const made of tensors) made.dispose();
    }
  }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    for (const at of [6, 8]) {
      const x = ref.randomArray([4, 6], ref.seededRandom(2));
      x.data[at] = value;
      const [xt, one] = [upload(on, x), engine.full(on, [6], 1)];
      const y = engine.layerNorm(xt, one, one);
      const found = [...(await y.data())].map(Number.isNaN);
      const wanted = found.map((_, i) => i >= 6 && i < 12);
      t.deepEqual(found, wanted, `${value} at ${at} loses its row and no other`);
      for (const made of [xt, one, y]) made.dispose();
    }
  }
});

test('attention: the same with and without a derivative', async (t) => {
  const on = await device();
  for (const [batch, tokens, heads, width] of [
    [1, 65, 3, 16],
    [2, 17, 5, 4],
    [3, 1, 1, 8],
    [2, 9, 2, 3],
  ] as const) {
    const next = ref.seededRandom(tokens);
    const qkv = ref.randomArray([batch, tokens, 3 * heads * width], next, { low: -3, high: 3 });
    const f = (qkv: Tensor) => engine.attentionMix(engine.attentionProbabilities(qkv, heads), qkv, heads);
    for (const of of ofEachClass(on)) {
      const x = upload(of, qkv);
      const alone = engine.scope(() => f(x));
      const recorded = engine.scope(() => engine.vjp(f, [x]).value);
      const wanted = ref.array(recorded.shape, [...(await recorded.data())]);
      const about = `[${batch}, ${tokens}, 3 * ${heads} * ${width}], ${of.profile.class}`;
      await close(t, alone, wanted, 1e-5, about);
      for (const made of [x, recorded]) made.dispose();
    }
  }
  // Query 0 of the second head, whose probabilities come after the 25 of the first.
  const x = ref.randomArray([2, 5, 24], ref.seededRandom(1));
  x.data[7] = Number.NaN;
  const xt = upload(on, x);
  const p = engine.attentionProbabilities(xt, 2);
  const found = [...(await p.data())].map(Number.isNaN);
  const wanted = found.map((_, i) => i >= 25 && i < 30);
  t.deepEqual(found, wanted, 'a query loses its row of its head and no other');
  for (const made of [xt, p]) made.dispose();
});

test('concat: runs of whole vec4 and others', async (t) => {
  const on = await device();
  const shapes = [
    [2, 4, 3],
    [2, 8, 3],
    [2, 3, 3],
    [2, 1, 3],
  ];
  for (const count of [2, 3, 4]) {
    const parts = shapes.slice(0, count).map((shape, i) => ref.randomArray(shape, ref.seededRandom(i)));
    for (const of of ofEachClass(on)) {
      const tensors = parts.map((part) => upload(of, part));
      const about = `${count} parts, ${of.profile.class}`;
      await close(t, engine.concat(tensors, 1), ref.concat(parts, 1), 0, about);
      // Whole pieces of the result, of what was just made and of what is thrown away at once.
      const pieces = tensors.map((part) => engine.scale(engine.reshape(part, [1, part.size]), 2));
      const flat = parts.map((part) => ref.map(ref.reshape(part, [1, part.data.length]), (v) => 2 * v));
      const whole = engine.concat(pieces, 1);
      for (const piece of pieces) piece.dispose();
      const after = engine.scale(whole, 3);
      await close(
        t,
        after,
        ref.map(ref.concat(flat, 1), (v) => 3 * v),
        1e-7,
        `${about}, whole`,
      );
      whole.dispose();
      for (const made of tensors) made.dispose();
    }
  }
});

test('a write does not overtake recorded commands that read the same buffer', async (t) => {
  const on = await device();
  const old = engine.tensor(on, [1, 2, 3, 4], [4]);
  const { buffer } = old.storage;
  const y = engine.scale(old, 2);
  old.dispose();
  const young = engine.tensor(on, [9, 9, 9, 9], [4]);
  t.equal(young.storage.buffer, buffer, 'the buffer is used again');
  t.deepEqual([...(await y.data())], [2, 4, 6, 8]);
  young.dispose();
  y.dispose();
});

test('packed weights: kept with the weights, and freed with them', async (t) => {
  const on = asClass(await device(), 'software'); // kernels for GPUs read weights where they lie
  const { memory } = on;
  const x = upload(on, ref.randomArray([1, 4, 9, 9], ref.seededRandom(1)));
  const before = memory.liveBytes;
  const w = upload(on, ref.randomArray([8, 4, 3, 3], ref.seededRandom(2)));
  engine.conv2d(x, w).dispose();
  const kept = memory.liveBytes;
  t.ok(kept > before + w.storage.size, 'a copy is live');
  engine.conv2d(x, w).dispose();
  t.equal(memory.liveBytes, kept, 'and made once');
  const { buffer } = w.storage;
  w.dispose();
  t.equal(memory.liveBytes, before, 'nothing is left');
  const other = ref.randomArray([8, 4, 3, 3], ref.seededRandom(3));
  const again = upload(on, other);
  t.equal(again.storage.buffer, buffer, 'the pool gives the buffer again');
  const x64 = ref.randomArray([1, 4, 9, 9], ref.seededRandom(1));
  await close(t, engine.conv2d(x, again), ref.conv2d(x64, other), 1e-5, 'with its new contents');
  again.dispose();
  x.dispose();
});

test('packed weights: given up when memory is short', async (t) => {
  const on = await engine.openDevice({ memoryBudget: 2 ** 20 });
  const x = upload(on, ref.randomArray([1, 64, 5, 5], ref.seededRandom(1)));
  const w = upload(on, ref.randomArray([64, 64, 3, 3], ref.seededRandom(2)));
  const y = engine.conv2d(x, w);
  const free = on.memory.budget - on.memory.liveBytes;
  const large = allocate(on.memory, free + 4096, 'test');
  retain(large);
  t.equal(w.storage.copies.size, 0, 'the copy went');
  release(large);
  const wanted = ref.conv2d(
    ref.randomArray([1, 64, 5, 5], ref.seededRandom(1)),
    ref.randomArray([64, 64, 3, 3], ref.seededRandom(2)),
  );
  await close(t, y, wanted, 1e-5, 'what was computed stays');
  await close(t, engine.conv2d(x, w), wanted, 1e-5, 'and it is made again');
  engine.closeDevice(on);
});

test('profile: by the adapter, or as it is asked for', async (t) => {
  const { kind } = await device();
  const on = await engine.openDevice({ tuned: false });
  const isSoftware = kind === 'gles' || kind === 'swiftshader';
  if (isSoftware) t.equal(on.profile.class, 'software', 'an adapter that computes on the CPU');
  engine.closeDevice(on);
  const asked = await engine.openDevice({ profile: 'gpu', without: ['rows'] });
  t.equal(asked.profile.class, 'gpu', 'asked for');
  t.deepEqual([...asked.profile.without], ['rows']);
  t.ok(figuresOf(asked.profile).tileWorkgroup > figuresOf({ class: 'software' }).tileWorkgroup);
  t.ok(asked.profile.limits.buffer >= asked.profile.limits.binding);
  const x = upload(asked, ref.array([1, 4], [1, 2, 3, 4]));
  await close(
    t,
    engine.softmax(x, 1),
    ref.softmax(ref.array([1, 4], [1, 2, 3, 4]), 1),
    1e-6,
    'and it computes',
  );
  engine.closeDevice(asked);
});
