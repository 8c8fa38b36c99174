// Parts of a concatenation that are written where they go: by every variant of convolution, against the float64 reference,
// and what is concatenated as usual because it cannot be.

import test from 'tape';
import type { ConvOptions, Device, Tensor } from '../../engine/index.ts';
import * as engine from '../../engine/index.ts';
import { weightTensor } from '../../engine/tensor.ts';
import { convVariants } from '../../kernels/conv/variants.ts';
import { deviceClasses } from '../../kernels/profile.ts';
import { asClass, device } from '../device.ts';
import * as ref from '../reference/index.ts';

const upload = (on: Device, x: ref.Array64) => engine.tensor(on, x.data, x.shape);
const sum = (ns: readonly number[]) => ns.reduce((total, n) => total + n, 0);

interface Branch {
  readonly w: readonly [number, number, number, number];
  readonly options?: ConvOptions;
}

/** Three convolutions of one input, which depthwise, pointwise and all other variants compute. */
const branches: readonly Branch[] = [
  { w: [5, 24, 1, 1] },
  { w: [33, 24, 3, 3], options: { padding: [1, 1, 1, 1] } },
  { w: [24, 1, 3, 3], options: { padding: [1, 1, 1, 1], groups: 24 } },
];

/** relu of each convolution, side by side, in float64. */
const expected = (x: ref.Array64, ws: readonly ref.Array64[], of: readonly Branch[]) =>
  ref.concat(
    ws.map((w, i) => ref.clamp(ref.conv2d(x, w, of[i]!.options), 0, Number.POSITIVE_INFINITY)),
    1,
  );

function computed(x: Tensor, ws: readonly Tensor[], of: readonly Branch[]): Tensor {
  const places = engine.sideBySide(of.map(({ w }) => w[0]));
  return engine.scope(() => {
    const parts = ws.map((w, i) =>
      engine.conv2d(x, w, of[i]!.options, { activation: 'relu', place: places[i] }),
    );
    return engine.concat(parts, 1);
  });
}

const random = (shapes: readonly (readonly number[])[]) => {
  const next = ref.seededRandom(21);
  return shapes.map((shape) => ref.randomArray(shape, next));
};

test('side by side: every variant writes its channels where they go', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const [x, ...ws] = random([[1, 24, 8, 16], ...branches.map(({ w }) => w)]) as [
    ref.Array64,
    ...ref.Array64[],
  ];
  const wanted = expected(x, ws, branches);
  const names = new Set(convVariants.map(({ variant }) => variant));
  for (const of of deviceClasses) {
    for (const variant of names) {
      const { profile, ...rest } = asClass(on, of);
      const without = new Set([...names].filter((name) => name !== variant));
      const tuned = { winogradChannels: 8, winogradWork: 1 };
      const at = { ...rest, profile: { ...profile, tuned, without } };
      const tensors = [x, ...ws].map((a) => upload(at, a)) as [Tensor, ...Tensor[]];
      const [xt, ...wts] = tensors;
      const y = computed(xt, wts, branches);
      t.equal(y.storage.parts.size, branches.length, `${variant} as ${of}: none was moved`);
      const error = ref.relativeError(await y.data(), wanted.data);
      t.ok(error <= 2e-5, `${variant} as ${of}: error ${error.toExponential(1)}`);
      for (const made of [...tensors, y]) made.dispose();
    }
  }
  t.equal(on.memory.liveBytes, before, 'all memory comes back');
});

test('side by side: with weights in halves', async (t) => {
  const on = await device();
  const [x, ...ws] = random([[1, 24, 8, 8], ...branches.map(({ w }) => w)]) as [
    ref.Array64,
    ...ref.Array64[],
  ];
  const xt = upload(on, x);
  const wts = ws.map((w) => weightTensor({ ...on, precision: 'f16' }, w.data, w.shape));
  const rounded = await Promise.all(wts.map(async (w) => ref.array(w.shape, await w.data())));
  t.ok(
    wts.every(({ storage }) => storage.isHalf),
    'they are stored so',
  );
  const y = computed(xt, wts, branches);
  t.equal(y.storage.parts.size, branches.length, 'none was moved');
  t.ok(ref.relativeError(await y.data(), expected(x, rounded, branches).data) <= 2e-5);
  for (const made of [xt, ...wts, y]) made.dispose();
});

