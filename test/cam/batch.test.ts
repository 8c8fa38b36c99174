// Several pictures explained at once are explained as each of them alone.

import test from 'tape';
import type { BatchOptions } from '../../cam/explain.ts';
import {
  methods as all,
  disposeExplanation,
  type Explanation,
  explain,
  explainBatch,
  type Method,
  targets,
} from '../../cam/index.ts';
import { observeBatch, takesBatches } from '../../cam/trace.ts';
import {
  closeDevice,
  MemoryBudgetError,
  openDevice,
  reshape,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { vit } from '../../models/architectures/vit.ts';
import { conv, linear, plain } from '../../models/layers.ts';
import type { Network } from '../../models/network.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';

/** Pictures [count, 3, height, width] that are all different. */
function pictures({ device }: Network, count: number, [height, width] = [8, 6]): Tensor {
  const next = seededRandom(3);
  const numbers = Float32Array.from({ length: count * 3 * height! * width! }, () => next() * 2 - 1);
  return tensor(device, numbers, [count, 3, height!, width!]);
}

/** f32 sums of some hundred terms in another order. */
const TOLERANCE = 2e-5;

function off(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  const size = Math.max(...expected.map(Math.abs)) || 1;
  return Math.max(...found.map((x, i) => Math.abs(x - expected[i]!))) / size;
}

/** How many numbers of an explanation differ from what it is alone, as text; empty where none does. */
async function differences(found: Explanation, alone: Explanation): Promise<string[]> {
  const said: string[] = [];
  for (const key of ['method', 'layer', 'classIndex', 'className', 'notes'] as const)
    if (String(found[key]) !== String(alone[key])) said.push(`${key}: ${found[key]}, not ${alone[key]}`);
  const pairs: [string, Tensor, Tensor][] = [
    ['map', found.map, alone.map],
    ['upsampled', found.upsampled, alone.upsampled],
    ...alone.terms.map(({ symbol, tensor }, i): [string, Tensor, Tensor] => [
      symbol,
      found.terms[i]!.tensor,
      tensor,
    ]),
  ];
  for (const [name, one, other] of pairs) {
    if (one.shape.join() !== other.shape.join()) said.push(`${name}: [${one.shape}], not [${other.shape}]`);
    const error = off(await one.data(), await other.data());
    if (!(error < TOLERANCE)) said.push(`${name} is off by ${error}`);
  }
  return said;
}

async function compare(t: test.Test, network: Network, inputs: Tensor, options: BatchOptions): Promise<void> {
  const { classesOf = () => options.classes, ...common } = options;
  const together = await explainBatch(network, inputs, options);
  t.equal(together.length, inputs.shape[0], 'explanations of each picture');
  const numbers = await inputs.data();
  const size = numbers.length / together.length;
  for (const [i, found] of together.entries()) {
    const shape = [1, ...inputs.shape.slice(1)];
    const one = tensor(network.device, numbers.subarray(i * size, (i + 1) * size), shape);
    const classes = classesOf(i);
    const alone = await explain(network, one, { ...common, ...(classes && { classes }) });
    t.deepEqual(
      found.map(({ method, classIndex }) => `${method} ${classIndex}`),
      alone.map(({ method, classIndex }) => `${method} ${classIndex}`),
      `picture ${i}`,
    );
    for (const [k, expected] of alone.entries())
      t.deepEqual(await differences(found[k]!, expected), [], `picture ${i}, ${expected.method}`);
    for (const made of [...found, ...alone]) disposeExplanation(made);
    one.dispose();
  }
}

const taking = (of: (method: Method) => boolean): string[] =>
  [...all.values()].filter((method) => method.batches && of(method)).map(({ name }) => name);

/** Other numbers of classes for each picture, none and the predicted one among them. */
const classesOf = (image: number) => [[1, 2], [0], undefined, [], [2, 0, 1]][image % 5];

test('pictures together: every method that takes batches, and others among them', async (t) => {
  const on = await device();
  const methods = [...taking(({ layerOf }) => layerOf === undefined), 'score-cam', 'ablation-cam'];
  t.ok(methods.length > 9, `${methods}`);
  // 19 are a whole chunk and a part. conv2 may be negative, where some methods count denominators.
  const mixed = randomNetwork(on, graphs.gapLinear, 2, 'conv2');
  const some = methods.filter((name) => name !== 'cam');
  await compare(t, mixed, pictures(mixed, 19), { methods: some, classesOf });
  const pooled = randomNetwork(on, graphs.gapLinear);
  await compare(t, pooled, pictures(pooled, 3, [7, 9]), { methods, classesOf, signed: true });
  await compare(t, pooled, pictures(pooled, 2), { methods: ['cam', 'grad-cam'], classes: [3] });
  const curved = randomNetwork(on, graphs.smooth);
  await compare(t, curved, pictures(curved, 3), { methods: some });
});

test('pictures together: several layers, fused or not', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const inputs = pictures(network, 3);
  const options = {
    methods: ['grad-cam', 'layer-cam', 'score-cam'],
    layer: ['conv1', 'features'],
    classesOf,
  };
  await compare(t, network, inputs, options);
  await compare(t, network, inputs, { ...options, fuse: 'mean' });
  await compare(t, network, inputs, { ...options, fuse: 'max' });
});

test('pictures together: attention, with and without a class token', async (t) => {
  const size = { image: 8, patch: 2, width: 8, depth: 2, heads: 2, classes: 5 };
  const methods = taking(({ name }) => name !== 'cam');
  for (const graph of [vit(size), vit({ ...size, head: 'mean' })]) {
    const network = randomNetwork(await device(), graph, 1, 'blocks.1.norm1');
    const inputs = pictures(network, 3, [8, 8]);
    t.ok(takesBatches(network, inputs.shape), 'the network takes batches');
    await compare(t, network, inputs, { methods, classesOf });
  }
});

test('pictures together: networks that take one picture, and targets of a function, go in turn', async (t) => {
  const on = await device();
  const one = plain('one', 'reshape', ['conv1'], (x) => reshape(x, [1, 6 * 48]));
  const nodes = [
    conv('conv1', 'input', { in: 3, out: 6, kernel: 3, padding: 1 }),
    one,
    linear('fc', 'one', { in: 6 * 48, out: 5 }),
  ];
  const single = randomNetwork(on, { nodes, output: 'fc' }, 1, 'conv1');
  const inputs = pictures(single, 3);
  t.notOk(takesBatches(single, inputs.shape), 'a reshape to one row');
  await compare(t, single, inputs, { methods: ['grad-cam', 'hires-cam'], classesOf });
  const pooled = randomNetwork(on, graphs.gapLinear);
  const target = (index: number) => targets.probability(index);
  await compare(t, pooled, inputs, { methods: ['grad-cam'], target, classesOf });
});

test('pictures together: no memory is kept, and what is too much together goes in smaller parts', async (t) => {
  const on = await openDevice({ memoryBudget: 2 ** 19 });
  const network = randomNetwork(on, graphs.gapLinear);
  const inputs = pictures(network, 12, [32, 32]);
  t.throws(() => observeBatch(network, inputs), MemoryBudgetError, 'twelve together are too many');
  await compare(t, network, inputs, { methods: ['grad-cam'], classes: [1] });
  const live: number[] = [];
  for (let run = 0; run < 2; run++) {
    for (const one of (await explainBatch(network, inputs, { methods: ['grad-cam'] })).flat())
      disposeExplanation(one);
    live.push(on.memory.liveBytes);
  }
  t.equal(live[1], live[0], 'live bytes');
  closeDevice(on);
});
