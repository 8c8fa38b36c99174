// Several devices in one process, commands that WebGPU refuses, and weights larger than a kernel sees of one buffer.

import test from 'tape';
import { explain, explainBatch, methods } from '../../cam/index.ts';
import { run } from '../../engine/device.ts';
import * as engine from '../../engine/index.ts';
import { type Device, KernelError, MemoryBudgetError, MixedDevicesError, scope } from '../../engine/index.ts';
import { trim } from '../../engine/memory.ts';
import { empty } from '../../engine/tensor.ts';
import { launch } from '../../kernels/kernel.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { device } from '../device.ts';
import * as ref from '../reference/index.ts';

const rejects = (t: test.Test, promise: Promise<unknown>, type: typeof KernelError, pattern: RegExp) =>
  promise.then(
    () => t.fail(`${pattern} did not fail`),
    (error: unknown) => t.ok(error instanceof type && pattern.test(error.message), String(error)),
  );

test('devices: buffers of two are never taken for each other', async (t) => {
  const [one, other] = [await engine.openDevice(), await engine.openDevice()];
  const values = async (on: Device, base: number) => {
    const [p, q] = [base, 2 * base].map((value) => engine.tensor(on, [value, value, value], [3]));
    const y = engine.add(p!, q!);
    return [...(await y.data())];
  };
  t.deepEqual(await values(one, 1), [3, 3, 3]);
  t.deepEqual(await values(other, 10), [30, 30, 30]);
  const numbers = [one, other].map((on) => engine.tensor(on, [1], [1]).storage.number);
  t.notEqual(numbers[0], numbers[1], 'nor do two have one number');
  for (const on of [one, other]) engine.closeDevice(on);
});

test('devices: operations refuse tensors of several, in their own name and before anything is recorded', async (t) => {
  const on = await device();
  const [other, dry] = [await engine.openDevice(), engine.dryDevice()];
  for (const on2 of [other, dry]) {
    const here = (...shape: number[]) => engine.full(on, shape, 1);
    const there = (...shape: number[]) => engine.full(on2, shape, 1);
    const index = engine.indexTensor(on2, [0], [1]);
    const both = (f: (a: engine.Tensor, b: engine.Tensor) => unknown, ...shape: number[]) => [
      [here(...shape), there(...shape), f] as const,
      [there(...shape), here(...shape), f] as const,
    ];
    const rows = [
      ...both(engine.add, 3).map((row) => ['add', ...row] as const),
      ...both(engine.pow, 3).map((row) => ['pow', ...row] as const),
      ...both(engine.matmul, 2, 2).map((row) => ['matmul', ...row] as const),
      ...both(engine.linear, 2, 2).map((row) => ['matmul', ...row] as const),
      ...both((a, b) => engine.linear(a, a, { bias: b }), 1, 1).map((row) => ['matmul', ...row] as const),
      ...both(engine.conv2d, 1, 1, 1, 1).map((row) => ['conv2d', ...row] as const),
      ...both((a, b) => engine.concat([a, a, b], 0), 2).map((row) => ['concat', ...row] as const),
      ...both(engine.crossEntropy, 1, 2).map((row) => ['crossEntropy', ...row] as const),
      ...both(engine.binaryCrossEntropy, 2).map((row) => ['binaryCrossEntropy', ...row] as const),
      ...both((a, b) => engine.layerNorm(a, a, b), 2).map((row) => ['layerNorm', ...row] as const),
      ...both((a, b) => engine.addBias(a, b, 0), 2).map((row) => ['bias', ...row] as const),
      ...both((a, b) => engine.vjp((x) => engine.exp(x), [a]).pullback(b), 2).map(
        (row) => ['pullback', ...row] as const,
      ),
      ['gather', here(2), index, (a, b) => engine.gather(a, b, 0)],
    ] as const satisfies readonly (readonly [
      string,
      engine.Tensor,
      engine.Tensor,
      (a: engine.Tensor, b: engine.Tensor) => unknown,
    ])[];
    const state = () => [on, on2].map(({ memory, commands }) => [memory.liveBytes, commands?.dispatches]);
    for (const [name, a, b, f] of rows) {
      const before = state();
      try {
        scope(() => {
          f(a, b);
        });
        t.fail(`${name} took both`);
      } catch (error) {
        const { message } = error as Error;
        const says = message.startsWith(`${name}: tensor 0 of shape`) && message.includes('on one device');
        t.ok(error instanceof MixedDevicesError && says, message);
      }
      // What a function records of its first tensor alone, as pullback does, is no mixture.
      if (name !== 'pullback') t.deepEqual(state(), before, `${name} leaves nothing behind`);
    }
    await rejects(t, engine.toHost([here(1), there(1)]), MixedDevicesError, /^toHost: tensor 0/);
    const y = empty(on, [1], 'f32', 'test');
    const record = () => run(on, launch('take', 1, {}), [there(1).storage, index.storage], y.storage);
    t.throws(record, (error: unknown) => error instanceof MixedDevicesError && /^take: /.test(error.message));
    y.dispose();
  }
  const x = engine.full(on, [2], 1);
  t.deepEqual([...(await engine.add(x, x).data())], [2, 2], 'and the device computes on');
  engine.closeDevice(other);
});