test('side by side: what cannot be is concatenated as usual', async (t) => {
  const on = await device();
  const unaligned: readonly [about: string, x: readonly number[]][] = [
    ['two images', [2, 24, 8, 8]],
    ['planes of 5 x 7', [1, 24, 5, 7]],
  ];
  for (const [about, shape] of unaligned) {
    const [x, ...ws] = random([shape, ...branches.map(({ w }) => w)]) as [ref.Array64, ...ref.Array64[]];
    const [xt, ...wts] = [x, ...ws].map((a) => upload(on, a)) as [Tensor, ...Tensor[]];
    const y = computed(xt, wts, branches);
    t.equal(y.storage.parts.size, 0, `${about}: in no larger storage`);
    t.ok(ref.relativeError(await y.data(), expected(x, ws, branches).data) <= 2e-5, about);
    for (const made of [xt, ...wts, y]) made.dispose();
  }

  const [x, ...ws] = random([[1, 24, 8, 8], ...branches.map(({ w }) => w)]) as [
    ref.Array64,
    ...ref.Array64[],
  ];
  const [xt, ...wts] = [x, ...ws].map((a) => upload(on, a)) as [Tensor, ...Tensor[]];
  const parts = ws.map((w, i) => ref.conv2d(x, w, branches[i]!.options));
  const channels = branches.map(({ w }) => w[0]);
  const made = (places: readonly (engine.Place | undefined)[]) =>
    wts.map((w, i) => engine.conv2d(xt, w, branches[i]!.options, { place: places[i] }));
  const placed = () => made(engine.sideBySide(channels));
  const check = async (tensors: readonly Tensor[], of: readonly number[], about: string, axis = 1) => {
    const chosen = of.map((i) => tensors[i]!);
    const y = engine.concat(chosen, axis);
    const wanted = ref.concat(
      of.map((i) => parts[i]!),
      axis,
    );
    t.deepEqual(y.shape, wanted.shape, `${about}: shape`);
    t.ok(ref.relativeError(await y.data(), wanted.data) <= 2e-5, about);
    for (const one of [...tensors, y]) one.dispose();
  };
  await check(placed(), [2, 0, 1], 'in another order');
  await check(placed(), [1, 2], 'without the first');
  await check(placed(), [0, 1, 0, 2], 'one of them twice');
  const [first, , last] = engine.sideBySide(channels);
  await check(made([first, undefined, last]), [0, 1, 2], 'one made elsewhere');
  const [one, two] = [placed(), placed()];
  await check([one[0]!, two[1]!, one[2]!], [0, 1, 2], 'of two storages');
  for (const rest of [one[1]!, two[0]!, two[2]!]) rest.dispose();

  const [small] = engine.sideBySide([5, 5]);
  const tensors = [engine.conv2d(xt, wts[0]!, {}, { place: small })];
  const wider = engine.conv2d(
    xt,
    wts[0]!,
    { padding: [0, 0, 8, 0] },
    { place: engine.sideBySide([5, 5])[1] },
  );
  t.throws(() => engine.concat([tensors[0]!, wider], 1), /concat: \[1, 5, 8, 8\], \[1, 5, 16, 8\] differ/);
  for (const rest of [...tensors, wider, xt, ...wts]) rest.dispose();
});

test('side by side: planes of two sizes are not mixed up', async (t) => {
  const on = await device();
  const [x, w] = random([
    [1, 2, 8, 8],
    [3, 2, 1, 1],
  ]) as [ref.Array64, ref.Array64];
  const [xt, wt] = [upload(on, x), upload(on, w)];
  const [first, second] = engine.sideBySide([3, 3]);
  const padding = [0, 0, 8, 0] as const;
  const [a, b] = [
    engine.conv2d(xt, wt, {}, { place: first }),
    engine.conv2d(xt, wt, { padding }, { place: second }),
  ];
  t.ok(ref.relativeError(await a.data(), ref.conv2d(x, w).data) <= 2e-5, 'the first');
  t.ok(ref.relativeError(await b.data(), ref.conv2d(x, w, { padding }).data) <= 2e-5, 'a larger one');
  for (const made of [xt, wt, a, b]) made.dispose();
});

test('side by side: the derivatives are those of the concatenation', async (t) => {
  const on = await device();
  const [x, ...ws] = random([[1, 24, 8, 8], ...branches.map(({ w }) => w)]) as [
    ref.Array64,
    ...ref.Array64[],
  ];
  const total = sum(branches.map(({ w }) => w[0]));
  const d = random([[1, total, 8, 8]])[0]!;
  const tensors = [x, ...ws].map((a) => upload(on, a)) as [Tensor, ...Tensor[]];
  const dt = upload(on, d);
  const f = (...[x, ...weights]: Tensor[]) => computed(x!, weights, branches);
  const { value, pullback } = engine.vjp(f, tensors);
  t.equal(value.storage.parts.size, branches.length, 'none was moved');
  const gradients = pullback(dt);
  // By the reference: the cotangent's channels of each part, where that part is positive.
  let start = 0;
  for (const [i, { w, options = {} }] of branches.entries()) {
    const y = ref.conv2d(x, ws[i]!, options);
    const slice = ref.slice(d, [0, start, 0, 0], [1, start + w[0], 8, 8]);
    start += w[0];
    const cotangent = ref.binary.mul(
      slice,
      ref.map(y, (v) => Number(v > 0)),
    );
    if (options.groups !== undefined) continue;
    const dw = ref.conv2dWeightGradient(x, cotangent, [w[2], w[3]], options);
    const error = ref.relativeError(await gradients[1 + i]!.data(), dw.data);
    t.ok(error <= 4e-5, `weight ${i}: error ${error.toExponential(1)}`);
  }
  for (const made of [...tensors, dt, value, ...gradients]) made.dispose();
});
