// Keras's .h5 files: HDF5 with the model's configuration as an attribute and the weights as datasets, read by h5wasm, the
// HDF5 library compiled to WebAssembly. It sees a file system of its own that holds this one file.

import type { Attribute, Dataset, Entity, File, Group } from 'h5wasm';
import { LimelightError } from '../../../engine/errors.ts';
import { FormatError } from '../errors.ts';
import { elementCount } from '../host-tensor.ts';
import type { ImportedNetwork } from '../imported.ts';
import { buildKeras } from './build.ts';
import { innerModels } from './config.ts';
import type { StoredWeight } from './context.ts';
import { parseObject, quote } from './json.ts';

type Library = typeof import('h5wasm');

/** What HDF5 files begin with. */
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const PATH = '/network.h5';
/** Weights hardly compress: a file that claims so much more than it holds is not a network. */
const MAX_EXPANSION = 16;

/** What h5wasm's types leave out of its file system. */
interface Stream {
  stream_ops: { write(stream: Stream, buffer: unknown, offset: number, length: number): number };
}
interface Streams {
  getStream(descriptor: number): Stream;
  close(stream: Stream): void;
}

let opened: Promise<Library> | undefined;
/** Set once the library's own memory was corrupted by a file. */
let broken = false;

/**
 * Reads a Keras model: functional or Sequential, as `model.save('name.h5')` writes it.
 *
 * @throws {FormatError} if the file is malformed, holds weights alone, or a network that Limelight cannot compute.
 */
export async function readKerasH5(bytes: Uint8Array, fileName: string): Promise<ImportedNetwork> {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    const zip = bytes[0] === 0x50 && bytes[1] === 0x4b;
    const hint = zip
      ? 'it is a zip archive, as Keras 3 writes: save it with model.save("name.h5")'
      : 'is it complete?';
    throw new FormatError(`${fileName} is not an HDF5 file; ${hint}`);
  }
  opened ??= openLibrary();
  const library = await opened;
  if (broken) {
    throw new FormatError(
      `${fileName}: an earlier damaged file broke the HDF5 library; start the program again`,
    );
  }
  const { FS } = await library.ready;
  let file: File | undefined;
  try {
    FS.writeFile(PATH, bytes);
    file = new library.File(PATH, 'r');
    if (file.file_id < 0n)
      throw new FormatError(`${fileName}: the HDF5 library cannot open it; is it complete?`);
    return readFile(library, file, bytes.length, fileName);
  } catch (cause) {
    if (cause instanceof LimelightError) throw cause;
    if (cause instanceof WebAssembly.RuntimeError) broken = true;
    throw new FormatError(`${fileName} is a damaged HDF5 file: ${String(cause).slice(0, 200)}`, { cause });
  } finally {
    if (!broken) {
      file?.close();
      FS.unlink(PATH);
    }
  }
}

/** Loads the library once. Its file system loses its devices and its input, so that no link in a file leads to them. */
async function openLibrary(): Promise<Library> {
  const library = await import('h5wasm');
  const { FS } = await library.ready;
  // HDF5 describes each failure on the standard error stream; the caller gets an error instead.
  const { getStream, close } = FS as unknown as Streams;
  const errors = getStream(2);
  errors.stream_ops = { ...errors.stream_ops, write: (_stream, _buffer, _offset, length) => length };
  close(getStream(0));
  for (const name of FS.readdir('/dev')) {
    if (!FS.isDir(FS.lstat(`/dev/${name}`).mode)) FS.unlink(`/dev/${name}`);
  }
  return library;
}