test('devices: a network and what it explains are on one', async (t) => {
  const [on, other] = [await device(), await engine.openDevice()];
  const network = randomNetwork(on, graphs.gapLinear);
  const [x, pair] = [engine.full(other, [1, 3, 6, 8], 1), engine.full(other, [2, 3, 6, 8], 1)];
  const live = () => [on, other].map(({ memory }) => memory.liveBytes);
  const before = live();
  for (const method of methods.values())
    await rejects(t, explain(network, x, { methods: [method] }), MixedDevicesError, /on one device/);
  await rejects(t, explainBatch(network, pair), MixedDevicesError, /on one device/);
  t.deepEqual(live(), before, 'nothing is left behind');
  engine.closeDevice(other);
});

const doubling = (factor: string) => `
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
const WORKGROUP = 64u;
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  if (g.x < p.count) { y[g.x] = ${factor} * x[g.x]; }
}
`;

test('refused commands: thrown for what they were to compute, and nothing of them stays', async (t) => {
  const on = await engine.openDevice();
  const kernels = on.commands!.wgsl as Map<string, string>;
  kernels.set('doubling', doubling('two'));
  const x = engine.tensor(on, [1, 2, 3], [3]);
  const older = engine.exp(engine.full(on, [1], 0));
  engine.flush(on);
  const record = () => {
    const y = empty(on, [3], 'f32', 'test');
    run(on, launch('doubling', 3, { count: 3 }), [x.storage], y.storage);
    return y;
  };
  const y = record();
  const sum = engine.add(y, x);
  t.deepEqual([...(await older.data())], [1], 'what was computed before is read');
  await rejects(t, y.data(), KernelError, /refused.*doubling/s);
  await rejects(t, sum.data(), KernelError, /refused.*doubling/s);
  t.throws(() => engine.add(sum, x), KernelError, 'and whatever is made of it');
  t.deepEqual([...(await x.data())], [1, 2, 3], 'what was uploaded is read');
  t.deepEqual([...(await engine.scale(x, 3).data())], [3, 6, 9], 'a later call is not blamed');
  kernels.set('doubling', doubling('2.0'));
  t.deepEqual([...(await record().data())], [2, 4, 6], 'the kernel is compiled anew');
  const few = () => run(on, launch('doubling', 3, { count: 3 }), [], y.storage);
  t.throws(few, (error: unknown) => error instanceof KernelError && /doubling.* 1 .* 2 /.test(error.message));
  engine.closeDevice(on);
});

const upload = (on: Device, { data, shape }: ref.Array64) => engine.tensor(on, data, shape);

async function close(t: test.Test, found: engine.Tensor, wanted: ref.Array64, about: string) {
  const error = ref.relativeError(await found.data(), wanted.data);
  t.ok(error <= 1e-5, `${about}: error ${error.toExponential(1)}`);
  found.dispose();
}

