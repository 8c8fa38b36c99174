// Malformed Keras and TensorFlow.js files: each ends in a FormatError that says what is wrong, or in a correct load.

import test from 'tape';
import { apart } from '#platform';
import { LimelightError } from '../../engine/errors.ts';
import { shapesOf } from '../../models/dry-run.ts';
import { FormatError } from '../../models/formats/errors.ts';
import type { ImportedNetwork, OpenPart } from '../../models/formats/imported.ts';
import { readKerasH5 } from '../../models/formats/keras/h5.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { seededRandom } from '../reference/index.ts';
import {
  encode,
  functional,
  h5File,
  type LayerSpec,
  memory,
  tfjsFiles,
  weightsOf,
} from './keras-fixtures.ts';
import { exchanged, mutated, peakOf } from './mutations.ts';

const layers: LayerSpec[] = [
  { class: 'Rescaling', name: 'scale', config: { scale: 0.5, offset: [1, 2, 3] } },
  {
    class: 'Conv2D',
    name: 'conv',
    config: { filters: 4, kernel_size: [3, 3], padding: 'same', activation: 'relu' },
  },
  { class: 'BatchNormalization', name: 'bn', config: { axis: [3], epsilon: 0.001 } },
  { class: 'MaxPooling2D', name: 'pool', config: { pool_size: [2, 2], strides: null } },
  { class: 'Concatenate', name: 'join', from: ['pool', 'pool'], config: { axis: -1 } },
  { class: 'GlobalAveragePooling2D', name: 'gap' },
  { class: 'Reshape', name: 'pixel', config: { target_shape: [1, 1, 8] } },
  { class: 'Flatten', name: 'flat' },
  { class: 'Dense', name: 'dense', config: { units: 5, activation: 'softmax' } },
];
const weights = weightsOf({
  'conv/kernel': [3, 3, 3, 4],
  'conv/bias': [4],
  'bn/gamma': [4],
  'bn/beta': [4],
  'bn/moving_mean': [4],
  'bn/moving_variance': [4],
  'dense/kernel': [8, 5],
  'dense/bias': [5],
});
const config = functional([6, 6, 3], layers);
const { root, shard } = tfjsFiles(config, weights);
const parts = memory({ 'group1-shard1of1.bin': shard });

const never: OpenPart = async (name) => {
  throw new Error(`asked for ${name}`);
};

/** The message of the FormatError that a file ends in; any other end is reported as what it is. */
async function problem(read: Promise<unknown>): Promise<string> {
  try {
    await read;
    return 'it was read';
  } catch (error) {
    return error instanceof FormatError ? error.message : `not a FormatError: ${error}`;
  }
}

const clone = () =>
  structuredClone(root) as unknown as {
    weightsManifest: { paths: unknown[]; weights: Record<string, unknown>[] }[];
  };

test('model.json that is none', async (t) => {
  for (const [title, bytes, expected] of [
    ['empty', new Uint8Array(0), 'is not JSON'],
    ['binary', Uint8Array.of(0xff, 0xfe, 0), 'is not JSON'],
    ['truncated', encode(root).subarray(0, 500), 'is not JSON'],
    ['an array', encode([1]), 'not a JSON object'],
    ['null', encode(null), 'not a JSON object'],
    ['nothing in it', encode({}), 'no TensorFlow.js model'],
    [
      'a graph-model',
      encode({ format: 'graph-model', modelTopology: {}, weightsManifest: [] }),
      'modelTopology.node is missing',
    ],
    ['no topology', encode({ ...root, modelTopology: null }), 'no TensorFlow.js model'],
    ['no manifest', encode({ ...root, weightsManifest: {} }), 'no TensorFlow.js model'],
    [
      'a model of another kind',
      encode({ ...root, weightsManifest: [], modelTopology: { model_config: { class_name: 'X' } } }),
      'expected a Functional',
    ],
    ['nested beyond reason', new TextEncoder().encode('['.repeat(1e6)), 'is not JSON'],
    [
      'nested beyond use',
      new TextEncoder().encode(`{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}}`),
      'nests deeper',
    ],
  ] as const) {
    const message = await problem(readTfjs(bytes, 'model.json', never));
    t.ok(
      message.startsWith('model.json') && message.includes(expected),
      `${title}: ${message.slice(0, 120)}`,
    );
  }
  t.end();
});

