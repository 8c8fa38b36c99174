// A model's bytes of any format: recognised by how they begin, read by that format's reader, which is loaded then and not
// before.

import { FormatError } from './errors.ts';
import type { StateDict } from './host-tensor.ts';
import type { ImportedNetwork, OpenPart, ReadOptions } from './imported.ts';
import { readSafetensors } from './safetensors.ts';

/** Weights whose file does not hold their graph, and what it says of them. */
export interface Weights {
  readonly tensors: StateDict;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** What a file holds: a network, or weights alone. */
export type Model = ImportedNetwork | Weights;

/** Whether a file held its graph. */
export const isNetwork = (model: Model): model is ImportedNetwork => 'graph' in model;

interface Format {
  /** As people call it. */
  readonly name: string;
  readonly endings: readonly string[];
  /** Whether a file of these bytes may be of it. */
  readonly fits: (bytes: Uint8Array) => boolean;
  readonly read: (
    bytes: Uint8Array,
    fileName: string,
    openPart: OpenPart,
    options: ReadOptions,
  ) => Promise<Model>;
}

const begins = (bytes: Uint8Array, ...first: readonly number[]): boolean =>
  first.every((byte, i) => bytes[i] === byte);
const [P, K, H, D, F, BRACE] = [0x50, 0x4b, 0x48, 0x44, 0x46, 0x7b];
const isZip = (bytes: Uint8Array): boolean => begins(bytes, P, K, 3, 4);

/** Names in a zip archive stand at its end, in the order in which they were written. */
const zipHolds = (bytes: Uint8Array, name: string): boolean =>
  new TextDecoder('latin1').decode(bytes.subarray(-65_536)).includes(name);

/** Every format that is read; the first that may be it is it. */
export const formats: readonly Format[] = [
  {
    name: 'Keras .h5',
    endings: ['.h5', '.hdf5'],
    fits: (bytes) => begins(bytes, 0x89, H, D, F),
    read: async (bytes, name, _, options) =>
      (await import('./keras/archive.ts')).readKerasH5(bytes, name, options),
  },
  {
    name: 'Keras .keras',
    endings: ['.keras'],
    fits: (bytes) => isZip(bytes) && zipHolds(bytes, 'model.weights.h5'),
    read: async (bytes, name, _, options) =>
      (await import('./keras/archive.ts')).readKerasArchive(bytes, name, options),
  },
  {
    name: 'PyTorch',
    endings: ['.pt', '.pth', '.th', '.ckpt', '.bin'],
    // A zip archive, or a pickle of protocol 2 or later.
    fits: (bytes) => isZip(bytes) || (begins(bytes, 0x80) && bytes[1]! >= 2 && bytes[1]! <= 5),
    read: async (bytes, name) => ({ tensors: (await import('./pytorch/read.ts')).readPytorch(bytes, name) }),
  },
  {
    name: 'safetensors',
    endings: ['.safetensors'],
    // The size of its JSON header in eight bytes, then the header.
    fits: (bytes) => bytes[8] === BRACE && bytes[6] === 0 && bytes[7] === 0,
    read: async (bytes, name) => readSafetensors(bytes, name),
  },
  {
    name: 'TensorFlow.js model.json',
    endings: ['.json'],
    fits: (bytes) =>
      /^\uFEFF?\s*\{/.test(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, 64))),
    read: async (bytes, name, openPart, options) =>
      (await import('./tfjs/read.ts')).readTfjs(bytes, name, openPart, options),
  },
  {
    name: 'ONNX',
    endings: ['.onnx'],
    // A protocol buffer has no beginning of its own: this is the tag of one of a model's fields.
    fits: ([tag]) => [0x08, 0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(tag!),
    read: async (bytes, name, openPart, options) =>
      (await import('./onnx/read.ts')).readOnnx(bytes, name, openPart, options),
  },
];

/** What people have in place of a model's file, by how it begins. */
const mistaken: readonly (readonly [begins: RegExp, what: string])[] = [
  [/^version https:\/\/git-lfs/, 'a pointer of Git LFS, not the model itself; git lfs pull fetches that'],
  [/^\s*<(!doctype|html)/i, 'a web page, not the model itself; download the file that the page is about'],
];

/** The format of a file by its bytes; where they are of none, by the ending of its name. */
function formatOf(bytes: Uint8Array, fileName: string): Format | undefined {
  const byName = formats.find(({ endings }) =>
    endings.some((ending) => fileName.toLowerCase().endsWith(ending)),
  );
  // Formats that begin alike are told apart by the name.
  if (byName?.fits(bytes)) return byName;
  return formats.find(({ fits }) => fits(bytes)) ?? byName;
}

/**
 * Reads a model. `openPart` gives what lies beside the file: external data, shards of weights.
 *
 * @throws {FormatError} if it is of no format that is read, or its reader refuses it.
 */
export async function readModel(
  bytes: Uint8Array,
  fileName: string,
  openPart: OpenPart,
  options: ReadOptions = {},
): Promise<Model> {
  if (bytes.length === 0) throw new FormatError(`${fileName}: the file is empty`);
  const beginning = new TextDecoder('latin1').decode(bytes.subarray(0, 64));
  const [, what] = mistaken.find(([begins]) => begins.test(beginning)) ?? [];
  if (what !== undefined) throw new FormatError(`${fileName}: it is ${what}`);
  const format = formatOf(bytes, fileName);
  if (format) return format.read(bytes, fileName, openPart, options);
  throw new FormatError(
    `${fileName}: this is no model that is read; the formats are ${formats.map(({ name }) => name).join(', ')}. Export it to ` +
      'ONNX, which every framework can',
  );
}
