// Evaluating graphs: stopping at a node, running again from one, what skips past it; loading weights.

import test from 'tape';
import { broadcastTo, mul, scope, type Tensor, tensor } from '../../engine/index.ts';
import { vit } from '../../models/architectures/vit.ts';
import { shapesOf } from '../../models/dry-run.ts';
import { boundary, evaluate, type Graph, INPUT } from '../../models/graph.ts';
import { adaptiveAvgPool, add, batchNorm, concat, conv, linear, relu, relu6 } from '../../models/layers.ts';
import { disposeNetwork, loadNetwork, type NetworkDescription } from '../../models/network.ts';
import { run } from '../../models/run.ts';
import { graphs, randomNetwork, randomTensors } from '../cam/networks.ts';
import { device } from '../device.ts';
import { randomArray, relativeError, seededRandom } from '../reference/index.ts';

async function input(): Promise<Tensor> {
  const next = seededRandom(3);
  return tensor(
    await device(),
    Float32Array.from({ length: 3 * 8 * 6 }, () => next() * 2 - 1),
    [1, 3, 8, 6],
  );
}

test('boundary: what skips past a layer', (t) => {
  t.deepEqual(
    boundary(graphs.gapLinear, ['features'], ['classifier']),
    [],
    'nothing skips past the last map',
  );
  t.deepEqual(boundary(graphs.gapLinear, ['relu2'], ['classifier']), ['pool'], 'the residual branch does');
  t.deepEqual(boundary(graphs.gapLinear, ['pool'], ['classifier']), [], 'both branches start there');
  t.deepEqual(
    boundary(graphs.gapLinear, ['conv2'], ['relu1', 'features']),
    ['relu1', 'pool'],
    'what is wanted as well',
  );
  t.end();
});

test('running again from any node gives the output of the whole run', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const { graph, parameters } = network;
  const known = new Map([[INPUT, await input()]]);
  const whole = evaluate(graph, parameters, known, ['classifier']).get('classifier')!;
  for (const { name } of graph.nodes) {
    const again = scope(() => {
      const values = evaluate(graph, parameters, known, [
        ...new Set([name, ...boundary(graph, [name], [graph.output])]),
      ]);
      return evaluate(graph, parameters, values, ['classifier']).get('classifier')!;
    });
    t.deepEqual(await again.data(), await whole.data(), name);
  }
});

test('N versions of one feature map in a batch are N single runs, past a residual branch too', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const { graph, parameters } = network;
  const factors = [0, 0.5, 1, 2, -1];
  const values = evaluate(graph, parameters, new Map([[INPUT, await input()]]), ['relu2', 'pool']);
  const from = (a: Tensor) =>
    evaluate(graph, parameters, new Map([...values, ['relu2', a]]), ['classifier']).get('classifier')!;
  const base = values.get('relu2')!;
  const batch = scope(() => {
    const scales = tensor(base.device, factors, [factors.length, 1, 1, 1]);
    return from(mul(broadcastTo(base, [factors.length, ...base.shape.slice(1)]), scales));
  });
  t.deepEqual(batch.shape, [factors.length, 5]);
  const rows = await batch.data();
  for (const [i, factor] of factors.entries()) {
    const one = scope(() => from(mul(base, tensor(base.device, [factor], [1]))));
    t.ok(relativeError(rows.slice(5 * i, 5 * i + 5), await one.data()) < 1e-6, `factor ${factor}`);
  }
});

test('evaluate refuses what nothing gives', async (t) => {
  const { graph, parameters } = randomNetwork(await device(), graphs.dense);
  t.throws(() => evaluate(graph, parameters, new Map(), ['fc2']), /nothing gives input/);
  t.end();
});

