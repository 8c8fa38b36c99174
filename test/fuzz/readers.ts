// Every reader of a file that a stranger may have made, and small good files of each, made here.

import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { strToU8 } from 'fflate';
import { decodeImage } from '../../app/image/decode.ts';
import { LimelightError } from '../../engine/errors.ts';
import { untar } from '../../engine/platform/node/untar.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readKerasArchive } from '../../models/formats/keras/archive.ts';
import { type ReadApart, readApart, readKerasH5 } from '../../models/formats/keras/h5.ts';
import { readContent } from '../../models/formats/keras/h5-content.ts';
import { readNpy, writeNpy } from '../../models/formats/npy.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { readPytorch } from '../../models/formats/pytorch/read.ts';
import { readSafetensors, writeSafetensors } from '../../models/formats/safetensors.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { classNames } from '../../models/labels.ts';
import { preprocessingIn } from '../../models/picture-config.ts';
import { jpeg, png } from '../app/image-fixtures.ts';
import { encode, functional, h5File, memory, tfjsFiles, weightsOf } from '../models/keras-fixtures.ts';
import { everyStep, ints, modelBytes, numbers } from '../models/onnx-file.ts';

export interface Reader {
  /** What it throws is to be a LimelightError. */
  readonly read: (bytes: Uint8Array) => unknown;
  /** Small good files. */
  readonly good: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** Puts checksums right where a file was changed, so that what they guard is reached. */
  readonly repaired?: (bytes: Uint8Array) => Uint8Array;
  /** The same in another process, where a damaged file may leave a library useless for all that comes after it. */
  readonly readApart?: (bytes: Uint8Array) => unknown;
  /** Why it is not fuzzed here. */
  readonly notFuzzed?: string;
}

async function network(reading: Promise<ImportedNetwork>): Promise<unknown> {
  const { graph, inputShape, otherInputs } = await reading;
  return dryRun(graph, inputShape, otherInputs);
}

const layers = [
  { class: 'Conv2D', name: 'conv', config: { filters: 2, kernel_size: [3, 3], padding: 'same' } },
  { class: 'BatchNormalization', name: 'bn', config: { axis: [3], epsilon: 0.001 } },
  { class: 'ReLU', name: 'relu' },
  { class: 'GlobalAveragePooling2D', name: 'gap' },
  { class: 'Dense', name: 'dense', config: { units: 3, activation: 'softmax' } },
];
export const weights = weightsOf({
  'conv/kernel': [3, 3, 3, 2],
  'conv/bias': [2],
  'bn/gamma': [2],
  'bn/beta': [2],
  'bn/moving_mean': [2],
  'bn/moving_variance': [2],
  'dense/kernel': [2, 3],
  'dense/bias': [3],
});
export const config = functional([6, 6, 3], layers);
const { root, shard } = tfjsFiles(config, weights);
export const shards = memory({ 'group1-shard1of1.bin': shard });

/** A graph-model of TensorFlow's: a convolution, ReLU, mean, matrix product, softmax. */
const listOf = (...values: number[]) => ({ list: { i: values.map(String) } });
const DT_FLOAT = { type: 'DT_FLOAT' };
const graphModel = {
  format: 'graph-model',
  signature: {
    inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT' } },
    outputs: { y: { name: 'y:0', dtype: 'DT_FLOAT' } },
  },
  modelTopology: {
    node: [
      {
        name: 'x',
        op: 'Placeholder',
        attr: {
          shape: { shape: { dim: [-1, 6, 6, 3].map((size) => ({ size: String(size) })) } },
          dtype: DT_FLOAT,
        },
      },
      { name: 'w', op: 'Const', attr: { dtype: DT_FLOAT } },
      { name: 'axes', op: 'Const', attr: { dtype: { type: 'DT_INT32' } } },
      { name: 'v', op: 'Const', attr: { dtype: DT_FLOAT } },
      {
        name: 'c',
        op: 'Conv2D',
        input: ['x', 'w'],
        attr: {
          T: DT_FLOAT,
          strides: listOf(1, 1, 1, 1),
          dilations: listOf(1, 1, 1, 1),
          padding: { s: btoa('SAME') },
          data_format: { s: btoa('NHWC') },
        },
      },
      { name: 'r', op: 'Relu', input: ['c'], attr: { T: DT_FLOAT } },
      { name: 'm', op: 'Mean', input: ['r', 'axes'], attr: { T: DT_FLOAT, keep_dims: { b: false } } },
      {
        name: 'p',
        op: 'MatMul',
        input: ['m', 'v'],
        attr: { T: DT_FLOAT, transpose_a: { b: false }, transpose_b: { b: false } },
      },
      { name: 'y', op: 'Softmax', input: ['p'], attr: { T: DT_FLOAT } },
    ],
  },
  weightsManifest: [
    {
      paths: ['group1-shard1of1.bin'],
      weights: [
        { name: 'w', shape: [3, 3, 3, 2], dtype: 'float32' },
        { name: 'axes', shape: [2], dtype: 'int32' },
        { name: 'v', shape: [2, 3], dtype: 'float32' },
      ],
    },
  ],
};
const graphShard = new Uint8Array(4 * (54 + 2 + 6));
new Float32Array(graphShard.buffer).fill(0.5);
new Int32Array(graphShard.buffer).set([1, 2], 54);
export const graphShards = memory({ 'group1-shard1of1.bin': graphShard });