test('large weights: linear goes through them a part of their rows at a time', async (t) => {
  const real = await device();
  // As if a kernel saw no more than this of a buffer.
  const on = (binding: number): Device => ({
    ...real,
    profile: { ...real.profile, limits: { ...real.profile.limits, binding } },
  });
  for (const { lead, from, to, binding } of [
    { lead: [1], from: 64, to: 129, binding: 2 ** 14 },
    { lead: [7], from: 48, to: 300, binding: 30_000 },
    { lead: [2, 3], from: 33, to: 200, binding: 2 ** 14 },
    { lead: [], from: 65, to: 130, binding: 2 ** 15 },
  ]) {
    const at = on(binding);
    const next = ref.seededRandom(from);
    const shape = [...lead, to];
    const [x, w, b, s, d] = [[...lead, from], [to, from], [to], shape, shape].map((own) =>
      ref.randomArray(own, next),
    ) as [ref.Array64, ref.Array64, ref.Array64, ref.Array64, ref.Array64];
    const rows = (a: ref.Array64) => ref.reshape(a, [engine.sizeOf(lead), a.shape.at(-1)!]);
    const product = ref.reshape(ref.matmul(rows(x), ref.transpose(w, [1, 0])), shape);
    const sums = ref.binary.add(ref.binary.add(product, b), s);
    const relu = ref.map(sums, (v) => Math.max(0, v));
    const slope = ref.map(sums, (v) => Number(v > 0));
    const dx = ref.reshape(ref.matmul(rows(ref.binary.mul(d, slope)), w), x.shape);
    const [xt, wt, bt, st, dt] = [x, w, b, s, d].map((a) => upload(at, a)) as [
      engine.Tensor,
      engine.Tensor,
      engine.Tensor,
      engine.Tensor,
      engine.Tensor,
    ];
    t.ok(wt.storage.size > binding, `a weight of ${wt.storage.size} bytes, ${binding} at once`);
    const about = `[${lead}] of ${from} to ${to}`;
    await close(
      t,
      engine.scope(() => engine.linear(xt, wt)),
      product,
      about,
    );
    const f = (y: engine.Tensor) => engine.linear(y, wt, { bias: bt, summand: st, activation: 'relu' });
    await close(
      t,
      engine.scope(() => f(xt)),
      relu,
      `${about}, with all that may follow`,
    );
    // The weight goes before its derivative is taken: the tape keeps it.
    const found = engine.scope(() => {
      const { pullback } = engine.vjp(f, [xt]);
      wt.dispose();
      return pullback(dt)[0]!;
    });
    await close(t, found, dx, `${about}, input gradient`);
    const weight = upload(at, w);
    t.throws(
      () => engine.grad((y) => engine.sum(engine.linear(xt, y)))(weight),
      (error: unknown) => error instanceof MemoryBudgetError && /whatever the batch/.test(error.message),
      `${about}, weight gradient`,
    );
    weight.dispose();
    for (const made of [xt, bt, st, dt]) made.dispose();
  }
  const small = on(2 ** 12);
  const [x, w] = [engine.full(small, [1, 32], 1), engine.full(small, [100, 32], 1)];
  for (const [f, says] of [
    [() => engine.exp(w), /^exp: input 0 of shape \[100, 32\], a weight and not the batch, takes 0\.0 MiB/],
    [() => engine.matmul(x, w, false, true), /^matmul: input 1 of shape \[100, 32\]/],
    [() => engine.linear(x, w), /^linear: 64 rows of the weight \[100, 32\]/],
  ] as const) {
    t.throws(f, (error: unknown) => error instanceof MemoryBudgetError && says.test(error.message));
  }
  for (const made of [x, w]) made.dispose();
});

test('large weights: more than one binding of a software adapter', async (t) => {
  const on = await device();
  const [from, to] = [16_384, 2300]; // 144 MiB
  const before = on.memory.liveBytes;
  // Of whole numbers below 2^24 every sum is exact.
  const weight = (o: number, i: number) => ((o * 31 + i * 7) % 11) - 5;
  const values = new Float32Array(to * from);
  for (let o = 0; o < to; o++) for (let i = 0; i < from; i++) values[o * from + i] = weight(o, i);
  const w = engine.tensor(on, values, [to, from]);
  for (const batch of [1, 6]) {
    const x = engine.tensor(
      on,
      Float32Array.from({ length: batch * from }, (_, i) => (i % 5) - 2),
      [batch, from],
    );
    const d = engine.tensor(
      on,
      Float32Array.from({ length: batch * to }, (_, i) => (i % 3) - 1),
      [batch, to],
    );
    const { value, dx } = engine.scope(() => {
      const { value, pullback } = engine.vjp((y) => engine.linear(y, w), [x]);
      return { value, dx: pullback(d)[0]! };
    });
    const [y, gradient] = [await value.data(), await dx.data()];
    for (let n = 0; n < batch; n++) {
      for (const o of [0, 1, 1023, 1024, 2047, 2048, to - 1]) {
        let wanted = 0;
        for (let i = 0; i < from; i++) wanted += (((n * from + i) % 5) - 2) * weight(o, i);
        t.equal(y[n * to + o], wanted, `batch ${batch}: output ${o} of ${n}`);
      }
      for (const i of [0, 1, 8191, from - 1]) {
        let wanted = 0;
        for (let o = 0; o < to; o++) wanted += (((n * to + o) % 3) - 1) * weight(o, i);
        t.equal(gradient[n * from + i], wanted, `batch ${batch}: derivative ${i} of ${n}`);
      }
    }
    for (const made of [x, d, value, dx]) made.dispose();
  }
  w.dispose();
  t.equal(on.memory.liveBytes, before, 'and copies of parts go with the weight');
  trim(on.memory);
});

test('devices: one that is lost says so, and how to go on', async (t) => {
  const on = await engine.openDevice();
  const x = engine.full(on, [2], 1);
  const { gpu } = on.commands!;
  gpu.destroy();
  await gpu.lost;
  const lost = /was lost[\s\S]*openDevice\(\) and load the network there/;
  t.throws(
    () => engine.add(x, x),
    (error: unknown) => error instanceof engine.DeviceLostError && lost.test(error.message),
  );
  await rejects(t, x.data(), engine.DeviceLostError, lost);
  await rejects(t, engine.toHost([x]), engine.DeviceLostError, lost);
  engine.closeDevice(on);
});
