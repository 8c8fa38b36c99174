// Weights in half precision: every kernel that reads one gives what it gives for the rounded numbers in f32.

import test, { type Test } from 'tape';
import { floatToHalf, halfToFloat } from '../../engine/half.ts';
import type { Device, Tensor } from '../../engine/index.ts';
import * as engine from '../../engine/index.ts';
import { weightTensor } from '../../engine/tensor.ts';
import { sources } from '../../kernels/index.ts';
import { deviceClasses } from '../../kernels/profile.ts';
import { withHalves } from '../../kernels/source.ts';
import { device } from '../device.ts';
import * as ref from '../reference/index.ts';

const rounded = (x: ref.Array64): ref.Array64 => ref.map(x, (v) => halfToFloat(floatToHalf(v)));
const asHalf = (on: Device): Device => ({ ...on, precision: 'f16' });

async function close(t: Test, y: Tensor, expected: ref.Array64, about: string) {
  const error = ref.relativeError(await y.data(), expected.data);
  t.ok(error <= 2e-5, `${about}: error ${error.toExponential(1)}`);
  y.dispose();
}

test('precision: weights are rounded to the nearest half, and take half the memory', async (t) => {
  const on = await device();
  const x = ref.randomArray([7, 13], ref.seededRandom(1));
  const before = on.memory.liveBytes;
  const w = weightTensor(asHalf(on), x.data, x.shape);
  t.ok(on.memory.liveBytes - before <= 256, 'of 91 numbers 182 bytes');
  t.deepEqual([...(await w.data())], [...rounded(x).data], 'as they are read back');
  await engine.toHost([w]);
  t.deepEqual([...(await w.data())], [...rounded(x).data], 'and from the host');
  w.dispose();
  for (const value of [65_520, -1e9]) {
    const data = Float32Array.from({ length: 91 }, (_, i) => (i === 90 ? value : i / 3));
    const whole = weightTensor(asHalf(on), data, [7, 13]);
    t.deepEqual(
      [...(await whole.data())],
      [...data],
      `${value} is beyond halves: all of them stay as they are`,
    );
    whole.dispose();
  }
  t.throws(() => weightTensor(asHalf(on), [1, 2, 3], [2]), /3 numbers do not fill the shape \[2\]/);
});

test('precision: convolutions and products with weights in halves', async (t) => {
  const on = await device();
  const convolutions: readonly [number[], number[], engine.ConvOptions][] = [
    [[1, 8, 9, 12], [16, 8, 1, 1], {}],
    [[2, 5, 11, 9], [7, 5, 3, 3], { padding: [1, 1, 1, 1] }],
    [[1, 32, 30, 31], [33, 32, 3, 3], { padding: [1, 1, 1, 1] }],
    [[1, 3, 19, 23], [4, 3, 7, 7], { stride: [2, 2], padding: [3, 3, 3, 3] }],
    [[2, 7, 9, 10], [7, 1, 3, 3], { groups: 7, padding: [1, 1, 1, 1] }],
    [[1, 6, 9, 9], [10, 3, 5, 5], { groups: 2, dilation: [1, 2] }],
  ];
  const products: readonly [number[], number[]][] = [
    [
      [1, 60],
      [11, 60],
    ],
    [
      [5, 63],
      [21, 63],
    ],
    [
      [40, 96],
      [75, 96],
    ],
  ];
  for (const of of deviceClasses) {
    const at: Device = asHalf({ ...on, profile: { ...on.profile, class: of } });
    const next = ref.seededRandom(3);
    for (const [xs, ws, options] of convolutions) {
      const [x, w] = [ref.randomArray(xs, next), ref.randomArray(ws, next)];
      const about = `${of}, [${xs}] by [${ws}] ${JSON.stringify(options)}`;
      const [xt, wt] = [engine.tensor(at, x.data, x.shape), weightTensor(at, w.data, w.shape)];
      const y = ref.conv2d(x, rounded(w), options);
      await close(t, engine.conv2d(xt, wt, options), y, about);
      const yt = engine.tensor(at, y.data, y.shape);
      const [dx, dw] = engine.scope(() =>
        engine.vjp((x, w) => engine.conv2d(x!, w!, options), [xt, wt]).pullback(yt),
      ) as [Tensor, Tensor];
      const size = [xs[2]!, xs[3]!] as const;
      await close(t, dx, ref.convTranspose2d(y, rounded(w), size, options), `${about}, input gradient`);
      await close(
        t,
        dw,
        ref.conv2dWeightGradient(x, y, [ws[2]!, ws[3]!], options),
        `${about}, weight gradient`,
      );
      for (const made of [xt, wt, yt]) made.dispose();
    }
    for (const [xs, ws] of products) {
      const [x, w] = [ref.randomArray(xs, next), ref.randomArray(ws, next)];
      const [xt, wt] = [engine.tensor(at, x.data, x.shape), weightTensor(at, w.data, w.shape)];
      const expected = ref.matmul(x, ref.transpose(rounded(w), [1, 0]));
      await close(t, engine.linear(xt, wt), expected, `${of}, [${xs}] by [${ws}]`);
      for (const made of [xt, wt]) made.dispose();
    }
  }
});

