// The worst files that we could make for each reader, and what a file may take: seconds of a processor and megabytes, so
// many at all and so many for each megabyte of it.

import { readFileSync } from 'node:fs';
import { deflateSync, inflateSync } from 'node:zlib';
import { strToU8, zipSync } from 'fflate';
import { jpeg, png } from '../app/image-fixtures.ts';
import { encode } from '../models/keras-fixtures.ts';
import { modelBytes, type NodeSpec, type TensorSpec } from '../models/onnx-file.ts';

export interface Ceiling {
  readonly seconds: number;
  readonly secondsEach: number;
  readonly megabytes: number;
  readonly megabytesEach: number;
}

export interface Worst {
  readonly ceiling: Ceiling;
  readonly files: Readonly<Record<string, () => Uint8Array>>;
}

const repeated = (count: number, ...bytes: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: count * bytes.length }, (_, i) => bytes[i % bytes.length]!);
const joined = (...parts: readonly ArrayLike<number>[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};
const u32 = (n: number) => new Uint8Array(Uint32Array.of(n).buffer);
const many = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));

// ONNX.

const ints = (name: string, ...data: number[]): TensorSpec => ({ name, dims: [data.length], type: 7, data });
/** So many nodes in a row, the picture going in and a row of scores coming out. */
const chain = (count: number, node: (i: number) => NodeSpec, more: object = {}) => {
  const nodes = many(count, (i) => ({ ...node(i), inputs: [i === 0 ? 'x' : `${i}`], outputs: [`${i + 1}`] }));
  const end: readonly NodeSpec[] = [
    { op: 'GlobalAveragePool', inputs: [`${count}`], outputs: ['pooled'] },
    { op: 'Flatten', inputs: ['pooled'], outputs: ['y'] },
  ];
  return modelBytes({ opset: 13, nodes: [...nodes, ...end], ...more });
};
const flat: NodeSpec = { op: 'Flatten', inputs: ['x'], outputs: ['y'] };
const open = { inputs: [{ name: 'x', dims: ['n', 'c', 'h', 'w'] }] };
/** A size to which no picture's numbers can be reshaped: every example is tried. */
const never: NodeSpec = { op: 'Reshape', inputs: ['x', 'never'], outputs: ['y'] };
const constant: TensorSpec = { name: 'c', dims: [1], data: [1] };
const expand = (i: number): NodeSpec => ({ op: 'Expand', inputs: ['c', 's'], outputs: [`m${i}`] });