test('shards outside the folder are never asked for', async (t) => {
  const names = [
    '../secret',
    'a/../../b',
    '/etc/passwd',
    'C:\\x',
    'C:x',
    '..\\x',
    'http://example.org/x',
    '//host/x',
    'a//b',
  ];
  for (const path of [...names, './x', '', '.', '..', 'a\0b', 7, null, ['x'], 'x'.repeat(2000)]) {
    const file = clone();
    file.weightsManifest[0]!.paths = [path];
    const message = await problem(readTfjs(encode(file), 'model.json', never));
    t.ok(message.includes('has the path'), JSON.stringify(path).slice(0, 40));
  }
  t.end();
});

test('shards that do not hold the weights', async (t) => {
  const read = (bytes: Uint8Array, file: unknown = root) =>
    problem(readTfjs(encode(file), 'model.json', memory({ 'group1-shard1of1.bin': bytes })));
  t.match(await read(shard.subarray(1)), /it is truncated/);
  t.match(await read(new Uint8Array(0)), /it is truncated/);
  t.match(await read(new Uint8Array([...shard, 0])), /it belongs to another model/);
  t.match(
    await problem(readTfjs(encode(root), 'model.json', memory({}))),
    /cannot open its weights .*there is no/,
  );
  const own = new LimelightError('as the opener says');
  const opened = await readTfjs(encode(root), 'model.json', () => Promise.reject(own)).catch(
    (error) => error,
  );
  t.equal(opened, own, "an opener's own error is passed on");
  const twice = clone();
  twice.weightsManifest.push(twice.weightsManifest[0]!);
  t.match(await read(shard, twice), /twice/);
  for (const [key, value] of [
    ['shape', [3, -1]],
    ['shape', [2 ** 40, 2 ** 40]],
    ['shape', 'x'],
    ['name', 7],
    ['dtype', 'string'],
    ['dtype', 'constructor'],
    ['quantization', 'uint8'],
    ['quantization', { dtype: 'uint8' }],
    ['quantization', { dtype: 'uint8', scale: null, min: 0 }],
    ['quantization', { dtype: '__proto__' }],
  ] as const) {
    const file = clone();
    file.weightsManifest[0]!.weights[0]![key] = value;
    t.match(
      await read(shard, file),
      /^model.json: weightsManifest\[0\].weights\[0\]/,
      `${key} ${JSON.stringify(value)}`,
    );
  }
  const huge = clone();
  huge.weightsManifest[0]!.weights[0]!.shape = [2 ** 24, 2 ** 24];
  t.match(await read(shard, huge), /truncated/, 'a size that no memory has is not allocated');
  t.end();
});

/** The model with its layers changed. */
const changed = (change: (layers: Record<string, unknown>[], config: Record<string, unknown>) => void) => {
  const copy = structuredClone(config) as unknown as {
    config: Record<string, unknown> & { layers: Record<string, unknown>[] };
  };
  change(copy.config.layers, copy.config);
  return problem(readTfjs(encode(tfjsFiles(copy, weights).root), 'model.json', parts));
};

test('graphs that are none', async (t) => {
  const inbound = (...names: string[]) => [names.map((name) => [name, 0, 0, {}])];
  t.match(
    await changed((l) => Object.assign(l[1]!, { inbound_nodes: inbound('conv') })),
    /takes, in a circle, what it gives itself/,
    'a circle of two',
  );
  t.match(
    await changed((l) => Object.assign(l[2]!, { inbound_nodes: inbound('conv') })),
    /takes, in a circle, what it gives itself/,
    'a layer on itself',
  );
  t.match(await changed((l) => Object.assign(l[2]!, { inbound_nodes: inbound('nowhere') })), /does not have/);
  t.match(
    await changed((l) => Object.assign(l[2]!, { inbound_nodes: [[['scale', 3, 1]]] })),
    /is called with/,
    'a second output',
  );
  t.match(await changed((l) => Object.assign(l[2]!, { inbound_nodes: [] })), /never called/);
  t.match(await changed((l) => Object.assign(l[2]!, { inbound_nodes: 'scale' })), /never called/);
  t.match(await changed((l) => Object.assign(l[2]!, { name: 'scale' })), /two layers called/);
  t.match(await changed((l) => l.splice(3, 1, null as never)), /not an object/);
  t.match(await changed((l) => Object.assign(l[2]!, { class_name: 7 })), /must be texts/);
  t.match(await changed((_, c) => Object.assign(c, { layers: 'x' })), /array of layers/);
  t.match(await changed((_, c) => Object.assign(c, { output_layers: [] })), /output_layers/);
  t.match(
    await changed((_, c) => Object.assign(c, { output_layers: [['gap', 5, 0]] })),
    /\[1, classes\]|was read/,
  );
  t.match(
    await changed((_, c) =>
      Object.assign(c, {
        output_layers: [
          ['gap', 0, 0],
          ['dense', 0, 0],
        ],
      }),
    ),
    /was read/,
  );
  t.match(
    await changed((_, c) => Object.assign(c, { output_layers: [['conv', 0, 0]] })),
    /output "conv" is \[1, 4, 6, 6\] for one picture/,
  );
  t.match(
    await changed((_, c) => Object.assign(c, { output_layers: [['in', 0, 0]] })),
    /output "in" is its input/,
  );
  const input = (shape: unknown) =>
    changed((l) => Object.assign(l[0]!.config as object, { batch_input_shape: shape }));
  for (const shape of [
    [null, 6, 6, 6, 6],
    [null, 1e9, 1e9, 3],
    [null, -1, 6, 3],
    [null, 6, 6, null],
    [null, 'x', 6, 3],
  ]) {
    t.match(await input(shape), /has the shape/, JSON.stringify(shape));
  }
  t.match(await input('x'), /does not say what shape/);
  let deep: unknown = config;
  for (let i = 0; i < 50; i++) {
    const inner = deep as typeof config;
    deep = functional([6, 6, 3], [{ class: 'Functional', name: `m${i}`, config: inner.config }]);
  }
  t.match(
    await problem(readTfjs(encode(tfjsFiles(deep, weights).root), 'model.json', parts)),
    /nested deeper/,
  );
  const many = functional(
    [6, 6, 3],
    Array.from({ length: 20_000 }, (_, i) => ({ class: 'Dropout', name: `d${i}` })),
  );
  t.match(
    await problem(
      readTfjs(
        encode(tfjsFiles(many, {}).root),
        'model.json',
        memory({ 'group1-shard1of1.bin': new Uint8Array(0) }),
      ),
    ),
    /more than 10000/,
  );
  t.end();
});

