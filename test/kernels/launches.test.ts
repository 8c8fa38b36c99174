// What launch functions hand to the engine: values that fit the uniform structs by name, and more workgroups than one row.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { run } from '../../engine/device.ts';
import { KernelError } from '../../engine/errors.ts';
import { add, type Device, dryDevice, maskImages, type Tensor, tensor } from '../../engine/index.ts';
import { rows } from '../../engine/ops/functions.ts';
import { empty } from '../../engine/tensor.ts';
import { createUniforms, fill, wordsOf } from '../../engine/uniform.ts';
import * as attention from '../../kernels/attention/attention.ts';
import { forward, inputGradient } from '../../kernels/conv/geometry.ts';
import * as naive from '../../kernels/conv/naive.ts';
import * as products from '../../kernels/conv/products.ts';
import * as tiles from '../../kernels/conv/tiles.ts';
import * as winograd from '../../kernels/conv/winograd.ts';
import * as elementwise from '../../kernels/elementwise/elementwise.ts';
import { sources } from '../../kernels/index.ts';
import { type Launch, MOST_ITERATIONS, NO_EPILOGUE as NONE } from '../../kernels/kernel.ts';
import * as layout from '../../kernels/layout/layout.ts';
import { mask } from '../../kernels/mask/mask.ts';
import * as matmul from '../../kernels/matmul/matmul.ts';
import * as normalise from '../../kernels/normalise/normalise.ts';
import * as pool from '../../kernels/pool/pool.ts';
import { figuresOf } from '../../kernels/profile.ts';
import * as reduce from '../../kernels/reduce/reduce.ts';
import { softmax } from '../../kernels/softmax/softmax.ts';
import { fieldsOf, specialise } from '../../kernels/source.ts';
import { bilinear, bilinearAdjoint } from '../../kernels/upsample/upsample.ts';
import { device } from '../device.ts';
import * as ref from '../reference/index.ts';

const window = {
  input: [9, 8],
  output: [7, 6],
  kernel: [3, 3],
  stride: [1, 1],
  dilation: [1, 1],
  padding: [0, 0, 0, 0],
} as const;
const g = { ...window, batch: 2, inChannels: 4, outChannels: 8, groups: 1 };
const [c, adjoint] = [forward(g), inputGradient(g)];
const planes = { ...window, planes: 3, countIncludePad: true };
const strides = { batch: 64, row: 8, column: 1 };
const product = { batch: 2, m: 8, n: 8, k: 8, a: strides, b: strides };
const dim = { outputSize: 6, inputSize: 6, inputStride: 1, mul: 1, add: 0, div: 1 };
const { profile } = dryDevice();
const resampled = { planes: 2, input: [3, 4], output: [5, 6], alignCorners: false } as const;
const inTwo = { ...reduce.reduce('sum', 1, 9, 9, 1, profile), parts: 2 };
const summed = reduce.addedUp(inTwo, ['a'], 'y', NONE, { rows: 3, columns: 3 });
const winogradLaunches = winograd.conv2dWinograd(c, 16, NONE);