test('precision: whatever else is made of a weight', async (t) => {
  const on = asHalf(await device());
  const next = ref.seededRandom(4);
  const [w, v] = [ref.randomArray([6, 8], next), ref.randomArray([6, 1], next)];
  const [h, vt] = [rounded(w), engine.tensor(on, v.data, v.shape)];
  const wt = weightTensor(on, w.data, w.shape);
  for (const [about, y, expected] of [
    ['relu', engine.relu(wt), ref.map(h, (x) => Math.max(0, x))],
    ['broadcast product', engine.mul(wt, vt), ref.binary.mul(h, v)],
    ['transposed', engine.transpose(wt, [1, 0]), ref.transpose(h, [1, 0])],
    ['row', engine.narrow(wt, 0, 3, 1), ref.map(ref.array([1, 8], [...h.data.slice(24, 32)]), (x) => x)],
    ['two together', engine.concat([wt, wt], 0), ref.concat([h, h], 0)],
    ['softmax', engine.softmax(wt, 1), ref.softmax(h, 1)],
    ['under another shape', engine.reshape(wt, [48]), ref.reshape(h, [48])],
  ] as const)
    await close(t, y, expected, about);
  for (const made of [wt, vt]) made.dispose();
});

test('precision: a weight larger than a kernel sees goes in parts of its rows', async (t) => {
  const on = await device();
  const limits = { ...on.profile.limits, binding: 70_000 };
  const at: Device = asHalf({ ...on, profile: { ...on.profile, limits } });
  const next = ref.seededRandom(6);
  const [x, w] = [ref.randomArray([2, 129], next), ref.randomArray([300, 129], next)];
  const [xt, wt] = [engine.tensor(at, x.data, x.shape), weightTensor(at, w.data, w.shape)];
  t.ok(wt.storage.size > limits.binding, 'it is larger');
  await close(t, engine.linear(xt, wt), ref.matmul(x, ref.transpose(rounded(w), [1, 0])), 'three parts');
  for (const made of [xt, wt]) made.dispose();
});

test('precision: what reads of an input become', (t) => {
  const wgsl = `@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
fn main() { y[i] = a[p.a[1] + u32(a[j])] * b[i].x + aa[i]; }
`;
  const text = withHalves(wgsl, [1, 2]);
  t.match(
    text,
    /y\[i\] = aElement\(u32\(p\.a\[1\] \+ u32\(aElement\(u32\(j\)\)\)\)\) \* bElement\(u32\(i\)\)\.x \+ aa\[i\];/,
  );
  t.match(text, /var<storage, read> aHalves: array<u32>;/);
  t.match(text, /var<storage, read> bHalves: array<vec2u>;/);
  t.equal(withHalves(wgsl, []), wgsl);
  t.ok(sources.size > 0);
  t.end();
});