function readFile(library: Library, file: File, size: number, name: string): ImportedNetwork {
  const text = attribute(file, 'model_config', size);
  if (typeof text !== 'string') {
    throw new FormatError(
      `${name} holds no model: it has no model_config. If it holds weights alone, save the whole model with model.save("name.h5")`,
    );
  }
  const root = file.get('model_weights');
  if (!(root instanceof library.Group)) throw new FormatError(`${name} has no group "model_weights"`);
  const config = parseObject(text, `${name}: model_config`);
  const kerasVersion = attribute(file, 'keras_version', size) ?? attribute(root, 'keras_version', size);
  const weights = weightsOf(library, root, innerModels(config), size, name);
  return buildKeras({ config, kerasVersion, weights }, name);
}

/**
 * Every weight under "layer/weight", by the lists of names that Keras keeps; an inner model's under "model/.../weight".
 */
function weightsOf(
  library: Library,
  root: Group,
  inner: ReadonlySet<string>,
  size: number,
  file: string,
): Map<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  let read = 0;
  for (const layer of names(root, 'layer_names', size, file)) {
    const group = root.get(layer);
    if (!(group instanceof library.Group))
      throw new FormatError(`${file}: model_weights has no group ${quote(layer)}`);
    for (const weight of names(group, 'weight_names', size, file)) {
      const dataset = group.get(weight);
      const where = `${file}: weight ${quote(weight)} of layer ${quote(layer)}`;
      const shape = shapeOf(library, dataset, where);
      const path = weight.replace(/:\d+$/, '');
      // A weight keeps the layer's name of the day it was made; the group has the name that the layer has now.
      const short = `${layer}/${path.slice(path.lastIndexOf('/') + 1)}`;
      const key = inner.has(layer) || weights.has(short) ? `${layer}/${path}` : short;
      if (weights.has(key)) throw new FormatError(`${where} is listed twice`);
      weights.set(key, {
        shape,
        read: () => {
          read += (elementCount(shape) ?? Infinity) * 4;
          if (read > size * MAX_EXPANSION)
            throw new FormatError(`${where}: the weights are larger than the file can hold`);
          return numbersOf((dataset as Dataset).value, where);
        },
      });
    }
  }
  return weights;
}

function shapeOf(library: Library, dataset: Entity | null, where: string): readonly number[] {
  const metadata = dataset instanceof library.Dataset ? dataset.metadata : undefined;
  const shape = metadata?.shape ?? undefined;
  if (!metadata?.littleEndian || shape === undefined || elementCount(shape) === undefined) {
    throw new FormatError(`${where} is not a dataset of little-endian numbers`);
  }
  return shape;
}

function numbersOf(value: unknown, where: string): Float32Array {
  if (value instanceof Float32Array) return value;
  if (value instanceof Float64Array) return Float32Array.from(value);
  if (typeof value === 'number') return Float32Array.of(value);
  throw new FormatError(`${where} does not hold 32-bit or 64-bit floating-point numbers`);
}

/** A list of names, which Keras spreads over "key0", "key1", ... where it is long. */
function names(group: Group, key: string, size: number, file: string): string[] {
  const whole = attribute(group, key, size);
  const parts = whole === undefined ? [] : [whole];
  for (let i = 0; parts.length === i; i++) {
    const part = attribute(group, `${key}${i}`, size);
    if (part !== undefined) parts.push(part);
  }
  const list = parts.flat();
  if (parts.length > 0 && list.every((name) => typeof name === 'string')) return list as string[];
  throw new FormatError(
    `${file}: ${quote(group.path)} has ${quote(parts)} as ${key}; expected a list of names`,
  );
}

/** An attribute's value; undefined where there is none. */
function attribute(group: Group, key: string, size: number): unknown {
  const own: Readonly<Record<string, Attribute>> = group.attrs;
  const found = Object.hasOwn(own, key) ? own[key] : undefined;
  if (found === undefined) return undefined;
  const { metadata } = found;
  if (metadata.size * metadata.total_size > size) throw new FormatError(`${key} is larger than the file`);
  const { value } = found;
  // An empty list of names is an empty list of numbers to NumPy.
  return ArrayBuffer.isView(value) && value.byteLength === 0 ? [] : (value ?? undefined);
}