/** A launch of each kernel; those of the widest epilogue where there is one. */
const launches: readonly Launch[] = [
  elementwise.unary({ wgsl: 'v + p.a' }, 9, -1, Number.POSITIVE_INFINITY),
  elementwise.binary({ wgsl: 'u - v' }, 9, false, true),
  elementwise.broadcastBinary({ wgsl: 'u * v' }, [{ size: 5, a: 1, b: 0 }]),
  elementwise.broadcastBinary({ wgsl: 'u * v' }, [{ size: 8, a: 1, b: 0 }]),
  layout.strided([{ ...dim, add: -1 }], Number.NaN, 2),
  layout.strided([{ ...dim, outputSize: 8, inputSize: 8 }]),
  layout.place(2, [3, 4], 1, 9, 2),
  layout.place(2, [4, 0], 1, 8, 4),
  layout.take(2, 3, 4, 5),
  layout.put(2, 3, 4, 5).launch,
  layout.selectAlong(2, 3, 4),
  layout.spreadAlong(2, 3, 4),
  reduce.reduce('sum', 2, 3, 4, 0.5, profile).launch,
  reduce.reduce('sum', 2, 99, 1, 0.5, profile).launch,
  reduce.overNorm(9, 3, [1, 2]),
  reduce.argmax(2, 3, 4, true, profile).launch,
  reduce.argmax(2, 99, 1, true, profile).launch,
  reduce.best(2, { outer: 2, n: 3, inner: 4, m: 1, smallest: true }),
  softmax(2, 4, 1, false, profile),
  softmax(2, 4, 3, true, profile),
  softmax(2, 99, 1, true, profile),
  pool.maxPool(planes),
  pool.maxPoolIndices(planes).launch,
  pool.planeScatter(planes).launch,
  pool.avgPool(planes, true).launch,
  bilinear(resampled),
  bilinearAdjoint(resampled).launch,
  normalise.scaleShift(2, 3, 4),
  normalise.moments(2, 3, profile),
  normalise.moments(2, 99, profile),
  normalise.mergeMoments(2, 3),
  normalise.planeDot(2, 3, 1, profile).launch,
  normalise.planeDot(2, 99, 1, profile).launch,
  normalise.standardise(2, 3, 1e-5, 'layerNorm', profile),
  normalise.standardise(2, 99, 1e-5, 'layerNorm', profile),
  naive.conv2dNaive(g, { bias: 'rows', summand: true, clamp: [0, 6] }).launch,
  naive.conv2dInputGradientNaive(g).launch,
  naive.conv2dWeightGradientNaive(g).launch,
  tiles.conv2dRows(c, NONE).x.launch,
  tiles.conv2dRows(c, NONE).w.launch,
  tiles.conv2dRows(c, NONE).y,
  tiles.conv2dDirect(adjoint, NONE, profile).y,
  tiles.conv2dDepthwise(forward({ ...g, outChannels: 4, groups: 4 }), NONE, profile),
  winogradLaunches.w.launch,
  ...winogradLaunches.parts.flatMap(({ x, y }) => [x.launch, y]),
  products.packPatches(g).launch,
  products.gatherPatches(adjoint),
  tiles.packPixels(g).launch,
  tiles.conv2dWeightGradient(g, profile).launch,
  matmul.packFactor({ batch: 1, rows: 8, columns: 8, width: 8 }, strides).launch,
  matmul.matmulNaive(product, NONE).launch,
  matmul.matmulDot(product, { bias: 'rows', summand: true }, profile).launch,
  matmul.matmulRows(matmul.asRows({ ...product, b: { batch: 64, row: 1, column: 8 } }), NONE, profile).launch,
  matmul.matmulTiled(product, { aBatch: 128, bRow: 8, bBatch: 64 }, NONE, profile).launch,
  ...summed.map(({ launch }) => launch),
  attention.attentionMix({ batch: 1, tokens: 5, heads: 2, width: 4 }, profile),
  matmul.matmulShared(matmul.asLines(product), NONE, profile).launch,
  products.conv2dImplicit(c, NONE, profile).launch,
  products.conv2dWeightGradientImplicit(g, profile).launch,
  mask(2, 3, 9),
];

const textOf = (kernel: string) =>
  sources
    .get(kernel)!
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');

/** A launch's uniform as the engine lays it out. */
function laidOut({ kernel, params }: Launch) {
  const fields = fieldsOf(textOf(kernel));
  const uniforms = createUniforms(4 * wordsOf(fields));
  fill(uniforms, 0, fields, params, kernel);
  return uniforms;
}