test('weights that do not fit are listed together; NaN is refused', async (t) => {
  const gpu = await device();
  const graph: Graph = graphs.convGap;
  const description: NetworkDescription = {
    name: 'net',
    summary: '',
    graph,
    preprocessing: { channels: 3, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: [],
    probabilities: 'softmax',
    targetLayer: 'features',
  };
  const good = randomTensors(graph, 1);
  const bad = new Map(good);
  bad.delete('conv1.bias');
  bad.set('scores.weight', { shape: [4, 5, 1, 1], data: new Float32Array(20) });
  bad.set('surplus', { shape: [], data: new Float32Array(1) });
  const before = gpu.memory.liveBytes;
  try {
    loadNetwork(gpu, description, bad);
    t.fail('must refuse');
  } catch (error) {
    const text = String(error);
    t.match(text, /missing conv1\.bias \[6\]/);
    t.match(text, /scores\.weight is \[4, 5, 1, 1\], expected \[4, 6, 1, 1\]/);
    t.match(text, /unexpected surplus/);
  }
  const poisoned = new Map(good);
  const weight = good.get('conv1.weight')!;
  poisoned.set('conv1.weight', {
    shape: weight.shape,
    data: weight.data.map((v, i) => (i === 5 ? Number.NaN : v)),
  });
  t.throws(() => loadNetwork(gpu, description, poisoned), /conv1\.weight/);
  t.equal(gpu.memory.liveBytes, before, 'nothing was left on the device');
  t.end();
});

test('shapes are known without a device, and are those of a run', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const names = network.graph.nodes.map((node) => node.name);
  const values = evaluate(network.graph, network.parameters, new Map([[INPUT, await input()]]), names);
  const shapes = shapesOf(network.graph, [1, 3, 8, 6]);
  for (const name of names) t.deepEqual(shapes.get(name), values.get(name)!.shape, name);
  t.throws(() => shapesOf(network.graph, [1, 4, 8, 6]), /conv2d: input \[1, 4, 8, 6\]/, 'misfits are errors');
});

test('a run folds batch norms, sums and ReLUs into convolutions, and gives the same values', async (t) => {
  const on = await device();
  const chain = (name: string, input: string, channels: readonly [number, number], bias: boolean) => [
    conv(`${name}.conv`, input, { in: channels[0], out: channels[1], kernel: 3, padding: 1, bias }),
    batchNorm(`${name}.norm`, `${name}.conv`, channels[1], 1e-3),
    relu(name, `${name}.norm`),
  ];
  const graph: Graph = {
    nodes: [
      ...chain('a', 'input', [3, 4], true),
      ...chain('b', 'a', [4, 4], false),
      conv('c', 'b', { in: 4, out: 4, kernel: 1 }),
      relu6('c.relu', 'c'),
      batchNorm('d', 'a', 4), // behind a ReLU: stays
      add('e', 'd', 'c.relu'),
      conv('f', 'e', { in: 4, out: 2, kernel: 3 }),
      batchNorm('g', 'f', 2), // f is read twice: stays
      add('sum', 'f', 'g'),
      relu('h', 'sum'),
      ...chain('i', 'h', [2, 2], false).slice(0, 2),
      ...chain('j', 'h', [2, 2], false).slice(0, 2),
      add('k', 'j.norm', 'i.norm'), // into one of both
      relu('l', 'k'),
      conv('m', 'l', { in: 2, out: 2, kernel: 1 }),
      add('twice', 'm', 'm'), // no other summand: stays
      conv('n', 'twice', { in: 2, out: 2, kernel: 1 }),
      adaptiveAvgPool('means', 'h', 1),
      add('out', 'means', 'n'), // of another shape: added by itself
    ],
    output: 'out',
  };
  const tensors = randomTensors(graph, 1);
  for (const [key, { data }] of tensors) {
    if (key.endsWith('running_var')) data.set(data.map((v) => Math.abs(v) + 0.5));
  }
  const description = { ...randomNetwork(on, graphs.gapLinear), graph };
  const before = on.memory.liveBytes;
  const x = await input();
  const network = loadNetwork(on, description, tensors);
  const known = new Map([[INPUT, x]]);
  const names = graph.nodes.map((node) => node.name);
  const plain = scope(() => evaluate(graph, network.parameters, known, names));
  for (const wanted of [...names.map((name) => [name]), ['b.conv', 'out'], ['a', 'c'], names]) {
    const found = scope(() => run(network, known, wanted));
    for (const name of wanted) {
      const [one, other] = await Promise.all([found.get(name)!.data(), plain.get(name)!.data()]);
      t.ok(relativeError(one, other) < 1e-6, `${wanted.join(' ')}: ${name}`);
      found.get(name)!.dispose();
    }
  }
  const again = run(
    network,
    new Map([
      ['b', plain.get('b')!],
      ['a', plain.get('a')!],
    ]),
    ['out'],
  ).get('out')!;
  t.ok(relativeError(await again.data(), await plain.get('out')!.data()) < 1e-6, 'from the middle');
  again.dispose();
  for (const value of plain.values()) value.dispose();
  x.dispose();
  disposeNetwork(network);
  t.equal(on.memory.liveBytes, before, 'folded parameters are freed with the network');
});

