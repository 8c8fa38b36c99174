// Reading ONNX: names and kinds of nodes, heads, batches, sizes, old forms of operators, where data lies, and what is
// refused. That operators compute the right numbers is shown by test/onnx.ts on ONNX's own suites.

import test from 'tape';
import { camLayer } from '../../cam/index.ts';
import { floatToHalf } from '../../engine/half.ts';
import {
  concat,
  grad,
  maxPoolSelect,
  narrow,
  ShapeError,
  scope,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import { FormatError } from '../../models/formats/errors.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { device } from '../device.ts';
import { array, binary, filled, layerNorm, relativeError, seededRandom } from '../reference/index.ts';
import { type BranchSpec, type ModelSpec, modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

const noParts = () => Promise.reject(new FormatError('no parts here'));
const read = (spec: ModelSpec, parts: Parameters<typeof readOnnx>[2] = noParts) =>
  readOnnx(modelBytes(spec), 'net.onnx', parts);

const random = (name: string, dims: readonly number[], seed = 1): TensorSpec => {
  const next = seededRandom(seed + name.length);
  const count = dims.reduce((product, n) => product * n, 1);
  return { name, dims, data: Array.from({ length: count }, () => next() * 2 - 1) };
};
const ints = (name: string, ...data: number[]): TensorSpec => ({ name, dims: [data.length], type: 7, data });

async function picture(shape: readonly number[], seed = 5): Promise<Tensor> {
  const next = seededRandom(seed);
  const count = shape.reduce((product, n) => product * n, 1);
  return tensor(
    await device(),
    Float32Array.from({ length: count }, () => next() * 2 - 1),
    shape,
  );
}

function logits({ graph, tensors }: ImportedNetwork, x: Tensor): Tensor {
  return scope(() => {
    const parameters = new Map(
      [...tensors].map(([key, { data, shape }]) => [key, tensor(x.device, data, shape)] as const),
    );
    return evaluate(graph, parameters, new Map([[INPUT, x]]), [graph.output]).get(graph.output)!;
  });
}

/** Checks that three pictures at once give what they give one by one. */
async function checkBatch(t: test.Test, network: ImportedNetwork, what: string): Promise<void> {
  const [, ...size] = network.inputShape;
  const pictures = await Promise.all([1, 2, 3].map((seed) => picture([1, ...size], seed)));
  const together = logits(network, concat(pictures, 0));
  t.equal(together.shape[0], 3, `${what}: three rows`);
  const alone: number[] = [];
  for (const one of pictures) alone.push(...(await logits(network, one).data()));
  t.ok(Math.max(...alone.map(Math.abs)) > 0, `${what}: not all zero`);
  t.ok(relativeError(await together.data(), alone) < 1e-5, `${what}: a batch is single runs`);
}

const conv: NodeSpec = { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], name: '/conv/Conv' };
const relu: NodeSpec = { op: 'Relu', inputs: ['c'], outputs: ['r'] };
const gap: NodeSpec = { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['g'] };
const gemm = (input: string): NodeSpec => ({
  op: 'Gemm',
  inputs: [input, 'fc', 'fcb'],
  outputs: ['y'],
  attributes: { transB: 1 },
});
const weights = [random('w', [5, 3, 3, 3]), random('b', [5]), random('fc', [4, 5]), random('fcb', [4])];

test('every version of the operators from 7 to 28 is read, and no other', async (t) => {
  const flat: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const spec = (opset: number) => ({
    opset,
    nodes: [conv, relu, gap, flat, gemm('f')],
    initializers: weights,
  });
  const kinds = ({ graph }: ImportedNetwork) => graph.nodes.map(({ kind }) => kind).join();
  const first = kinds(await read(spec(7)));
  for (let opset = 8; opset <= 28; opset++) t.equal(kinds(await read(spec(opset))), first, `opset ${opset}`);
  await read(spec(29)).then(
    () => t.fail('opset 29 is read'),
    (error: Error) => t.match(error.message, /written in opset 29; 7 to 28 are read/),
  );
});

test('names, kinds and keys are those of the file and of layers.ts', async (t) => {
  const flatten: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const network = await read({ nodes: [conv, relu, gap, flatten, gemm('f')], initializers: weights });
  t.deepEqual(
    network.graph.nodes.map(({ name, kind }) => [name, kind]),
    [
      ['/conv/Conv', 'conv'],
      ['r', 'relu'],
      ['g', 'globalAvgPool'],
      ['f', 'flatten'],
      ['y', 'linear'],
    ],
  );
  t.deepEqual([...network.tensors.keys()], ['w', 'b', 'fc', 'fcb']);
  t.deepEqual(network.inputShape, [1, 3, 4, 4]);
  t.equal(network.anySize, false);
  await checkBatch(t, network, 'the network');
});

test('CAM recognises heads however they are written', async (t) => {
  const turned: TensorSpec = { ...random('fct', [5, 4]) };
  const matmul: readonly NodeSpec[] = [
    { op: 'MatMul', inputs: ['f', 'fct'], outputs: ['m'] },
    { op: 'Add', inputs: ['fcb', 'm'], outputs: ['y'] },
  ];
  const heads: Record<string, readonly NodeSpec[]> = {
    'reshape [0, -1]': [gap, { op: 'Reshape', inputs: ['g', 'zero'], outputs: ['f'] }, gemm('f')],
    'squeeze and dropout': [
      gap,
      { op: 'Squeeze', inputs: ['g', 'axes'], outputs: ['f'] },
      { op: 'Dropout', inputs: ['f'], outputs: ['d'] },
      gemm('d'),
    ],
    'ReduceMean and identity': [
      { op: 'ReduceMean', inputs: ['r'], outputs: ['f'], attributes: { axes: [-1, -2], keepdims: 0 } },
      { op: 'Identity', inputs: ['f'], outputs: ['i'] },
      gemm('i'),
    ],
    'a pooling as large as the map, product and bias': [
      { op: 'AveragePool', inputs: ['r'], outputs: ['g'], attributes: { kernel_shape: [2, 2] } },
      { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
      ...matmul,
    ],
  };
  const initializers = [...weights, turned, ints('zero', 0, -1), ints('axes', 2, 3)];
  for (const [what, nodes] of Object.entries(heads)) {
    const network = await read({ nodes: [conv, relu, ...nodes], initializers });
    t.equal(camLayer(dryRun(network.graph, network.inputShape), 'r'), 'r', what);
    await checkBatch(t, network, what);
  }
  const pooled: readonly NodeSpec[] = [gap, { op: 'Flatten', inputs: ['g'], outputs: ['y'] }];
  const network = await read({
    nodes: [{ ...conv, inputs: ['x', 'w1'] }, relu, ...pooled],
    initializers: [random('w1', [5, 3, 1, 1])],
  });
  t.equal(camLayer(dryRun(network.graph, network.inputShape), 'r'), 'r', 'a view at the very end');
});

test('alpha, beta and transposition of a Gemm are folded into its weights', async (t) => {
  const attributes = { alpha: { float: 0.5 }, beta: { float: 2 } };
  const flat: NodeSpec = { op: 'Flatten', inputs: ['x'], outputs: ['f'] };
  const w = random('w', [48, 4]);
  const c: TensorSpec = { name: 'c', dims: [1], data: [3] };
  const network = await read({
    nodes: [flat, { op: 'Gemm', inputs: ['f', 'w', 'c'], outputs: ['y'], attributes }],
    initializers: [w, c],
  });
  const x = await picture([1, 3, 4, 4]);
  const numbers = await x.data();
  const expected = [0, 1, 2, 3].map(
    (o) => 6 + 0.5 * numbers.reduce((sum, value, i) => sum + value * w.data![4 * i + o]!, 0),
  );
  t.ok(relativeError(await logits(network, x).data(), expected) < 1e-5);
});

test('a last softmax or sigmoid is left off and named; [N, C, 1, 1] becomes [N, C]', async (t) => {
  const flatten: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const plain = await read({ nodes: [conv, relu, gap, flatten, gemm('f')], initializers: weights });
  t.equal(plain.probabilities, 'softmax', 'where nothing stands at the end');
  const x = await picture([1, 3, 4, 4]);
  const wanted = await logits(plain, x).data();
  for (const [op, named] of [
    ['Softmax', 'softmax'],
    ['LogSoftmax', 'softmax'],
    ['Sigmoid', 'sigmoid'],
  ] as const) {
    const last = { ...gemm('f'), outputs: ['z'] };
    const network = await read({
      nodes: [conv, relu, gap, flatten, last, { op, inputs: ['z'], outputs: ['y'] }],
      initializers: weights,
    });
    t.equal(network.probabilities, named, op);
    t.equal(network.graph.output, 'z', `${op} is not in the graph`);
    t.deepEqual(await logits(network, x).data(), wanted, `${op}: logits`);
  }
  const open = await read({
    nodes: [conv, relu, gap, { op: 'Softmax', inputs: ['g'], outputs: ['y'], attributes: { axis: 1 } }],
    initializers: weights,
  });
  t.deepEqual(logits(open, x).shape, [1, 5], 'pooled maps are logits');
});

test('what follows the batch in the file follows it afterwards', async (t) => {
  const shapeOf: readonly NodeSpec[] = [
    { op: 'Shape', inputs: ['c'], outputs: ['s'] },
    { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
    { op: 'Unsqueeze', inputs: ['n', 'zeros'], outputs: ['n1'] },
  ];
  const constants = [
    { name: 'zero', dims: [], type: 7, data: [0] },
    ints('zeros', 0),
    ints('ones', 1),
    ints('rest', -1),
    ints('flat', 1, -1),
    ints('flat20', 1, 20),
    ints('split', 4, 5),
  ];
  const dense = [random('w', [5, 3, 3, 3]), random('b', [5]), random('fc', [4, 20]), random('fcb', [4])];
  const arithmetic: readonly NodeSpec[] = [
    ...shapeOf,
    { op: 'Concat', inputs: ['n1', 'rest'], outputs: ['t'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['c', 't'], outputs: ['f'] },
  ];
  const exported = await read({
    nodes: [conv, ...arithmetic, gemm('f')],
    initializers: [...dense, ...constants],
  });
  t.deepEqual(
    exported.graph.nodes.map(({ kind }) => kind),
    ['conv', 'flatten', 'linear'],
    'the arithmetic is gone',
  );
  await checkBatch(t, exported, 'shape arithmetic');

  for (const target of ['flat', 'flat20']) {
    const traced = await read({
      nodes: [conv, { op: 'Reshape', inputs: ['c', target], outputs: ['f'] }, gemm('f')],
      initializers: [...dense, ...constants],
      inputs: [{ name: 'x', dims: [1, 3, 4, 4] }],
    });
    await checkBatch(t, traced, `traced for one picture, ${target}`);
  }
  const open = await read({
    nodes: [conv, { op: 'Reshape', inputs: ['c', 'flat20'], outputs: ['f'] }, gemm('f')],
    initializers: [...dense, ...constants],
  });
  await checkBatch(t, open, 'an open batch, and one picture all the same');
  const four = await read({
    nodes: [conv, { op: 'Reshape', inputs: ['c', 'four'], outputs: ['f'] }, gemm('f')],
    initializers: [...dense, ints('four', 4, 20)],
    inputs: [{ name: 'x', dims: [4, 3, 4, 4] }],
  });
  await checkBatch(t, four, 'traced for four pictures');
});

test('a class token and attention heads follow the batch', async (t) => {
  // Patches [N, 4, 6] and a class token, three heads of 2, folded into the batch and back, as exporters write it.
  const nodes: readonly NodeSpec[] = [
    { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [2, 2] } },
    { op: 'Shape', inputs: ['c'], outputs: ['s'] },
    { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
    { op: 'Unsqueeze', inputs: ['n', 'zeros'], outputs: ['n1'] },
    { op: 'Concat', inputs: ['n1', 'six', 'rest'], outputs: ['t'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['c', 't'], outputs: ['p'] },
    { op: 'Transpose', inputs: ['p'], outputs: ['q'], attributes: { perm: [0, 2, 1] } },
    { op: 'Concat', inputs: ['n1', 'rest', 'rest'], outputs: ['e'], attributes: { axis: 0 } },
    { op: 'ConstantOfShape', inputs: ['three'], outputs: ['one'], attributes: { value: ints('', 1) } },
    { op: 'Mul', inputs: ['one', 'minus'], outputs: ['negative'] },
    { op: 'Equal', inputs: ['e', 'negative'], outputs: ['where'] },
    { op: 'Where', inputs: ['where', 'one', 'e'], outputs: ['expanded'] },
    { op: 'Expand', inputs: ['token', 'expanded'], outputs: ['tokens'] },
    { op: 'Concat', inputs: ['tokens', 'q'], outputs: ['a'], attributes: { axis: 1 } },
    { op: 'Transpose', inputs: ['a'], outputs: ['h'], attributes: { perm: [1, 0, 2] } },
    { op: 'Mul', inputs: ['n1', 'heads'], outputs: ['nh'] },
    { op: 'Concat', inputs: ['five', 'nh', 'two'], outputs: ['ht'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['h', 'ht'], outputs: ['h1'] },
    { op: 'Transpose', inputs: ['h1'], outputs: ['v'], attributes: { perm: [1, 0, 2] } },
    { op: 'Transpose', inputs: ['h1'], outputs: ['k'], attributes: { perm: [1, 2, 0] } },
    { op: 'MatMul', inputs: ['v', 'k'], outputs: ['scores'] },
    { op: 'Softmax', inputs: ['scores'], outputs: ['attention'], attributes: { axis: -1 } },
    { op: 'MatMul', inputs: ['attention', 'v'], outputs: ['o'] },
    { op: 'Transpose', inputs: ['o'], outputs: ['o1'], attributes: { perm: [1, 0, 2] } },
    { op: 'Concat', inputs: ['five', 'n1', 'six'], outputs: ['ot'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['o1', 'ot'], outputs: ['o2'] },
    { op: 'Transpose', inputs: ['o2'], outputs: ['o3'], attributes: { perm: [1, 0, 2] } },
    { op: 'Gather', inputs: ['o3', 'zero'], outputs: ['first'], attributes: { axis: 1 } },
    { op: 'Gemm', inputs: ['first', 'fc'], outputs: ['y'] },
  ];
  const initializers: readonly TensorSpec[] = [
    random('w', [6, 3, 2, 2]),
    random('token', [1, 1, 6]),
    random('fc', [6, 4]),
    { name: 'zero', dims: [], type: 7, data: [0] },
    ints('zeros', 0),
    ints('six', 6),
    ints('five', 5),
    ints('two', 2),
    ints('heads', 3),
    ints('three', 3),
    ints('minus', -1),
    ints('rest', -1),
  ];
  await checkBatch(t, await read({ nodes, initializers }), 'a vision transformer');
});

test('a file traced for one picture: attention whose sizes are literal follows the batch', async (t) => {
  // Tokens first, heads beside the batch, projection on tokens and batch in one axis: as PyTorch's attention writes it.
  const turned = { perm: [1, 0, 2] };
  const nodes: readonly NodeSpec[] = [
    { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [2, 2] } },
    { op: 'Reshape', inputs: ['c', 'maps'], outputs: ['p'] },
    { op: 'Transpose', inputs: ['p'], outputs: ['h'], attributes: { perm: [2, 0, 1] } },
    { op: 'Reshape', inputs: ['h', 'perHead'], outputs: ['h1'] },
    { op: 'Transpose', inputs: ['h1'], outputs: ['v'], attributes: turned },
    { op: 'Transpose', inputs: ['h1'], outputs: ['k'], attributes: { perm: [1, 2, 0] } },
    { op: 'MatMul', inputs: ['v', 'k'], outputs: ['scores'] },
    { op: 'Softmax', inputs: ['scores'], outputs: ['attention'] },
    { op: 'MatMul', inputs: ['attention', 'v'], outputs: ['o'] },
    { op: 'Transpose', inputs: ['o'], outputs: ['o1'], attributes: turned },
    { op: 'Reshape', inputs: ['o1', 'rows'], outputs: ['o2'] },
    { op: 'Gemm', inputs: ['o2', 'out'], outputs: ['o3'] },
    { op: 'Reshape', inputs: ['o3', 'tokens'], outputs: ['o4'] },
    { op: 'Transpose', inputs: ['o4'], outputs: ['o5'], attributes: turned },
    { op: 'ReduceMean', inputs: ['o5'], outputs: ['mean'], attributes: { axes: [1], keepdims: 0 } },
    { op: 'Gemm', inputs: ['mean', 'fc'], outputs: ['y'] },
  ];
  const initializers: readonly TensorSpec[] = [
    random('w', [6, 3, 2, 2]),
    random('out', [6, 6]),
    random('fc', [6, 4]),
    ints('maps', 1, 6, 4),
    ints('perHead', 4, 3, 2),
    ints('rows', 4, 6),
    ints('tokens', 4, 1, 6),
  ];
  const inputs = [{ name: 'x', dims: [1, 3, 4, 4] }];
  await checkBatch(t, await read({ nodes, initializers, inputs }), 'literal sizes');
  const lost = { ...initializers.at(-3)!, data: [2, 6, 2] };
  const error = await read({
    nodes,
    initializers: [...initializers, lost].filter((one) => one.name !== 'perHead' || one === lost),
    inputs,
  }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  t.ok(error instanceof FormatError, 'a batch that cannot be followed is refused, not guessed');
  t.match(String(error), /batch that may vary/);
});

test('arithmetic on masks and shapes is folded; on the picture it is refused', async (t) => {
  const values = (name: string, ...data: number[]): TensorSpec => ({ name, dims: [data.length], data });
  const rows: TensorSpec = { name: 'places', dims: [2, 1], type: 7, data: [2, -4] };
  const cases: readonly (readonly [NodeSpec, number[]])[] = [
    [{ op: 'Floor', inputs: ['a'], outputs: ['k'] }, [-2, 0, 1, 3]],
    [{ op: 'Ceil', inputs: ['a'], outputs: ['k'] }, [-1, 0, 2, 4]],
    [{ op: 'Mod', inputs: ['i', 'three'], outputs: ['k'] }, [2, 0, 1, 1]],
    [{ op: 'Mod', inputs: ['i', 'three'], outputs: ['k'], attributes: { fmod: 1 } }, [-1, 0, 1, 1]],
    [{ op: 'Round', inputs: ['halves'], outputs: ['k'] }, [-2, 0, 2, 4]],
    [{ op: 'NonZero', inputs: ['i'], outputs: ['k'] }, [0, 2, 3]],
    [{ op: 'ScatterND', inputs: ['a', 'places', 'new'], outputs: ['k'] }, [8, 0, 7, 3.5]],
  ];
  const initializers = [
    values('a', -1.5, 0, 1.25, 3.5),
    values('halves', -1.5, 0.5, 1.5, 3.7),
    ints('i', -1, 0, 4, 7),
    ints('three', 3),
    rows,
    values('new', 7, 8),
  ];
  const after: readonly NodeSpec[] = [
    { op: 'Cast', inputs: ['k'], outputs: ['f'], attributes: { to: 1 } },
    { op: 'ReduceMean', inputs: ['x'], outputs: ['rows'], attributes: { axes: [3] } },
    { op: 'Mul', inputs: ['rows', 'f'], outputs: ['m'] },
    { op: 'Flatten', inputs: ['m'], outputs: ['y'] },
  ];
  for (const [node, expected] of cases) {
    const network = await read({ nodes: [node, ...after], initializers });
    t.deepEqual(
      [...network.tensors.values()].map(({ data }) => [...data]),
      [expected],
      node.op,
    );
    const computed = { ...node, inputs: ['x', ...node.inputs!.slice(1)] };
    const error = await read({ nodes: [computed, ...after], initializers }).then(String, String);
    t.match(error, /depends on the picture/, `${node.op} of the picture`);
  }
});

test('a choice that depends on the picture matters only to what is made of it', async (t) => {
  const flat: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const best: NodeSpec = { op: 'TopK', inputs: ['y', 'k'], outputs: ['values', 'labels'] };
  const behind: NodeSpec = { op: 'NeverHeardOf', inputs: ['labels', 'values'], outputs: ['names'] };
  const spec = (outputs: readonly string[], nodes: readonly NodeSpec[] = [best, behind]) => ({
    nodes: [conv, relu, gap, flat, gemm('f'), ...nodes],
    initializers: [...weights, ints('k', 2)],
    outputs,
  });
  const network = await read(spec(['y', 'values', 'labels', 'names']));
  t.equal(network.graph.output, 'y', 'scores beside the best of them');
  t.notOk(network.graph.outputs!.has('values'));
  const message = (made: ModelSpec) =>
    read(made).then(
      () => 'read',
      (error: Error) => error.message,
    );
  const refusal = /node "values" \(TopK\): what it chooses depends on the picture/;
  t.match(await message(spec(['names'])), refusal, 'what is made of it names the choice');
  const branch = { nodes: [{ op: 'Relu', inputs: ['values'], outputs: ['inner'] }], outputs: ['inner'] };
  const fork: NodeSpec = {
    op: 'If',
    inputs: ['yes'],
    outputs: ['z'],
    attributes: { then_branch: branch, else_branch: branch },
  };
  const truth: TensorSpec = { name: 'yes', dims: [], type: 9, raw: Uint8Array.of(1) };
  const forked = spec(['y'], [best, fork]);
  t.match(
    await message({ ...forked, initializers: [...forked.initializers, truth] }),
    refusal,
    'in a branch',
  );
  const inside = {
    ...spec(['y', 'z'], [{ op: 'Best', domain: 'own', inputs: ['y', 'k'], outputs: ['z'] }]),
    functions: [
      {
        name: 'Best',
        domain: 'own',
        inputs: ['a', 'b'],
        outputs: ['c'],
        nodes: [{ ...best, inputs: ['a', 'b'], outputs: ['c'] }],
      },
    ],
  };
  t.equal(await message(inside), 'read', 'in a function of the file');
});

test('the indices of a max pooling', async (t) => {
  const x = tensor(await device(), [1, 5, 2, 9, 3, 0, 4, 4, 8], [1, 1, 3, 3]);
  const places = tensor(x.device, [0, 1, 2, 3, 4, 5, 6, 7, 8], x.shape);
  const found = scope(() => maxPoolSelect(x, places, { kernel: [2, 2], stride: [1, 1] }));
  t.deepEqual([...(await found.data())], [3, 1, 3, 8], 'the first of equals');
  t.throws(() => maxPoolSelect(x, narrow(places, 2, 0, 2), { kernel: [2, 2] }), ShapeError);
});

test('old forms of operators mean what the new ones do', async (t) => {
  const x = await picture([1, 3, 4, 4]);
  const flat = (input: string): NodeSpec => ({ op: 'Flatten', inputs: [input], outputs: ['y'] });
  const pairs: Record<string, readonly [opset: number, NodeSpec, TensorSpec[]?][]> = {
    Pad: [
      [
        10,
        { op: 'Pad', outputs: ['c'], attributes: { pads: [0, 0, 1, 0, 0, 0, 2, 1], value: { float: 0.5 } } },
      ],
      [
        13,
        { op: 'Pad', inputs: ['p', 'v'], outputs: ['c'] },
        [ints('p', 0, 0, 1, 0, 0, 0, 2, 1), { name: 'v', dims: [], data: [0.5] }],
      ],
      [
        18,
        { op: 'Pad', inputs: ['p', 'v', 'a'], outputs: ['c'] },
        [ints('p', 1, 0, 2, 1), { name: 'v', dims: [], data: [0.5] }, ints('a', 2, -1)],
      ],
    ],
    Clip: [
      [10, { op: 'Clip', outputs: ['c'], attributes: { min: { float: -0.25 }, max: { float: 0.5 } } }],
      [
        13,
        { op: 'Clip', inputs: ['lo', 'hi'], outputs: ['c'] },
        [
          { name: 'lo', dims: [], data: [-0.25] },
          { name: 'hi', dims: [], data: [0.5] },
        ],
      ],
    ],
    Slice: [
      [9, { op: 'Slice', outputs: ['c'], attributes: { starts: [1, -3], ends: [3, 100], axes: [2, 3] } }],
      [
        13,
        { op: 'Slice', inputs: ['s', 'e', 'a'], outputs: ['c'] },
        [ints('s', 1, -3), ints('e', 3, 100), ints('a', 2, 3)],
      ],
    ],
    Unsqueeze: [
      [11, { op: 'Unsqueeze', outputs: ['c'], attributes: { axes: [1, 5] } }],
      [13, { op: 'Unsqueeze', inputs: ['a'], outputs: ['c'] }, [ints('a', 1, -1)]],
    ],
    ReduceSum: [
      [11, { op: 'ReduceSum', outputs: ['c'], attributes: { axes: [2] } }],
      [13, { op: 'ReduceSum', inputs: ['a'], outputs: ['c'] }, [ints('a', -2)]],
    ],
    ReduceMax: [
      [13, { op: 'ReduceMax', outputs: ['c'], attributes: { axes: [1] } }],
      [18, { op: 'ReduceMax', inputs: ['a'], outputs: ['c'] }, [ints('a', 1)]],
    ],
    Dropout: [
      [7, { op: 'Dropout', outputs: ['c'], attributes: { ratio: { float: 0.4 } } }],
      [13, { op: 'Dropout', inputs: ['q'], outputs: ['c'] }, [{ name: 'q', dims: [], data: [0.4] }]],
    ],
    Upsample: [
      [
        7,
        { op: 'Upsample', outputs: ['c'], attributes: { scales: { floats: [1, 1, 2, 3] }, mode: 'nearest' } },
      ],
      [9, { op: 'Upsample', inputs: ['s'], outputs: ['c'] }, [{ name: 's', dims: [4], data: [1, 1, 2, 3] }]],
      [10, { op: 'Resize', inputs: ['s'], outputs: ['c'] }, [{ name: 's', dims: [4], data: [1, 1, 2, 3] }]],
      [
        13,
        {
          op: 'Resize',
          inputs: ['', 's'],
          outputs: ['c'],
          attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
        },
        [{ name: 's', dims: [4], data: [1, 1, 2, 3] }],
      ],
    ],
    Split: [
      [11, { op: 'Split', outputs: ['c', 'd'], attributes: { axis: 1, split: [1, 2] } }],
      [13, { op: 'Split', inputs: ['s'], outputs: ['c', 'd'], attributes: { axis: 1 } }, [ints('s', 1, 2)]],
    ],
  };
  for (const [what, forms] of Object.entries(pairs)) {
    let first: Float32Array | undefined;
    for (const [opset, node, initializers = []] of forms) {
      const own = { ...node, inputs: ['x', ...(node.inputs ?? [])] };
      const network = await read({ opset, nodes: [own, flat('c')], initializers });
      const found = await logits(network, x).data();
      first ??= found;
      t.deepEqual(found, first, `${what}, opset ${opset}`);
    }
  }
  const softmax = async (opset: number, axis: number) => {
    const attributes = { axis };
    const network = await read({
      opset,
      nodes: [{ op: 'Softmax', inputs: ['x'], outputs: ['s'], attributes }, flat('s')],
    });
    const values = await logits(network, x).data();
    return values.reduce((sum, n) => sum + n, 0);
  };
  t.ok(
    Math.abs((await softmax(11, 1)) - 1) < 1e-5,
    'before opset 13 softmax is over all axes from its own on',
  );
  t.ok(Math.abs((await softmax(13, 1)) - 16) < 1e-4, 'since then over one');
});

test('sizes that the file leaves open', async (t) => {
  const inputs = [{ name: 'x', dims: ['N', 3, 'H', 'W'] }];
  const flatten: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const nodes = [conv, relu, gap, flatten, gemm('f')];
  const free = await read({ nodes, initializers: weights, inputs });
  t.deepEqual([free.inputShape, free.anySize], [[1, 3, 224, 224], true], 'GAP takes any size');
  t.deepEqual(logits(free, await picture([2, 3, 9, 7])).shape, [2, 4], 'and runs at another');
  const baked = await read({
    nodes: [
      { op: 'Resize', inputs: ['x', '', '', 'sizes'], outputs: ['small'] },
      { ...conv, inputs: ['small', 'w', 'b'] },
      { op: 'Flatten', inputs: ['c'], outputs: ['f'] },
      gemm('f'),
    ],
    initializers: [
      ...weights.slice(0, 2),
      random('fc', [4, 20]),
      random('fcb', [4]),
      ints('sizes', 1, 3, 4, 4),
    ],
    inputs: [{ name: 'x', dims: [1, 3, 'H', 'W'] }],
  });
  t.equal(baked.anySize, true, 'a resize to one size makes any size fit');
  const dense = await read({
    nodes: [{ ...conv }, { op: 'Flatten', inputs: ['c'], outputs: ['f'] }, gemm('f')],
    initializers: [...weights.slice(0, 2), random('fc', [1, 5 * 222 * 222]), random('fcb', [1])],
    inputs,
  });
  t.equal(dense.anySize, false, 'a dense layer takes one');
  const own = await read({
    nodes: [conv, { op: 'Flatten', inputs: ['c'], outputs: ['f'] }, gemm('f')],
    initializers: [...weights.slice(0, 2), random('fc', [4, 5 * 30 * 30]), random('fcb', [4])],
    inputs,
  });
  t.deepEqual(
    [own.inputShape, own.anySize],
    [[1, 3, 32, 32], false],
    'and may take one that is not the usual',
  );
  const same: NodeSpec = { ...conv, attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } };
  const tensorflow = await read({
    nodes: [same, relu, gap, flatten, gemm('f')],
    initializers: weights,
    inputs,
  });
  t.equal(tensorflow.anySize, true, 'paddings that depend on the size follow it');
  const odd = { ...tensorflow, inputShape: [1, 3, 9, 6] };
  await checkBatch(t, odd, 'at another size');
});

test('a network is read for the size that is asked for where its file leaves it open', async (t) => {
  const inputs = [{ name: 'x', dims: ['N', 3, 'H', 'W'] }];
  // PyTorch's `view(-1, 5, height * width)` with sizes from Shape, which are known only once the size is.
  const nodes: readonly NodeSpec[] = [
    conv,
    { op: 'Shape', inputs: ['c'], outputs: ['s'] },
    { op: 'Slice', inputs: ['s', 'two', 'four'], outputs: ['plane'] },
    { op: 'ReduceProd', inputs: ['plane'], outputs: ['area'], attributes: { axes: [0] } },
    { op: 'Concat', inputs: ['head', 'area'], outputs: ['to'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['c', 'to'], outputs: ['rows'] },
    { op: 'ReduceMax', inputs: ['rows'], outputs: ['f'], attributes: { axes: [2], keepdims: 0 } },
    gemm('f'),
  ];
  const initializers = [...weights, ints('two', 2), ints('four', 4), ints('head', -1, 5)];
  const bytes = modelBytes({ nodes, initializers, inputs });
  const usual = await readOnnx(bytes, 'net.onnx', noParts);
  t.deepEqual([usual.inputShape, usual.anySize], [[1, 3, 224, 224], false], 'its nodes are tied to one size');
  const asked = await readOnnx(bytes, 'net.onnx', noParts, { size: [9, 7] });
  t.deepEqual([asked.inputShape, asked.anySize], [[1, 3, 9, 7], false], 'which can be chosen');
  await checkBatch(t, asked, 'at 9 x 7');
  const fixed = await readOnnx(modelBytes({ nodes, initializers }), 'net.onnx', noParts, { size: [9, 7] });
  t.deepEqual(fixed.inputShape, [1, 3, 4, 4], 'a size in the file stays');
  const odd = [random('fc', [4, 5 * 39 * 39]), random('fcb', [4]), ...weights.slice(0, 2)];
  const dense = modelBytes({
    nodes: [conv, { op: 'Flatten', inputs: ['c'], outputs: ['f'] }, gemm('f')],
    initializers: odd,
    inputs,
  });
  const refused = await readOnnx(dense, 'net.onnx', noParts).then(String, String);
  t.match(refused, /leaves the size of its input open, and none of these is taken: 224, 32/);
  t.deepEqual((await readOnnx(dense, 'net.onnx', noParts, { size: [41, 41] })).inputShape, [1, 3, 41, 41]);
});

test('a choice whose condition is known is the branch that it takes', async (t) => {
  const branch = (factor: string, value: number): BranchSpec => ({
    nodes: [
      { op: 'Mul', inputs: ['x', factor], outputs: ['scaled'] },
      { op: 'ReduceMean', inputs: ['scaled'], outputs: ['mean'], attributes: { axes: [2, 3], keepdims: 0 } },
    ],
    initializers: [{ name: factor, dims: [1], data: [value] }],
    outputs: ['mean'],
  });
  const choice = (condition: string, result: string): NodeSpec => ({
    op: 'If',
    inputs: [condition],
    outputs: [result],
    name: `/choice/${result}`,
    attributes: { then_branch: branch('k', 2), else_branch: branch('k', 3) },
  });
  const nodes: readonly NodeSpec[] = [
    { op: 'Shape', inputs: ['x'], outputs: ['s'] },
    { op: 'Gather', inputs: ['s', 'one'], outputs: ['channels'] },
    { op: 'Equal', inputs: ['channels', 'three'], outputs: ['yes'] },
    { op: 'Not', inputs: ['yes'], outputs: ['no'] },
    choice('yes', 'a'),
    choice('no', 'b'),
    { op: 'Concat', inputs: ['a', 'b'], outputs: ['y'], attributes: { axis: 1 } },
  ];
  const initializers = [ints('one', 1), ints('three', 3)];
  const network = await read({ nodes, initializers });
  await checkBatch(t, network, 'two choices with names in common');
  const [a0, a1, a2, b0, b1, b2] = await logits(network, await picture([1, 3, 4, 4])).data();
  t.ok(
    relativeError(
      Float32Array.of(b0!, b1!, b2!),
      [a0!, a1!, a2!].map((n) => (n * 3) / 2),
    ) < 1e-6,
    '2 and 3',
  );
  const refused = (spec: ModelSpec) => read(spec).then(String, String);
  const clash = { ...choice('yes', 'a'), attributes: { then_branch: branch('three', 2) } };
  t.match(await refused({ nodes: [...nodes.slice(0, 4), clash], initializers }), /"three" is given twice/);
  t.match(
    await refused({
      nodes: [...nodes.slice(0, 4), choice('no', 'b'), { ...choice('x', 'y') }],
      initializers,
    }),
    /\/choice\/y" \(If\): its input 0, "x", depends on the picture/,
  );
  t.match(
    await refused({
      nodes: [...nodes.slice(0, 4), { ...clash, inputs: ['no'], outputs: ['y'] }],
      initializers,
    }),
    /it has no else_branch/,
  );
  t.match(
    await refused({
      nodes: [...nodes.slice(0, 4), choice('yes', 'a'), { op: 'Relu', inputs: ['scaled'], outputs: ['y'] }],
      initializers,
    }),
    /takes "scaled", which no node before it gives/,
    'what a branch names is gone',
  );
});

test('local response normalisation as PyTorch writes it', async (t) => {
  const attributes = { kernel_shape: [3, 1, 1], pads: [0, 0, 0, 0, 0, 0] };
  const network = await read({
    nodes: [
      { op: 'Mul', inputs: ['x', 'x'], outputs: ['square'] },
      { op: 'Unsqueeze', inputs: ['square', 'one'], outputs: ['deep'] },
      {
        op: 'Pad',
        inputs: ['deep', 'pads'],
        outputs: ['padded'],
      },
      { op: 'AveragePool', inputs: ['padded'], outputs: ['mean'], attributes },
      { op: 'Squeeze', inputs: ['mean', 'one'], outputs: ['m'] },
      { op: 'Flatten', inputs: ['m'], outputs: ['y'] },
    ],
    initializers: [ints('one', 1), ints('pads', 0, 0, 1, 0, 0, 0, 0, 1, 0, 0)],
  });
  await checkBatch(t, network, 'a mean over channels');
  const x = await picture([1, 3, 4, 4]);
  const numbers = await x.data();
  const square = (channel: number, i: number) => (numbers[channel * 16 + i] ?? 0) ** 2;
  const expected = [0, 1, 2].flatMap((c) =>
    Array.from({ length: 16 }, (_, i) => (square(c - 1, i) + square(c, i) + square(c + 1, i)) / 3),
  );
  t.ok(relativeError(await logits(network, x).data(), expected) < 1e-6);
  const three = {
    op: 'AveragePool',
    inputs: ['deep'],
    outputs: ['y'],
    attributes: { kernel_shape: [3, 2, 2] },
  };
  const nodes = [{ op: 'Unsqueeze', inputs: ['x', 'one'], outputs: ['deep'] }, three];
  const error = await read({ nodes, initializers: [ints('one', 1)] }).then(String, String);
  t.match(error, /pooling over three axes of space is not supported/);
});

test('layer normalisation: weights of some of its axes, of all of them, and of the batch', async (t) => {
  const x = await picture([1, 3, 4, 5]);
  const x64 = { shape: [1, 3, 4, 5], data: Float64Array.from(await x.data()) };
  for (const [dims, biased] of [
    [[4, 5], true],
    [[4, 5], false],
    [[5], true],
    [[1, 3, 4, 1], true],
  ] as const) {
    const [w, b] = [random('w', dims), random('b', dims)];
    const inputs = ['x', 'w', ...(biased ? ['b'] : [])];
    const network = await read({
      nodes: [
        { op: 'LayerNormalization', inputs, outputs: ['n'], attributes: { axis: 2 } },
        { op: 'Flatten', inputs: ['n'], outputs: ['y'] },
      ],
      initializers: [w, ...(biased ? [b] : [])],
      inputs: [{ name: 'x', dims: [1, 3, 4, 5] }],
    });
    const standard = layerNorm(x64, filled([4, 5], 1), filled([4, 5], 0));
    const [scale, shift] = [w, b].map(({ data }) => array(dims, data!));
    const scaled = binary.mul(standard, scale!);
    const { data: expected } = biased ? binary.add(scaled, shift!) : scaled;
    const error = relativeError(await logits(network, x).data(), expected);
    t.ok(error < 1e-5, `[${dims}]${biased ? '' : ' without bias'}: ${error}`);
  }
});

test('padding that no window of a pooling reaches is left off', async (t) => {
  const pool = (op: string, pads: readonly number[]): ModelSpec => ({
    nodes: [
      { op, inputs: ['x'], outputs: ['p'], attributes: { kernel_shape: [2, 2], strides: [3, 3], pads } },
      { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dims: ['N', 3, 5, 5] }],
  });
  for (const op of ['MaxPool', 'AveragePool']) {
    const [wide, narrow] = [await read(pool(op, [0, 0, 2, 2])), await read(pool(op, [0, 0, 0, 0]))];
    const x = await picture([2, 3, 5, 5]);
    t.deepEqual(await logits(wide, x).data(), await logits(narrow, x).data(), op);
  }
});

test('Einstein sums: results that are not named, three factors, what is refused', async (t) => {
  const einsum = (equation: string, ...inputs: string[]): ModelSpec => ({
    nodes: [
      { op: 'Identity', inputs: ['x'], outputs: ['i'] },
      { op: 'Einsum', inputs: ['i', ...inputs], outputs: ['e'], attributes: { equation } },
      { op: 'Flatten', inputs: ['e'], outputs: ['y'] },
    ],
    initializers: [random('u', [3, 4]), random('v', [4, 2]), random('one', [4])],
  });
  const x = await picture([1, 3, 4, 4]);
  const [u, v] = [random('u', [3, 4]).data!, random('v', [4, 2]).data!];
  const numbers = await x.data();
  const sum = (f: (c: number, h: number, w: number) => number) => {
    let total = 0;
    for (let c = 0; c < 3; c++)
      for (let h = 0; h < 4; h++)
        for (let w = 0; w < 4; w++) total += numbers[(c * 4 + h) * 4 + w]! * f(c, h, w);
    return total;
  };
  const cases: readonly (readonly [string, string[], number[]])[] = [
    [
      'nchw,ch,wk->nkh',
      ['u', 'v'],
      [0, 1].flatMap((k) =>
        [0, 1, 2, 3].map((row) => sum((c, h, w) => (h === row ? u[c * 4 + h]! * v[w * 2 + k]! : 0))),
      ),
    ],
    ['nchw, ch, wk -> nk', ['u', 'v'], [0, 1].map((k) => sum((c, h, w) => u[c * 4 + h]! * v[w * 2 + k]!))],
    ['nchw->nc', [], [0, 1, 2].map((channel) => sum((c) => Number(c === channel)))],
    ['bchw,ch,wk', ['u', 'v'], [0, 1].map((k) => sum((c, h, w) => u[c * 4 + h]! * v[w * 2 + k]!))],
  ];
  for (const [equation, inputs, expected] of cases) {
    const network = await read(einsum(equation, ...inputs));
    await checkBatch(t, network, equation);
    t.ok(relativeError(await logits(network, x).data(), expected) < 1e-5, equation);
  }
  const { graph, inputShape } = await read(einsum('nchw,ch,wk->nkh', 'u', 'v'));
  t.equal(
    dryRun(graph, inputShape).multiplyAdds.get('e'),
    3 * 4 * 4 + 4 * 4 * 2,
    'two products, one after the other',
  );
  for (const bad of ['nchw,hh->n', '...hw,ch->n', 'nchw,c->n', 'nchw->n', 'nchw,ch->nz', 'nchw,ch->nn']) {
    const error = await read(einsum(bad, 'u')).then(String, String);
    t.match(error, /the equation ".*" is not supported for 2 inputs/, bad);
  }
});

test('TensorFlow order [N, H, W, C] is turned', async (t) => {
  const turn: NodeSpec = {
    op: 'Transpose',
    inputs: ['x'],
    outputs: ['t'],
    attributes: { perm: [0, 3, 1, 2] },
  };
  const flatten: NodeSpec = { op: 'Flatten', inputs: ['g'], outputs: ['f'] };
  const rest = [relu, gap, flatten, gemm('f')];
  const inputs = [{ name: 'x', dims: ['N', 4, 5, 3] }];
  const network = await read({
    nodes: [turn, { ...conv, inputs: ['t', 'w', 'b'] }, ...rest],
    initializers: weights,
    inputs,
  });
  t.deepEqual(network.inputShape, [1, 3, 4, 5]);
  const straight = await read({
    nodes: [conv, ...rest],
    initializers: weights,
    inputs: [{ name: 'x', dims: ['N', 3, 4, 5] }],
  });
  const x = await picture([1, 3, 4, 5]);
  t.deepEqual(await logits(network, x).data(), await logits(straight, x).data());
});

test('weights in every place and type', async (t) => {
  const flat: NodeSpec = { op: 'Flatten', inputs: ['x'], outputs: ['f'] };
  const numbers = Array.from({ length: 96 }, (_, i) => (i % 13) / 8 - 0.5);
  const dims = [48, 2];
  const product: NodeSpec = { op: 'MatMul', inputs: ['f', 'w'], outputs: ['y'] };
  const bytesOf = (array: ArrayBufferView) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const half = bytesOf(Uint16Array.from(numbers, floatToHalf));
  const part = new Uint8Array(7 + 384 + 3);
  part.set(bytesOf(Float32Array.from(numbers)), 7);
  const places: Record<string, TensorSpec> = {
    'raw float': { name: 'w', dims, data: numbers },
    float_data: { name: 'w', dims, data: numbers, field: 4 },
    double_data: { name: 'w', dims, type: 11, data: numbers, field: 10 },
    'raw double': { name: 'w', dims, type: 11, raw: bytesOf(Float64Array.from(numbers)) },
    'raw float16': { name: 'w', dims, type: 10, raw: half },
    'float16 in int32_data': { name: 'w', dims, type: 10, data: numbers.map(floatToHalf), field: 5 },
    external: { name: 'w', dims, external: { location: 'data/w.bin', offset: '7', length: '384' } },
  };
  const x = await picture([1, 3, 4, 4]);
  const opened: string[] = [];
  const open = async (name: string) => {
    opened.push(name);
    return part;
  };
  let first: Float32Array | undefined;
  for (const [what, spec] of Object.entries(places)) {
    const network = await read({ nodes: [flat, product], initializers: [spec] }, open);
    const found = await logits(network, x).data();
    first ??= found;
    t.deepEqual(found, first, what);
  }
  t.deepEqual(opened, ['data/w.bin'], 'only external data is opened, once');
  const node: NodeSpec = { op: 'Constant', outputs: ['w'], attributes: { value: { dims, data: numbers } } };
  const network = await read({ nodes: [flat, node, product] });
  t.deepEqual(await logits(network, x).data(), first, 'a Constant node');
});

test('everything that is not supported is listed at once', async (t) => {
  const bad = read({
    nodes: [
      { op: 'Det', inputs: ['x'], outputs: ['a'], name: '/first' },
      { op: 'Loop', inputs: ['a'], outputs: ['b'] },
      {
        op: 'If',
        inputs: ['b'],
        outputs: ['c'],
        attributes: {
          then_branch: { nodes: [{ op: 'Det', outputs: ['d'], name: '/second' }], outputs: ['d'] },
        },
      },
      { op: 'Relu', inputs: ['c'], outputs: ['y'], domain: 'com.example' },
    ],
  });
  const error = await bad.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  t.ok(error instanceof FormatError);
  t.match(String(error), /net\.onnx/);
  t.match(String(error), /Det: \/first, \/second/);
  t.match(String(error), /Loop: b/);
  t.match(String(error), /com\.example\.Relu: y/);
});

const head: readonly NodeSpec[] = [conv, relu, gap, { op: 'Flatten', inputs: ['g'], outputs: ['f'] }];

test('of several outputs the one is explained that is meant, or the one that is asked for', async (t) => {
  const nodes: readonly NodeSpec[] = [
    ...head,
    { ...gemm('f'), outputs: ['logits'] },
    { op: 'Softmax', inputs: ['logits'], outputs: ['probabilities'] },
    { op: 'ArgMax', inputs: ['probabilities'], outputs: ['label'], attributes: { axis: 1, keepdims: 0 } },
  ];
  const spec = { nodes, initializers: weights };
  const found = async (outputs: readonly string[], output?: string) =>
    readOnnx(modelBytes({ ...spec, outputs }), 'net.onnx', noParts, { output });
  for (const outputs of [
    ['logits'],
    ['f', 'logits'],
    ['label', 'probabilities'],
    ['probabilities', 'r', 'logits'],
  ]) {
    const network = await found(outputs);
    t.equal(network.graph.output, 'logits', outputs.join(', '));
    t.deepEqual([...network.graph.outputs!.keys()], outputs, 'and all are kept');
  }
  const named = await found(['logits', 'f'], 'f');
  t.equal(named.classCount, 5, 'by its name');
  await checkBatch(t, named, 'another output');
  const two = {
    ...spec,
    nodes: [...nodes, { ...gemm('f'), outputs: ['other'] }],
    outputs: ['logits', 'other'],
  };
  const several = await readOnnx(modelBytes(two), 'net.onnx', noParts).then(String, String);
  t.match(
    several,
    /net\.onnx: it has several outputs.*--output NAME.*\n {2}logits \[1, 4\]\n {2}other \[1, 4\]/,
  );
  const unknown = await readOnnx(modelBytes(two), 'net.onnx', noParts, { output: 'none' }).then(
    String,
    String,
  );
  t.match(unknown, /no output "none"; its outputs are:\n {2}logits/);
  const label = await readOnnx(modelBytes({ ...spec, outputs: ['label'] }), 'net.onnx', noParts).then(
    String,
    String,
  );
  t.match(label, /"label" is \[1\] for one picture, of whole numbers/);
});

test('logits are found through what stands behind a softmax', async (t) => {
  const logitsNode: NodeSpec = { ...gemm('f'), outputs: ['z'] };
  const plain = await read({ nodes: [...head, logitsNode], initializers: weights, outputs: ['z'] });
  const x = await picture([1, 3, 4, 4]);
  const wanted = await logits(plain, x).data();
  const softmax: NodeSpec = { op: 'Softmax', inputs: ['z'], outputs: ['p'], attributes: { axis: 1 } };
  const constants = [
    ints('shape', -1, 4, 1, 1),
    ints('axes', 2, 3),
    ints('last', 1),
    { name: 'low', dims: [], data: [1e-7] },
  ];
  const ends: Record<string, readonly NodeSpec[]> = {
    'a clamp': [softmax, { op: 'Clip', inputs: ['p', 'low'], outputs: ['y'] }],
    'a logarithm': [softmax, { op: 'Log', inputs: ['p'], outputs: ['y'] }],
    'a reshape': [softmax, { op: 'Reshape', inputs: ['p', 'shape'], outputs: ['y'] }],
    'views on both sides': [
      { op: 'Unsqueeze', inputs: ['z', 'axes'], outputs: ['u'] },
      { ...softmax, inputs: ['u'] },
      { op: 'Squeeze', inputs: ['p', 'axes'], outputs: ['y'] },
    ],
    'casts and identities': [
      softmax,
      { op: 'Cast', inputs: ['p'], outputs: ['q'], attributes: { to: 1 } },
      { op: 'Identity', inputs: ['q'], outputs: ['y'] },
    ],
  };
  for (const [what, end] of Object.entries(ends)) {
    const network = await read({
      nodes: [...head, logitsNode, ...end],
      initializers: [...weights, ...constants],
    });
    t.equal(network.probabilities, 'softmax', what);
    t.ok(relativeError(await logits(network, x).data(), wanted) < 1e-6, `${what}: the logits`);
    await checkBatch(t, network, what);
  }
  const falling = await read({
    nodes: [...head, logitsNode, softmax, { op: 'Neg', inputs: ['p'], outputs: ['y'] }],
    initializers: weights,
  });
  t.equal(falling.graph.output, 'y', 'what turns the order of classes about is no end of probabilities');
});

test('one number is a value, unless a sigmoid makes it a probability', async (t) => {
  const one = [...weights.slice(0, 2), random('fc', [1, 5]), random('fcb', [1])];
  const last = { ...gemm('f'), outputs: ['z'] };
  const value = await read({ nodes: [...head, last], initializers: one, outputs: ['z'] });
  t.deepEqual([value.probabilities, value.classCount], ['none', 1]);
  const score = await read({
    nodes: [...head, last, { op: 'Sigmoid', inputs: ['z'], outputs: ['y'] }],
    initializers: one,
  });
  t.deepEqual([score.probabilities, score.graph.output], ['sigmoid', 'z']);
  const squeezed = await read({
    nodes: [...head, last, { op: 'Squeeze', inputs: ['z', 'axis'], outputs: ['y'] }],
    initializers: [...one, ints('axis', 1)],
  });
  t.deepEqual([squeezed.probabilities, squeezed.classCount], ['none', 1], '[N] is [N, 1]');
  await checkBatch(t, squeezed, 'one number a picture');
});

test('a network that scales pixels itself takes them as they are', async (t) => {
  const channels = (name: string, ...data: number[]): TensorSpec => ({ name, dims: [1, 3, 1, 1], data });
  const number = (name: string, value: number): TensorSpec => ({ name, dims: [], data: [value] });
  const raw = { scale: 1, mean: [0], std: [1] };
  const of = (op: string, from: string, to: string, by?: string): NodeSpec => ({
    op,
    inputs: by ? [from, by] : [from],
    outputs: [to],
  });
  const starts: Record<string, readonly [nodes: readonly NodeSpec[], is: typeof raw | undefined]> = {
    'x / 255, less the mean, over the deviation': [
      [of('Div', 'x', 'a', 'full'), of('Sub', 'a', 'm', 'mean'), of('Div', 'm', 's', 'std')],
      raw,
    ],
    'x / 127.5 - 1': [[of('Mul', 'x', 'a', 'half'), of('Sub', 'a', 's', 'one')], raw],
    'behind a transposition and an identity': [[of('Identity', 'x', 'a'), of('Mul', 'a', 's', 'half')], raw],
    'mean and deviation alone': [[of('Sub', 'x', 'm', 'mean'), of('Div', 'm', 's', 'std')], undefined],
    'a square': [[of('Mul', 'x', 'a', 'half'), of('Abs', 'a', 'e'), of('Sqrt', 'e', 's')], undefined],
    nothing: [[of('Identity', 'x', 's')], undefined],
  };
  const constants = [
    number('full', 255),
    number('half', 1 / 127.5),
    number('one', 1),
    channels('mean', 0.485, 0.456, 0.406),
    channels('std', 0.229, 0.224, 0.225),
  ];
  for (const [what, [start, expected]] of Object.entries(starts)) {
    const network = await read({
      nodes: [...start, { ...conv, inputs: ['s', 'w', 'b'] }, ...head.slice(1), gemm('f')],
      initializers: [...weights, ...constants],
    });
    t.deepEqual(network.preprocessing, expected, what);
  }
  const bytes = await read({
    nodes: [
      { op: 'Cast', inputs: ['x'], outputs: ['s'], attributes: { to: 1 } },
      { ...conv, inputs: ['s', 'w', 'b'] },
      ...head.slice(1),
      gemm('f'),
    ],
    initializers: weights,
    inputs: [{ name: 'x', dims: [1, 3, 4, 4], type: 2 }],
  });
  t.deepEqual(bytes.preprocessing, raw, 'an input of bytes');
});

test('any number of pictures, from shapes that are computed', async (t) => {
  // The batch is read with a prime: n / prime times prime is not n for many n where it is rounded on the way.
  const nodes: readonly NodeSpec[] = [
    conv,
    { op: 'Shape', inputs: ['c'], outputs: ['s'] },
    { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
    { op: 'Unsqueeze', inputs: ['n', 'zeros'], outputs: ['n1'] },
    { op: 'Concat', inputs: ['n1', 'five', 'four'], outputs: ['t'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['c', 't'], outputs: ['rows'] },
    { op: 'Concat', inputs: ['n1', 'five', 'four'], outputs: ['e'], attributes: { axis: 0 } },
    { op: 'Expand', inputs: ['rows', 'e'], outputs: ['wide'] },
    { op: 'ReduceMax', inputs: ['wide'], outputs: ['f'], attributes: { axes: [2], keepdims: 0 } },
    gemm('f'),
  ];
  const initializers = [
    ...weights,
    { name: 'zero', dims: [], type: 7, data: [0] },
    ints('zeros', 0),
    ints('five', 5),
    ints('four', 4),
  ];
  const { graph } = await read({ nodes, initializers, inputs: [{ name: 'x', dims: ['N', 3, 4, 4] }] });
  const wrong: number[] = [];
  for (let n = 1; n <= 512; n++) {
    const { shapes } = dryRun(graph, [n, 3, 4, 4]);
    const fits = [...shapes.values()].every((shape) => shape[0] === n && shape.every(Number.isInteger));
    if (!fits) wrong.push(n);
  }
  t.deepEqual(wrong, [], '1 to 512');
});

test('further inputs have names and shapes', async (t) => {
  const network = await read({
    nodes: [
      ...head,
      { op: 'Concat', inputs: ['f', 'age'], outputs: ['all'], attributes: { axis: 1 } },
      { op: 'Gemm', inputs: ['all', 'fc', 'fcb'], outputs: ['y'], attributes: { transB: 1 } },
    ],
    initializers: [...weights.slice(0, 2), random('fc', [4, 7]), random('fcb', [4])],
    inputs: [
      { name: 'x', dims: ['N', 3, 4, 4] },
      { name: 'age', dims: ['N', 2] },
    ],
  });
  t.deepEqual(network.graph.inputs, [INPUT, 'age']);
  t.deepEqual([...network.otherInputs], [['age', [1, 2]]]);
});

test('functions of the file stand for their nodes', async (t) => {
  const body = { op: 'scaled', domain: 'local', inputs: ['a'], outputs: ['y'] };
  const network = await read({
    nodes: [
      ...head,
      gemm('f'),
      { ...body, inputs: ['y'], outputs: ['out'], name: 'call', attributes: { slope: { float: 0.5 } } },
    ],
    initializers: weights,
    outputs: ['out'],
    functions: [
      {
        name: 'scaled',
        domain: 'local',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [
          {
            op: 'LeakyRelu',
            inputs: ['a'],
            outputs: ['h'],
            name: 'inner',
            attributes: { alpha: { reference: 'slope' } },
          },
          { op: 'Neg', inputs: ['h'], outputs: ['b'] },
        ],
      },
    ],
  });
  const plain = await read({ nodes: [...head, gemm('f')], initializers: weights });
  const x = await picture([1, 3, 4, 4]);
  const expected = [...(await logits(plain, x).data())].map((n) => -(n > 0 ? n : 0.5 * n));
  t.ok(relativeError(await logits(network, x).data(), expected) < 1e-6, 'with the attributes of the call');
  t.ok(
    network.graph.nodes.some(({ name }) => name === 'call/inner'),
    'named by the call',
  );
});

test('what ONNX Runtime fuses is taken apart', async (t) => {
  const x = await picture([1, 3, 4, 4]);
  const domain = 'com.microsoft';
  const z = random('z', [1, 5, 2, 2], 9);
  const pairs: Record<string, readonly [fused: readonly NodeSpec[], plain: readonly NodeSpec[]]> = {
    'a convolution, a sum and a function': [
      [
        {
          op: 'FusedConv',
          domain,
          inputs: ['x', 'w', 'b', 'z'],
          outputs: ['r'],
          attributes: { activation: 'LeakyRelu', activation_params: { floats: [0.3] } },
        },
      ],
      [
        conv,
        { op: 'Add', inputs: ['c', 'z'], outputs: ['sum'] },
        { op: 'LeakyRelu', inputs: ['sum'], outputs: ['r'], attributes: { alpha: { float: 0.3 } } },
      ],
    ],
    'GELU of a sum': [
      [conv, { op: 'BiasGelu', domain, inputs: ['c', 'z'], outputs: ['r'] }],
      [
        conv,
        { op: 'Add', inputs: ['c', 'z'], outputs: ['s'] },
        { op: 'Gelu', inputs: ['s'], outputs: ['r'] },
      ],
    ],
    'its approximation': [
      [conv, { op: 'FastGelu', domain, inputs: ['c'], outputs: ['r'] }],
      [conv, { op: 'Gelu', inputs: ['c'], outputs: ['r'], attributes: { approximate: 'tanh' } }],
    ],
    'a product with a factor': [
      [
        conv,
        {
          op: 'FusedMatMul',
          domain,
          inputs: ['c', 'z'],
          outputs: ['r'],
          attributes: { alpha: { float: 0.5 }, transB: 1 },
        },
      ],
      [
        conv,
        { op: 'Transpose', inputs: ['z'], outputs: ['zt'], attributes: { perm: [0, 1, 3, 2] } },
        { op: 'MatMul', inputs: ['c', 'zt'], outputs: ['m'] },
        { op: 'Mul', inputs: ['m', 'half'], outputs: ['r'] },
      ],
    ],
    'a normalised sum': [
      [
        conv,
        {
          op: 'SkipLayerNormalization',
          domain,
          inputs: ['c', 'z', 'gamma', 'beta'],
          outputs: ['r'],
          attributes: { epsilon: { float: 1e-5 } },
        },
      ],
      [
        conv,
        { op: 'Add', inputs: ['c', 'z'], outputs: ['s'] },
        { op: 'LayerNormalization', inputs: ['s', 'gamma', 'beta'], outputs: ['r'] },
      ],
    ],
  };
  const initializers = [
    ...weights,
    z,
    random('gamma', [2]),
    random('beta', [2]),
    { name: 'half', dims: [], data: [0.5] },
  ];
  for (const [what, [fused, plain]] of Object.entries(pairs)) {
    const [a, b] = await Promise.all(
      [fused, plain].map((nodes) =>
        read({ opset: 20, nodes: [...nodes, ...head.slice(2), gemm('f')], initializers }),
      ),
    );
    const expected = await logits(b!, x).data();
    t.ok(Math.max(...expected.map(Math.abs)) > 0);
    t.ok(relativeError(await logits(a!, x).data(), expected) < 1e-5, what);
  }
});

test('attention of ONNX Runtime, against float64', async (t) => {
  // Tokens [N, 4, 6], two heads of 3.
  const [tokens, width, heads] = [4, 6, 2];
  const [weight, bias] = [random('qkv', [width, 3 * width], 3), random('qkvb', [3 * width], 4)];
  const network = await read({
    nodes: [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [2, 2] } },
      { op: 'Reshape', inputs: ['c', 'to'], outputs: ['r'] },
      { op: 'Transpose', inputs: ['r'], outputs: ['t'], attributes: { perm: [0, 2, 1] } },
      {
        op: 'Attention',
        domain: 'com.microsoft',
        inputs: ['t', 'qkv', 'qkvb'],
        outputs: ['a'],
        attributes: { num_heads: heads },
      },
      { op: 'Flatten', inputs: ['a'], outputs: ['y'] },
    ],
    initializers: [random('w', [width, 3, 2, 2]), weight, bias, ints('to', 0, width, tokens)],
  });
  const x = await picture([1, 3, 4, 4]);
  const input = scope(() => {
    const parameters = new Map(
      [...network.tensors].map(([k, v]) => [k, tensor(x.device, v.data, v.shape)] as const),
    );
    return evaluate(network.graph, parameters, new Map([[INPUT, x]]), ['t']).get('t')!;
  });
  const rows = Array.from({ length: tokens }, (_, i) => i);
  const values = await input.data();
  const qkv = rows.map((i) =>
    Array.from({ length: 3 * width }, (_, o) =>
      Array.from(
        { length: width },
        (_, k) => values[i * width + k]! * weight.data![k * 3 * width + o]!,
      ).reduce((a, b) => a + b, bias.data![o]!),
    ),
  );
  const d = width / heads;
  const expected = rows.flatMap((i) =>
    Array.from({ length: width }, (_, o) => {
      const first = Math.floor(o / d) * d;
      const scores = rows.map(
        (j) =>
          Array.from({ length: d }, (_, k) => qkv[i]![first + k]! * qkv[j]![width + first + k]!).reduce(
            (a, b) => a + b,
            0,
          ) / Math.sqrt(d),
      );
      const total = scores.reduce((sum, s) => sum + Math.exp(s), 0);
      return rows.reduce((sum, j) => sum + (Math.exp(scores[j]!) / total) * qkv[j]![2 * width + o]!, 0);
    }),
  );
  t.ok(relativeError(await logits(network, x).data(), expected) < 1e-5);
});

test('a quantised network rounds forward and passes derivatives on', async (t) => {
  const scale: TensorSpec = { name: 'scale', dims: [], data: [0.25] };
  const zero: TensorSpec = { name: 'zero', dims: [], type: 2, raw: Uint8Array.of(3) };
  const network = await read({
    nodes: [
      { op: 'Flatten', inputs: ['x'], outputs: ['f'] },
      { op: 'QuantizeLinear', inputs: ['f', 'scale', 'zero'], outputs: ['q'] },
      { op: 'DequantizeLinear', inputs: ['q', 'scale', 'zero'], outputs: ['y'] },
    ],
    initializers: [scale, zero],
    inputs: [{ name: 'x', dims: [1, 1, 2, 4] }],
  });
  const gpu = await device();
  const x = tensor(gpu, [-1.1, -0.7, -0.1, 0.125, 0.375, 0.6, 60, 70], [1, 1, 2, 4]);
  // round(x / 0.25), halves to even, from -3 to 252, times 0.25.
  const expected = [-0.75, -0.75, 0, 0, 0.5, 0.5, 60, 63];
  t.deepEqual([...(await logits(network, x).data())], expected, 'forward');
  const gradient = scope(() => grad((v: Tensor) => sum(logits(network, v)))(x));
  t.deepEqual([...(await gradient.data())], [0, 1, 1, 1, 1, 1, 1, 0], 'backward: 1, and 0 beyond the range');
});