test('uniforms: the values of every kernel fit its struct by name and type', (t) => {
  for (const launch of launches) t.doesNotThrow(() => laidOut(launch), launch.kernel);
  const covered = [...new Set(launches.map(({ kernel }) => kernel))].sort();
  t.deepEqual(covered, [...sources.keys()].sort(), 'and no kernel is left out');
  t.end();
});

test("uniforms: fields lie where WGSL's rules of layout put them", (t) => {
  const wgsl = 'struct Params {\n  a: u32, b: i32, // of c: f32\n  c: array<vec4u, 2>, d: f32,\n}\n';
  t.deepEqual(
    fieldsOf(wgsl).map(({ name, type, offset, length }) => [name, type, offset, length]),
    [
      ['a', 'u32', 0, 1],
      ['b', 'i32', 1, 1],
      ['c', 'u32', 4, 8],
      ['d', 'f32', 12, 1],
    ],
  );
  t.throws(() => fieldsOf('struct Params { a: vec3f }'), /Params\.a: a vec3f has no layout/);
  t.throws(() => fieldsOf('struct Other { a: u32 }'), /no struct Params/);
  const uniforms = createUniforms(64);
  uniforms.u32.fill(7);
  fill(uniforms, 0, fieldsOf(wgsl), { a: 4294967295, b: -1, c: [1, 2, 3, 4, 5], d: 0.5 }, 'test');
  t.deepEqual([...uniforms.u32.subarray(0, 2)], [4294967295, 4294967295]);
  t.deepEqual([...uniforms.u32.subarray(4, 12)], [1, 2, 3, 4, 5, 0, 0, 0], 'what is not given is 0');
  t.equal(uniforms.f32[12], 0.5);
  t.end();
});

test('uniforms: a wrong, a missing and a superfluous value are refused by name', async (t) => {
  const on = await device();
  const x = tensor(on, [1, 2, 3, 4], [4]);
  const good = normalise.moments(2, 2, profile);
  for (const [params, message] of [
    [{ count: 2 }, /moments: .* inner needs u32 .* undefined/],
    [{ count: 2, inner: 2, outer: 3 }, /moments: the uniform has no field outer/],
    [{ count: 2, inner: -1 }, /moments: .* inner needs u32 .* -1/],
    [{ count: 2, inner: 1.5 }, /moments: .* inner needs u32 .* 1\.5/],
    [{ count: 2, inner: 2 ** 32 }, /moments: .* inner needs u32/],
    [{ count: [2], inner: 2 }, /moments: .* count needs u32/],
  ] as const) {
    const y = empty(on, [4], 'f32', 'test');
    const launch = () => run(on, { ...good, params }, [x.storage], y.storage);
    t.throws(launch, (error: unknown) => error instanceof KernelError && message.test(error.message));
    run(on, good, [x.storage], y.storage);
    t.deepEqual([...(await y.data())], [1.5, 0.25, 3.5, 0.25], 'and the next launch is none the worse');
    y.dispose();
  }
  x.dispose();
});

test('functions: NaN below the least number that each is defined for, and of NaN', async (t) => {
  const on = await device();
  const names = [...rows.unary, ...rows.binary].map(({ name }) => name);
  t.equal(new Set(names).size, names.length, 'each has a name of its own');
  for (const row of rows.unary) {
    const { name, from = Number.NEGATIVE_INFINITY, ofNan } = row;
    const numbers = [Number.NaN, from, from + 0.5, from - 1e-3, from - 100, Number.NEGATIVE_INFINITY];
    const x = tensor(on, numbers, [6]);
    const y = empty(on, [6], 'f32', 'test');
    run(on, elementwise.unary(row, 6, 1, 2), [x.storage], y.storage);
    const [nan, ...found] = [...(await y.data())].map(Number.isNaN);
    t.equal(nan, ofNan === undefined, `${name} of NaN`);
    if (row.from !== undefined) t.deepEqual(found, [false, false, true, true, true], `${name} from ${from}`);
    for (const made of [x, y]) made.dispose();
  }
});