test('settings of every wrong type', async (t) => {
  const values = [
    null,
    true,
    -1,
    0,
    1.5,
    1e300,
    'x',
    '__proto__',
    [],
    [1],
    [1, 2, 3],
    [-1, -1],
    {},
    { class_name: 'x' },
    [[1]],
  ];
  const ends = new Map<string, number>();
  for (const [i, { config: own }] of layers.entries()) {
    for (const key of Object.keys(own ?? {})) {
      for (const value of values) {
        const message = await changed((l) => {
          (l[i + 1]!.config as Record<string, unknown>)[key] = value;
        });
        const end =
          message === 'it was read' ? 'read' : message.startsWith('not a') ? message : 'FormatError';
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }
    }
  }
  t.deepEqual([...ends.keys()].sort(), ['FormatError', 'read'], JSON.stringify([...ends]));
  t.end();
});

test('absurd sizes are refused before they take memory', async (t) => {
  const one = (layer: LayerSpec, repeat = 1, join = false) => {
    const own = Array.from({ length: repeat }, (_, i) => ({
      ...layer,
      name: `l${i}`,
      ...(join && i > 0 && { from: [`l${i - 1}`, `l${i - 1}`] }),
    }));
    return problem(
      readTfjs(
        encode(tfjsFiles(functional([4, 4, 3], own), {}).root),
        'model.json',
        memory({ 'group1-shard1of1.bin': new Uint8Array(0) }),
      ),
    );
  };
  t.match(await one({ class: 'UpSampling2D', name: 'u', config: { size: 2 ** 20 } }), /too large/);
  t.match(await one({ class: 'ZeroPadding2D', name: 'z', config: { padding: 2 ** 24 } }), /too large/);
  t.match(
    await one({ class: 'Conv2D', name: 'c', config: { filters: 2 ** 40, kernel_size: 1 } }),
    /filters is 1099511627776/,
  );
  t.match(
    await one({ class: 'Conv2D', name: 'c', config: { filters: 2 ** 24, kernel_size: 3 } }),
    /missing l0\/kernel/,
  );
  t.match(await one({ class: 'Cropping2D', name: 'k', config: { cropping: 9 } }), /would become/);
  t.match(await one({ class: 'MaxPooling2D', name: 'm', config: { pool_size: 9 } }), /larger than/);
  t.match(await one({ class: 'Reshape', name: 'r', config: { target_shape: [-1, -1] } }), /target_shape/);
  const doubled = functional(
    [4, 4, 3],
    [
      { class: 'Dropout', name: 'd0' },
      ...Array.from({ length: 22 }, (_, i) => ({
        class: 'Concatenate',
        name: `d${i + 1}`,
        from: [`d${i}`, `d${i}`],
      })),
      ...Array.from({ length: 9 }, (_, i) => ({ class: 'Rescaling', name: `r${i}`, config: { scale: 2 } })),
    ],
  );
  t.match(
    await problem(
      readTfjs(
        encode(tfjsFiles(doubled, {}).root),
        'model.json',
        memory({ 'group1-shard1of1.bin': new Uint8Array(0) }),
      ),
    ),
    /channels/,
    'numbers that a file does not hold are not made without bound',
  );
  t.end();
});