const onnxFiles = () => [
  modelBytes(everyStep),
  modelBytes({
    opset: 17,
    functions: [
      {
        name: 'Twice',
        domain: 'own',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [{ op: 'Add', inputs: ['a', 'a'], outputs: ['b'] }],
      },
    ],
    nodes: [
      { op: 'BatchNormalization', inputs: ['x', 's', 's', 's', 's'], outputs: ['n'] },
      { op: 'Twice', domain: 'own', inputs: ['n'], outputs: ['d'] },
      { op: 'Transpose', inputs: ['d'], outputs: ['t'], attributes: { perm: [0, 2, 3, 1] } },
      { op: 'Einsum', inputs: ['t', 'v'], outputs: ['e'], attributes: { equation: 'bhwc,cd->bdhw' } },
      { op: 'Unsqueeze', inputs: ['e', 'two'], outputs: ['g'] },
      { op: 'Squeeze', inputs: ['g', 'two'], outputs: ['k'] },
      { op: 'Range', inputs: ['i0', 'i4', 'i1'], outputs: ['range'] },
      { op: 'Gather', inputs: ['k', 'range'], outputs: ['l'], attributes: { axis: 1 } },
      { op: 'ReduceMean', inputs: ['l'], outputs: ['y'], attributes: { axes: [2, 3], keepdims: 0 } },
    ],
    initializers: [
      numbers('s', [3]),
      numbers('v', [3, 4]),
      ints('two', 2),
      { name: 'i0', dims: [], type: 7, data: [0] },
      { name: 'i4', dims: [], type: 7, data: [4] },
      { name: 'i1', dims: [], type: 7, data: [1] },
    ],
  }),
];

const references = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const small = (files: readonly Uint8Array[]) => files.filter(({ length }) => length < 4000);
const pictures = (kind: string) =>
  small(
    references('../app/references/pictures.json')
      .cases.filter(({ title }: { title: string }) => title.startsWith(kind))
      .map(({ file }: { file: string }) => fromBase64(file)),
  );

/** The HDF5 library in this process, for archives whose other parts are meant. */
const readHere: ReadApart = async (file) => readContent(await import('h5wasm'), file);

const tarEntry = (name: string, contents: string): Uint8Array => {
  const header = new Uint8Array(512);
  header.set(strToU8(name));
  header.set(strToU8(contents.length.toString(8).padStart(11, '0')), 124);
  header.set(strToU8('0'), 156);
  const body = new Uint8Array(Math.ceil(contents.length / 512) * 512);
  body.set(strToU8(contents));
  return withTarChecksums(Uint8Array.from([...header, ...body]));
};

/** Each block's checksum as if it were a header. */
function withTarChecksums(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (let at = 0; at + 512 <= copy.length; at += 512) {
    const block = copy.subarray(at, at + 512);
    if (block[0] === 0) continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(strToU8(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  }
  return copy;
}

function withPngChecksums(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > copy.length) break;
    view.setUint32(end, crc32(copy.subarray(at + 4, end)));
    at = end + 4;
  }
  return copy;
}