test('launches: every kernel with a loop says how long it is, and no other does', (t) => {
  for (const { kernel, constants, iterations } of launches) {
    const code = specialise(textOf(kernel), constants).replace(/\/\/.*/g, '');
    t.equal(iterations > 0, /\b(for|while|loop)\b/.test(code), `${kernel}: ${iterations} iterations`);
  }
  t.end();
});

test('launches: a thread with too much work is refused', async (t) => {
  const on = await device();
  const x = tensor(on, [1, 2, 3, 4], [4]);
  const y = empty(on, [4], 'f32', 'test');
  const good = normalise.moments(2, 2, profile);
  const start = (iterations: number) => run(on, { ...good, iterations }, [x.storage], y.storage);
  const parts = [/^moments: /, /65536 times/, /65535/];
  t.throws(
    () => start(MOST_ITERATIONS + 1),
    (error: unknown) =>
      error instanceof KernelError && parts.every((part) => part.test((error as Error).message)),
  );
  t.doesNotThrow(() => start(MOST_ITERATIONS), 'one iteration less is not');
  for (const made of [x, y]) made.dispose();
});

/** More threads than one row of workgroups has, with a remainder. */
const BEYOND = 65_535 * 64 + 12_345;

const random = (on: Device, shape: readonly number[]) => {
  const values = ref.randomArray(shape, ref.seededRandom(5)).data;
  const x = tensor(on, values, shape);
  return { x, values: Float32Array.from(values) };
};

/** Compares all of a tensor's numbers with what `wanted` says of each, and disposes it. */
async function equals(t: test.Test, y: Tensor, wanted: (i: number) => number, about: string) {
  const found = await y.data();
  const wrong = found.findIndex((value, i) => Math.abs(value - wanted(i)) > 1e-6 * (1 + Math.abs(wanted(i))));
  t.equal(wrong, -1, `${about}: ${found.length} numbers`);
  y.dispose();
}

test('launches: an element each, beyond one row of workgroups', async (t) => {
  const on = await device();
  const columns = 45;
  const rows = Math.ceil(BEYOND / columns);
  const a = random(on, [rows, columns]);
  const b = random(on, [rows, 1]);
  const wanted = (i: number) => a.values[i]! + b.values[Math.floor(i / columns)]!;
  await equals(t, add(a.x, b.x), wanted, 'broadcast');
  for (const made of [a, b]) made.x.dispose();
});

test('launches: a tile each, beyond one row of workgroups', async (t) => {
  const on = await device();
  const batch = 65_535 * figuresOf(on.profile).tileWorkgroup + 4321;
  const [a, b] = [random(on, [batch, 4]), random(on, [batch, 4])];
  const { launch } = matmul.matmulTiled(
    { batch, m: 1, n: 1, k: 1 },
    { aBatch: 4, bRow: 4, bBatch: 4 },
    NONE,
    on.profile,
  );
  const y = empty(on, [batch], 'f32', 'test');
  run(on, launch, [a.x.storage, b.x.storage, a.x.storage, a.x.storage], y.storage);
  await equals(t, y, (i) => a.values[4 * i]! * b.values[4 * i]!, 'products of one row with one column');
  for (const made of [a, b]) made.x.dispose();
});

test('launches: a workgroup each, beyond one row of them', async (t) => {
  const on = await device();
  const masks = 65_535 + 210;
  const x = random(on, [1, 1, 1, 3]);
  const u = random(on, [masks, 1, 1, 3]);
  const low = tensor(on, new Float32Array(masks).fill(-2), [masks]);
  const high = tensor(on, new Float32Array(masks).fill(2), [masks]);
  const wanted = (i: number) => (x.values[i % 3]! * (u.values[i]! + 2)) / 4;
  await equals(t, maskImages(x.x, u.x, low, high), wanted, 'masks');
  for (const made of [x.x, u.x, low, high]) made.dispose();
});