const onnx: Worst['files'] = {
  'many nodes': () => chain(5_000, () => ({ op: 'Relu', outputs: [] })),
  'many nodes, for every size': () =>
    modelBytes({
      ...open,
      opset: 13,
      nodes: [
        ...many(
          400,
          (i): NodeSpec => ({ op: 'Relu', inputs: [i === 0 ? 'x' : `${i}`], outputs: [`${i + 1}`] }),
        ),
        { ...never, inputs: ['400', 'never'] },
      ],
      initializers: [ints('never', -1, 7919)],
    }),
  'constants that grow, for every size': () =>
    modelBytes({
      ...open,
      opset: 13,
      nodes: [...many(20, expand), never],
      initializers: [constant, ints('s', 2 ** 11, 2 ** 11), ints('never', -1, 7919)],
    }),
  'coordinates of what is not 0': () =>
    modelBytes({
      opset: 13,
      nodes: [
        expand(0),
        ...many(9, (i): NodeSpec => ({ op: 'NonZero', inputs: [`m${i}`], outputs: [`m${i + 1}`] })),
        flat,
      ],
      initializers: [constant, ints('s', 1, 1, 2 ** 10, 2 ** 11)],
    }),
  'resizing without end': () =>
    modelBytes({
      opset: 13,
      nodes: [
        ...many(500, (i): NodeSpec => {
          return { op: 'Resize', inputs: ['x', '', 's'], outputs: [`r${i}`], attributes: { mode: 'cubic' } };
        }),
        flat,
      ],
      initializers: [{ name: 's', dims: [4], data: [1, 1, 4000, 4000] }],
    }),
  'a pool over 1e12 rows': () =>
    modelBytes({
      opset: 13,
      inputs: [{ name: 'x', dims: [1, 3, 1, 4] }],
      nodes: [
        { op: 'Expand', inputs: ['x', 's'], outputs: ['m'] },
        { op: 'AveragePool', inputs: ['m'], outputs: ['p'], attributes: { kernel_shape: [1, 1] } },
        { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
      ],
      initializers: [ints('s', 1, 3, 1e12, 4)],
    }),
  'places without end': () =>
    chain(
      500,
      (i) => ({ op: 'Transpose', outputs: [], attributes: { perm: i % 2 ? [0, 1, 3, 2] : [0, 1, 3, 2] } }),
      {
        inputs: [{ name: 'x', dims: [1, 3, 2 ** 19, 4] }],
      },
    ),
  'functions that call each other twice': () =>
    modelBytes({
      opset: 13,
      functions: many(30, (i) => ({
        name: `F${i}`,
        domain: 'own',
        inputs: ['a'],
        outputs: ['b'],
        nodes:
          i === 0
            ? [{ op: 'Relu', inputs: ['a'], outputs: ['b'] }]
            : [
                { op: `F${i - 1}`, domain: 'own', inputs: ['a'], outputs: ['m'] },
                { op: `F${i - 1}`, domain: 'own', inputs: ['m'], outputs: ['b'] },
              ],
      })),
      nodes: [
        { op: 'F29', domain: 'own', inputs: ['x'], outputs: ['m'] },
        { op: 'Flatten', inputs: ['m'], outputs: ['y'] },
      ],
    }),
  'parts of 2 bytes': () =>
    joined([0x3a, 0xc0, 0x9a, 0x0c], repeated(100_000, 0x0a, 0), [0x42, 4, 0x0a, 0, 0x10, 13]),
  'groups in each other': () => repeated(300_000, 0x0b),
  'tensors of nothing': () =>
    modelBytes({
      opset: 13,
      nodes: [flat],
      initializers: many(30_000, (i) => ({ name: `${i}`, dims: [0], data: [] })),
    }),
};

// Keras and TensorFlow.js.

/** Inner models, each called twice, so deep. */
function nested(depth: number): Uint8Array {
  let inner: { name: string } = { class_name: 'ReLU', config: { name: 'r' }, name: 'r' } as never;
  for (let i = 0; i < depth; i++) {
    const name = `m${i}`;
    const input = {
      class_name: 'InputLayer',
      name: 'in',
      config: { name: 'in', batch_input_shape: [null, 6, 6, 3] },
      inbound_nodes: [],
    };
    const twice = { ...inner, inbound_nodes: [[['in', 0, 0, {}]], [[inner.name, 0, 0, {}]]] };
    const layers = {
      input_layers: [['in', 0, 0]],
      output_layers: [[inner.name, 1, 0]],
      layers: [input, twice],
    };
    inner = { class_name: 'Functional', name, config: { name, ...layers } } as never;
  }
  return encode({ modelTopology: { model_config: inner }, weightsManifest: [] });
}
const sequential = (layers: readonly object[]) =>
  encode({
    modelTopology: { model_config: { class_name: 'Sequential', config: { layers } } },
    weightsManifest: [],
  });
const graphOf = (node: readonly object[]) =>
  encode({ format: 'graph-model', modelTopology: { node }, weightsManifest: [] });
const placeholder = {
  name: 'x',
  op: 'Placeholder',
  attr: {
    dtype: { type: 'DT_FLOAT' },
    shape: { shape: { dim: [1, 32, 32, 3].map((size) => ({ size: `${size}` })) } },
  },
};
const inputLayer = { class_name: 'InputLayer', config: { name: 'in', batch_input_shape: [null, 32, 32, 3] } };

const json: Worst['files'] = {
  'a text of escapes': () => strToU8(`{"a":"${'a\\n'.repeat(700_000)}"}`),
  brackets: () => strToU8(`{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`),
  'a shard named again and again': () =>
    encode({
      modelTopology: {},
      weightsManifest: many(10_000, (i) => ({
        paths: ['group1-shard1of1.bin'],
        weights: [{ name: `w${i}`, shape: [77], dtype: 'float32' }],
      })),
    }),
};

const hostileH5 = () =>
  JSON.parse(
    readFileSync(new URL('../models/references/hostile-h5.json', import.meta.url), 'utf8'),
  ) as Record<string, string>;
const hostile = (name: string) => () =>
  new Uint8Array(inflateSync(Buffer.from(hostileH5()[name]!, 'base64')));

// Weights.

const pickled = (...parts: readonly ArrayLike<number>[]) =>
  zipSync({ 'x/data.pkl': joined([0x80, 2], ...parts, [0x2e]) }, { level: 0 });
const safetensors = (header: string) =>
  joined(new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer), strToU8(header));
