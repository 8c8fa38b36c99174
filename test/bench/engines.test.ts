// What engines are made of that needs no engine: variants of kernels against float64, written ones, pads, another library's
// layers.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { difference, expectedOf, sampleOf } from '../../bench/compare.ts';
import { flat, interpret, poolPadding } from '../../bench/engines/interpret.ts';
import { limelightOn } from '../../bench/engines/limelight.node.ts';
import { prepareKernel } from '../../bench/engines/limelight-kernels.ts';
import { loadMeasured } from '../../bench/networks.node.ts';
import type { KernelProblem, Problem } from '../../bench/problems.ts';
import { awkward, planOf, type WrittenKernel } from '../../bench/written.ts';
import { commandsOf } from '../../engine/device.ts';
import { add, relu } from '../../models/layers.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';

const conv = { op: 'conv2d', batch: 1, inChannels: 1, outChannels: 1, size: [1, 1] } as const;
const problems: readonly KernelProblem[] = [
  { op: 'matmul', m: 1, n: 1, k: 1 },
  { ...conv, kernel: 3, groups: 1 },
  { ...conv, kernel: 1, groups: 1 },
  { ...conv, kernel: 5, groups: 2 },
].flatMap((problem) => awkward(problem as KernelProblem));

test('every variant of a kernel computes what its definition says', async (t) => {
  const engine = limelightOn(await device());
  for (const problem of problems) {
    for (const variant of [undefined, ...engine.variants!(problem)]) {
      const prepared = await engine.prepare(problem, variant);
      const found = sampleOf(await prepared.run(3));
      prepared.dispose();
      const off = difference(expectedOf(problem), found);
      t.ok(off < 1e-5, `${variant ?? 'what is chosen'}, ${JSON.stringify(problem)}: off by ${off}`);
    }
  }
});

test('the gradient that is compared with other engines is that of half the logits squared', async (t) => {
  const engine = limelightOn(await device());
  const network = 'digit-scenes';
  const numbers = async (problem: Problem) => {
    const prepared = await engine.prepare(problem);
    const found = Array.from(await prepared.run(1));
    prepared.dispose();
    return found;
  };
  const logits = await numbers({ op: 'forward', network, batch: 1 });
  const gradient = await numbers({ op: 'gradient', network });
  const { tensors } = await loadMeasured(network);
  const head = [...tensors.values()].find(({ shape }) => shape.join() === '10,48')!.data;
  const z = gradient.length / 48;
  // Behind a mean and a linear layer: sum over classes of logit times weight, at each of z places.
  const expected = gradient.map((_, i) =>
    logits.reduce((sum, logit, c) => sum + (logit * head[c * 48 + Math.floor(i / z)]!) / z, 0),
  );
  t.ok(relativeError(gradient, expected) < 1e-5, `off by ${relativeError(gradient, expected)}`);
});

test('a kernel that is written elsewhere stands alone, or in a variant', async (t) => {
  const opened = await device();
  const wgslOf = (name: string) => readFileSync(new URL(`../../${name}.wgsl`, import.meta.url), 'utf8');
  const compute = async (problem: KernelProblem, written: WrittenKernel) => {
    const plan = planOf(opened, problem, written);
    if (plan === undefined) return undefined;
    const prepared = await prepareKernel(opened, problem, plan);
    try {
      return difference(expectedOf(problem), sampleOf(await prepared.run(1)));
    } finally {
      prepared.dispose();
    }
  };
  for (const problem of problems) {
    const wgsl = `${wgslOf(`bench/templates/${problem.op}`)}${wgslOf('kernels/threads')}`;
    const off = await compute(problem, { name: 'mine', wgsl });
    t.ok(off! < 1e-5, `what one begins with, ${JSON.stringify(problem)}`);
  }
  const [problem] = problems;
  const naive = commandsOf(opened).wgsl.get('matmulNaive')!;
  const instead = { variant: 'naive', kernel: 'matmulNaive' };
  const product: KernelProblem = { op: 'matmul', m: 13, n: 20, k: 7 };
  t.ok((await compute(product, { name: 'same', wgsl: naive, instead }))! < 1e-5, 'the same text');
  const doubled = naive.replace('var total = 0.0;', 'var total = 1.0;');
  t.ok(
    (await compute(product, { name: 'changed', wgsl: doubled, instead }))! > 0.1,
    'a changed one computes what it says',
  );
  const elsewhere = { variant: 'winograd', kernel: 'winogradInput' };
  t.equal(
    await compute(product, { name: 'none', wgsl: naive, instead: elsewhere }),
    undefined,
    'not for that problem',
  );
  const without = wgslOf('kernels/threads').replace('WORKGROUP', 'OTHER');
  t.throws(
    () => planOf(opened, problem!, { name: 'x', wgsl: without }),
    /RangeError: the kernel has no line "const ROWS = …u;"/,
  );
});

test('an unknown variant is refused by name', async (t) => {
  const engine = limelightOn(await device());
  await engine.prepare(problems[0]!, 'fastest').then(
    () => t.fail('was prepared'),
    (error: Error) => t.match(error.message, /matmul has no variant fastest/),
  );
});

test('pooling in ceil mode is padded to whole windows', (t) => {
  const pool = { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 0, 0] } as const;
  t.deepEqual(poolPadding(54, 0, { ...pool, ceilMode: true }), [0, 1], '54 -> 27');
  t.deepEqual(poolPadding(55, 0, { ...pool, ceilMode: true }), [0, 0], '55 -> 27');
  t.deepEqual(poolPadding(54, 1, { ...pool, ceilMode: false }), [0, 0], '54 -> 26');
  t.deepEqual(poolPadding(6, 0, { ...pool, padding: [1, 0, 1, 0], ceilMode: false }), [1, 0]);
  t.end();
});

test('a graph runs in other tensors, each node once', (t) => {
  const graph = { nodes: [relu('a', 'input'), add('b', 'a', 'a'), add('c', 'b', 'a')], output: 'c' };
  let calls = 0;
  const layers = {
    relu: ([x]: readonly number[]) => {
      calls++;
      return Math.max(0, x!);
    },
    add: ([x, y]: readonly number[]) => x! + y!,
  };
  t.equal(interpret(graph, layers, new Map(), new Map([['input', 2]]), 'c'), 6);
  t.equal(calls, 1);
  t.equal(interpret(graph, layers, new Map(), new Map([['a', 5]]), 'c'), 15, 'from a layer on');
  t.throws(() => interpret(graph, { add: layers.add }, new Map(), new Map([['input', 2]]), 'c'), /kind relu/);
  t.end();
});

test('only what has one number a channel is flattened, whatever the order of axes', (t) => {
  t.equal(
    flat([16, 1, 1, 256], () => 'flat'),
    'flat',
  );
  t.throws(() => flat([16, 7, 7, 256], () => 'flat'), /flattening \[16, 7, 7, 256\] is not supported/);
  t.end();
});