export const readers: Readonly<Record<string, Reader>> = {
  onnx: {
    read: (bytes) => network(readOnnx(bytes, 'a.onnx', memory({ part: new Uint8Array(64) }))),
    good: onnxFiles,
  },
  h5: {
    read: (bytes) => network(readKerasH5(bytes, 'a.h5', {}, readApart)),
    good: async () => [await h5File(config, weights)],
    notFuzzed:
      'the HDF5 library is WebAssembly, in which nothing can be followed; keras-h5-hostile.test.ts has its mutations',
  },
  keras: {
    read: (bytes) => network(readKerasArchive(bytes, 'a.keras', {}, readHere)),
    readApart: (bytes) => network(readKerasArchive(bytes, 'a.keras', {}, readApart)),
    good: () =>
      small(
        Object.values(references('../models/references/keras-archive.json').files).map((file) =>
          fromBase64(String(file)),
        ),
      ),
  },
  'tfjs-layers': {
    read: (bytes) => network(readTfjs(bytes, 'model.json', shards)),
    good: () => [encode(root)],
  },
  'tfjs-graph': {
    read: (bytes) => network(readTfjs(bytes, 'model.json', graphShards)),
    good: () => [encode(graphModel)],
  },
  safetensors: {
    read: (bytes) => readSafetensors(bytes, 'a.safetensors'),
    good: () =>
      (['F32', 'F16'] as const).map((dtype) =>
        writeSafetensors(
          new Map([
            ['a', { shape: [2, 3], data: new Float32Array(6).fill(0.5) }],
            ['b.weight', { shape: [], data: new Float32Array(1) }],
            ['empty', { shape: [0], data: new Float32Array(0) }],
          ]),
          { dtype, metadata: new Map([['format', 'pt']]) },
        ),
      ),
  },
  pytorch: {
    read: (bytes) => readPytorch(bytes, 'a.pth'),
    good: () =>
      small(
        references('../models/references/pytorch.json').cases.map(({ file }: { file: string }) =>
          fromBase64(file),
        ),
      ),
  },
  npy: {
    read: (bytes) => readNpy(bytes, 'a.npy'),
    good: () => [writeNpy([2, 3], new Float32Array(6)), writeNpy([], new Float32Array(1))],
  },
  png: {
    read: (bytes) => decodeImage(bytes, 'a.png'),
    good: () => [
      png({ width: 2, height: 2, colourType: 2, scanlines: [0, 1, 2, 3, 4, 5, 6, 1, 7, 8, 9, 1, 1, 1] }),
      png({ width: 3, height: 1, colourType: 6, depth: 16, scanlines: [4, ...Array(24).keys()] }),
      png({
        width: 9,
        height: 1,
        colourType: 0,
        depth: 1,
        interlaced: true,
        scanlines: [0, 128, 0, 128, 0, 128, 0, 128],
      }),
    ],
    repaired: withPngChecksums,
  },
  jpeg: {
    read: (bytes) => decodeImage(bytes, 'a.jpg'),
    good: () => [
      jpeg({ width: 11, height: 9, blocks: [[0], [255], [77], [128]] }),
      jpeg({ width: 11, height: 9, blocks: [[0], [255], [77], [128]], frame: 0xc2 }),
      ...pictures('JPEG'),
    ],
  },
  webp: { read: (bytes) => decodeImage(bytes, 'a.webp'), good: () => pictures('WebP') },
  tar: {
    read: (bytes) => untar(bytes, ['a', 'b']),
    good: () => [
      Uint8Array.from([...tarEntry('x/a', 'A'.repeat(600)), ...tarEntry('b', 'B'), ...Array(1024).fill(0)]),
    ],
    repaired: withTarChecksums,
  },
  labels: {
    read: (bytes) => classNames(new TextDecoder().decode(bytes), 2, 'labels.txt'),
    good: () =>
      [
        '0 Cat\n1 Dog\n',
        "{0: 'Cat', 1: 'Dog',}",
        '["Cat", "Dog"]',
        'n01443537 Cat\nn01443538 Dog',
        '{"id2label": {"0": "a", "1": "b"}}',
        '{"Cat": 0, "Dog": 1}',
        '{"0": ["n0", "Cat"], "1": ["n1", "Dog"]}',
      ].map((text) => new TextEncoder().encode(text)),
  },
  settings: {
    read: (bytes) => {
      let value: unknown;
      try {
        value = JSON.parse(new TextDecoder().decode(bytes));
      } catch {
        throw new LimelightError('not JSON');
      }
      return preprocessingIn(value);
    },
    good: () =>
      [
        {
          pretrained_cfg: {
            input_size: [3, 224, 224],
            crop_pct: 0.9,
            mean: [0.5, 0.5, 0.5],
            std: [1, 1, 1],
            interpolation: 'bicubic',
            crop_mode: 'squash',
          },
        },
        {
          do_resize: true,
          size: { shortest_edge: 256 },
          crop_size: 224,
          do_center_crop: true,
          image_mean: [0.5],
          image_std: [0.5],
          resample: 3,
          rescale_factor: 0.00392156862745098,
          image_processor_type: 'ConvNextImageProcessor',
        },
        { packageName: '@teachablemachine/image', imageSize: 224 },
      ].map(encode),
  },
};

/** Whether an error is one that reading may end in. */
export const isTyped = (error: unknown): boolean => error instanceof LimelightError;