const [DUP, TUPLE2, NONE, DICT, SETITEM, REDUCE, MARK, TUPLE, BINGET, BINPUT] = [
  0x32, 0x86, 0x4e, 0x7d, 0x73, 0x52, 0x28, 0x74, 0x68, 0x71,
];
/** A tensor of a shape with so many axes of 0. */
const tensorOfRank = (rank: number) =>
  joined(
    [DICT, 0x8c, 1, 97],
    strToU8('ctorch._utils\n_rebuild_tensor_v2\n'),
    [MARK, MARK, 0x8c, 7],
    strToU8('storagectorch\nFloatStorage\n'),
    [0x8c, 1, 48, 0x8c, 1, 48, 0x4b, 0, TUPLE, 0x51, 0x4b, 0, MARK],
    repeated(rank, 0x4b, 0),
    [TUPLE, MARK],
    repeated(rank, 0x4b, 0),
    [TUPLE, TUPLE, REDUCE, SETITEM],
  );

// Pictures: what they take is bounded by the pixels that their headers claim, 64 million at most.

const side = 1500;
const header = (width: number, height: number) =>
  png({ width, height, colourType: 6, depth: 16, compressed: deflateSync(new Uint8Array(8)) });
const blocks = (columns: number, rows: number) => many(columns * rows, () => [128, 128, 128]);

const tarHeader = (name: string, size: string): Uint8Array => {
  const block = new Uint8Array(512);
  block.set(strToU8(name));
  block.set(strToU8(size), 124);
  block.fill(0x20, 148, 156);
  block.set(
    strToU8(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
    ),
    148,
  );
  return block;
};

const SMALL: Ceiling = { seconds: 1, secondsEach: 3, megabytes: 32, megabytesEach: 150 };