test('names like those of prototypes mean nothing', async (t) => {
  const text = JSON.stringify(root)
    .replaceAll('"conv"', '"__proto__"')
    .replaceAll('"conv/', '"__proto__/')
    .replaceAll('"gap"', '"constructor"');
  const network = await readTfjs(new TextEncoder().encode(text), 'model.json', parts);
  t.ok(
    network.graph.nodes.some(({ name }) => name === '__proto__'),
    'layers may be called so',
  );
  t.equal(
    shapesOf(network.graph, network.inputShape).size,
    network.graph.nodes.length + 1,
    'and the graph can be run',
  );
  const polluting = text.replace(
    '{"format"',
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"format"',
  );
  await readTfjs(new TextEncoder().encode(polluting), 'model.json', parts);
  t.equal(({} as Record<string, unknown>).polluted, undefined, 'no object is changed');
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    t.match(
      await changed((l) => Object.assign(l[3]!, { class_name: name })),
      /is not supported/,
      `a layer of class ${name}`,
    );
    t.match(
      await changed((l) => Object.assign(l[2]!.config as object, { activation: name })),
      /activation ".*" is not supported/,
    );
  }
  t.end();
});

/** How reading a file ended: its error's class, or "read" when the network's shapes can be found too. */
async function endOf(read: Promise<ImportedNetwork>): Promise<string> {
  try {
    const { graph, inputShape } = await read;
    shapesOf(graph, inputShape);
    return 'read';
  } catch (error) {
    return error instanceof LimelightError ? 'typed' : `${(error as Error).stack}`;
  }
}

test('mutated model.json files end in a typed error or a network', async (t) => {
  const next = seededRandom(11);
  const ends = new Map<string, number>();
  const asked = new Set<string>();
  const open: OpenPart = (name) => {
    asked.add(name);
    return parts(name);
  };
  const bytes = encode(root);
  const peak = await peakOf(async () => {
    for (let i = 0; i < 3000; i++) {
      // The manifest is small: it has mutations of its own.
      const weightsManifest = exchanged(root.weightsManifest, next);
      const tree = i % 3 === 1 ? { ...root, weightsManifest } : exchanged(root, next);
      const end = await endOf(
        readTfjs(i % 3 === 0 ? mutated(bytes, next) : encode(tree), 'model.json', open),
      );
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  });
  t.deepEqual([...ends.keys()].sort(), ['read', 'typed'], JSON.stringify([...ends]));
  t.ok(peak < 2 ** 29, `memory peaks ${peak} bytes higher`);
  t.equal(({} as Record<string, unknown>).polluted, undefined, 'no object is changed');
  const outside = [...asked].filter((name) => /^[/\\]|:|\\|(^|\/)\.\.(\/|$)/.test(name));
  t.deepEqual(outside, [], 'no part is asked for by a name that leads outside');
  t.ok(asked.size > 1, `parts of ${asked.size} names are`);
  t.end();
});

test('HDF5 files that are none, or no model', async (t) => {
  const good = await h5File(config, weights);
  t.equal(await endOf(readKerasH5(good, 'model.h5')), 'read', 'the file that the others are made from');
  for (const [title, bytes, expected] of [
    ['empty', new Uint8Array(0), 'is not an HDF5 file'],
    ['text', new TextEncoder().encode('hello'), 'is not an HDF5 file'],
    ['a .keras archive', Uint8Array.of(0x50, 0x4b, 3, 4), 'zip archive'],
    ['the signature alone', good.subarray(0, 8), 'cannot open it'],
    ['truncated', good.subarray(0, good.length / 2), 'cannot open it'],
    ['without weights', await h5File(config, {}), 'missing conv/kernel'],
    ['of another model', await h5File({ class_name: 'X' }, weights), 'expected a Functional'],
  ] as const) {
    const message = await problem(readKerasH5(bytes, 'model.h5'));
    t.ok(message.startsWith('model.h5') && message.includes(expected), `${title}: ${message.slice(0, 120)}`);
  }
  t.end();
});

test('what runs apart and never answers is ended', async (t) => {
  const circle = apart(new URL('./circle.ts', import.meta.url));
  const error = await circle.ask({}, 3000).catch((reason) => reason);
  t.match(String(error), /no answer within 3000 ms/);
  t.match(String(await circle.ask({}, 3000).catch((reason) => reason)), /SIGKILL|closed/, 'and is of no use');
  t.end();
});