test('a run folds sums and ReLUs into linear layers, and gives the same values', async (t) => {
  const on = await device();
  const graph: Graph = {
    nodes: [
      ...vit({ image: 8, patch: 4, width: 12, depth: 2, heads: 3, hidden: 20, classes: 7 }).nodes,
      relu('head.relu', 'head'),
      linear('first', 'head.relu', { in: 7, out: 5, bias: false }),
      linear('second', 'first', { in: 5, out: 5 }),
      add('sum', 'first', 'second'),
      relu6('out', 'sum'),
    ],
    output: 'out',
  };
  const description = { ...randomNetwork(on, graphs.gapLinear), graph };
  const network = loadNetwork(on, description, randomTensors(graph, 1));
  const x = tensor(on, randomArray([2, 3, 8, 8], seededRandom(4)).data, [2, 3, 8, 8]);
  const known = new Map([[INPUT, x]]);
  const names = graph.nodes.map((node) => node.name);
  const plain = scope(() => evaluate(graph, network.parameters, known, names));
  for (const wanted of [...names.map((name) => [name]), ['out', 'blocks.0.attn.proj'], names]) {
    const found = scope(() => run(network, known, wanted));
    for (const name of wanted) {
      const [one, other] = await Promise.all([found.get(name)!.data(), plain.get(name)!.data()]);
      t.ok(relativeError(one, other) < 2e-6, `${wanted.join(' ')}: ${name}`);
      found.get(name)!.dispose();
    }
  }
  for (const value of plain.values()) value.dispose();
  x.dispose();
  disposeNetwork(network);
});

test('a run writes channels that are only put together where they go', async (t) => {
  const on = await device();
  const branch = (name: string, input: string, channels: readonly [number, number], kernel: 1 | 3) => [
    conv(`${name}.conv`, input, { in: channels[0], out: channels[1], kernel, padding: (kernel - 1) / 2 }),
    relu(name, `${name}.conv`),
  ];
  const graph: Graph = {
    nodes: [
      ...branch('b', 'input', [3, 5], 3), // not in the order in which they are joined
      ...branch('a', 'input', [3, 6], 1),
      concat('joined', ['a', 'b']),
      ...branch('c', 'joined', [11, 4], 1),
      ...branch('d', 'joined', [11, 4], 3),
      conv('e', 'd', { in: 4, out: 4, kernel: 1 }), // d is read twice
      concat('again', ['c', 'd']),
      add('sum', 'c', 'e'),
      concat('all', ['again', 'sum', 'joined']), // no convolution's
      ...branch('f', 'all', [23, 2], 1),
      concat('twice', ['f', 'f']),
      concat('out', ['twice'], 2),
    ],
    output: 'out',
  };
  const network = loadNetwork(on, { ...randomNetwork(on, graphs.gapLinear), graph }, randomTensors(graph, 1));
  const names = graph.nodes.map((node) => node.name);
  for (const batch of [1, 2]) {
    const shape = [batch, 3, 8, 8];
    const x = tensor(on, randomArray(shape, seededRandom(batch)).data, shape);
    const known = new Map([[INPUT, x]]);
    const plain = scope(() => evaluate(graph, network.parameters, known, names));
    for (const wanted of [...names.map((name) => [name]), ['a', 'out'], ['joined', 'out'], names]) {
      const found = scope(() => run(network, known, wanted));
      for (const name of wanted) {
        const [one, other] = await Promise.all([found.get(name)!.data(), plain.get(name)!.data()]);
        t.ok(relativeError(one, other) < 1e-6, `${batch}, ${wanted.join(' ')}: ${name}`);
      }
      const joined = found.get('joined');
      const inPlace = batch === 1 && wanted.every((name) => !['a', 'b'].includes(name));
      if (joined) t.equal(joined.storage.parts.size, inPlace ? 2 : 0, `${batch}, ${wanted.join(' ')}: moved`);
      for (const value of found.values()) value.dispose();
    }
    for (const value of [x, ...plain.values()]) value.dispose();
  }
  disposeNetwork(network);
});

test('a disposed network gives its memory back', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const network = randomNetwork(on, graphs.gapLinear);
  t.ok(on.memory.liveBytes > before);
  disposeNetwork(network);
  t.equal(on.memory.liveBytes, before);
});