export const worst: Readonly<Record<string, Worst>> = {
  onnx: { ceiling: { seconds: 20, secondsEach: 40, megabytes: 600, megabytesEach: 600 }, files: onnx },
  'tfjs-layers': {
    ceiling: { seconds: 5, secondsEach: 10, megabytes: 100, megabytesEach: 200 },
    files: {
      ...json,
      'models in models, each called twice': () => nested(8),
      'models in models without end': () => nested(60),
      'as many layers as are read': () =>
        sequential([inputLayer, ...many(9_990, (i) => ({ class_name: 'ReLU', config: { name: `a${i}` } }))]),
    },
  },
  'tfjs-graph': {
    ceiling: { seconds: 5, secondsEach: 30, megabytes: 100, megabytesEach: 600 },
    files: {
      'many nodes': () =>
        graphOf([
          placeholder,
          ...many(3_000, (i) => ({
            name: `${i}`,
            op: 'Relu',
            input: [i === 0 ? 'x' : `${i - 1}`],
            attr: {},
          })),
        ]),
      'a circle of nodes': () =>
        graphOf(many(10_000, (i) => ({ name: `${i}`, op: 'Relu', input: [`${(i + 1) % 10_000}`] }))),
    },
  },
  h5: {
    ceiling: { seconds: 5, secondsEach: 5, megabytes: 100, megabytesEach: 10 },
    files: Object.fromEntries(
      [
        'a bomb',
        'a bomb of 4 GB',
        'one text four thousand times',
        'ninety thousand weights of nothing',
        'a circle of groups',
      ].map((name) => [name, hostile(name)]),
    ),
  },
  keras: {
    ceiling: { seconds: 2, secondsEach: 5, megabytes: 150, megabytesEach: 100 },
    files: {
      'a bomb': () => zipSync({ 'config.json': strToU8('{}'), 'model.weights.h5': new Uint8Array(60 << 20) }),
      'ten thousand names': () =>
        zipSync(
          Object.fromEntries(
            [...many(10_000, (i) => `${i}`), 'config.json', 'model.weights.h5'].map((name) => [
              name,
              strToU8('{}'),
            ]),
          ),
        ),
    },
  },
  safetensors: {
    ceiling: SMALL,
    files: {
      'a long key before many colons': () => safetensors(`{"${'a'.repeat(200_000)}"${'[:]'.repeat(60_000)}`),
      'tensors of nothing': () =>
        safetensors(
          JSON.stringify(
            Object.fromEntries(many(5_000, (i) => [i, { dtype: 'F32', shape: [0], data_offsets: [0, 0] }])),
          ),
        ),
      'a shape of zeros': () =>
        safetensors(
          JSON.stringify({ a: { dtype: 'F32', shape: many(100_000, () => 0), data_offsets: [0, 0] } }),
        ),
    },
  },
  pytorch: {
    ceiling: SMALL,
    files: {
      'a whole number of 300 kB': () => pickled([0x8b], u32(300_000), repeated(300_000, 1)),
      'tuples in each other as a key': () =>
        pickled([DICT, NONE], repeated(100, DUP, TUPLE2), [0x88, SETITEM]),
      'tuples in each other as a name': () => pickled([0x8c, 1, 97], repeated(100, DUP, TUPLE2), [DUP, 0x93]),
      'a shape of zeros': () => pickled(tensorOfRank(100_000)),
      'a list handed on again and again': () =>
        pickled(
          [MARK],
          repeated(20_000, 0x29),
          [0x6c, 0x85, BINPUT, 0],
          strToU8('ccollections\nOrderedDict\n'),
          [BINPUT, 1],
          repeated(20_000, BINGET, 1, BINGET, 0, REDUCE),
        ),
    },
  },
  npy: {
    ceiling: SMALL,
    files: {
      'a header of spaces': () =>
        joined([0x93], strToU8('NUMPY'), [1, 0, 0xff, 0xff], strToU8(`{${' '.repeat(65_534)}`)),
      'a header of brackets': () =>
        joined([0x93], strToU8('NUMPY'), [1, 0, 0xff, 0xff], strToU8(`{'shape': (${'1,'.repeat(32_762)}`)),
    },
  },
  png: {
    ceiling: { seconds: 5, secondsEach: 5, megabytes: 200, megabytesEach: 100 },
    files: {
      '2 megapixels of nothing': () =>
        png({
          width: side,
          height: side,
          colourType: 6,
          depth: 16,
          compressed: deflateSync(new Uint8Array(side * (8 * side + 1))),
        }),
      '64 megapixels of a header': () => header(8000, 8000),
      'a bomb behind a small header': () =>
        png({
          width: 1,
          height: 1,
          colourType: 0,
          interlaced: true,
          compressed: deflateSync(new Uint8Array(32 << 20)),
        }),
      'chunks of nothing': () => {
        const good = png({ width: 1, height: 1, colourType: 0, scanlines: [0, 0] });
        const nothing = joined([0, 0, 0, 0], strToU8('teXt'), [0, 0, 0, 0]);
        return joined(good.subarray(0, 33), repeated(40_000, ...nothing), good.subarray(33));
      },
    },
  },
  jpeg: {
    ceiling: { seconds: 20, secondsEach: 5, megabytes: 200, megabytesEach: 100 },
    files: {
      'as many scans as are read': () =>
        jpeg({ width: 512, height: 512, blocks: blocks(64, 64), frame: 0xc2, repeat: 300 }),
      'scans without end': () =>
        jpeg({ width: 2048, height: 2048, blocks: blocks(8, 8), frame: 0xc2, repeat: 5_000 }),
      'segments of nothing': () => joined([0xff, 0xd8], repeated(100_000, 0xff, 0xe0, 0, 2)),
      'bytes between segments': () => joined([0xff, 0xd8], repeated(500_000, 0xff)),
    },
  },
  webp: {
    ceiling: SMALL,
    files: {
      '64 megapixels of a header': () =>
        joined(
          strToU8('RIFF'),
          u32(1022),
          strToU8('WEBPVP8L'),
          u32(1000),
          [0x2f, 0x3f, 0xdf, 0xcf, 0x07],
          repeated(1005, 0),
        ),
    },
  },
  tar: {
    ceiling: SMALL,
    files: {
      'entries of nothing': () => joined(...many(2_000, () => tarHeader('x', '0'))),
      'more than there is': () => tarHeader('a', '77777777777'),
    },
  },
  labels: {
    ceiling: SMALL,
    files: {
      digits: () => strToU8('1'.repeat(500_000)),
      'digits and spaces': () => strToU8(`{${'1 '.repeat(200_000)}`),
      quotes: () => strToU8(`{${"'\\".repeat(200_000)}`),
      'a long text': () => strToU8(`['${'a'.repeat(3_000_000)}']`),
      'a text of escapes': () => strToU8(`['${"\\'".repeat(500_000)}',]`),
      commas: () => strToU8(`[${', '.repeat(200_000)}`),
      brackets: () => strToU8('['.repeat(500_000)),
      lines: () => strToU8('\n'.repeat(300_000)),
    },
  },
  settings: {
    ceiling: SMALL,
    files: {
      brackets: () => strToU8('['.repeat(500_000)),
      'many numbers': () => encode({ image_mean: many(100_000, (i) => i), do_resize: true, size: {} }),
    },
  },
};
