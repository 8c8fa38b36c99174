// What a Keras .h5 file holds, read by h5wasm, the HDF5 library compiled to WebAssembly, in a file system of its own. A
// damaged file can break the library or keep it in a circle: this runs apart, and once (see h5.ts).

import type { Attribute, Dataset, Entity, File, Group } from 'h5wasm';
import { FormatError } from '../errors.ts';
import { elementCount, type HostTensor } from '../host-tensor.ts';
import { innerModels } from './config.ts';
import { parseObject, quote } from './json.ts';

export interface H5File {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/** The configuration as text, and the weights by "layer/weight"; or what is wrong with the file. */
export type H5Content =
  | {
      readonly config: string;
      readonly kerasVersion: unknown;
      readonly weights: readonly (readonly [key: string, weight: HostTensor])[];
    }
  | { readonly problem: string };

type Library = typeof import('h5wasm');

const PATH = '/network.h5';
/** Weights hardly compress: a file that claims so much more than it holds is not a network. */
const MAX_EXPANSION = 16;

/** Reads a file. The library is of no use afterwards. */
export async function readContent({ bytes, name }: H5File): Promise<H5Content> {
  const library = await import('h5wasm');
  const { FS } = await library.ready;
  FS.writeFile(PATH, bytes);
  try {
    const file = new library.File(PATH, 'r');
    if (file.file_id < 0n) throw new FormatError(`${name}: the HDF5 library cannot open it; is it complete?`);
    return readFile(library, file, bytes.length, name);
  } catch (error) {
    if (error instanceof FormatError) return { problem: error.message };
    return { problem: `${name} is a damaged HDF5 file: ${String(error).slice(0, 200)}` };
  }
}

function readFile(library: Library, file: File, size: number, name: string): H5Content {
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
  return {
    config: text,
    kerasVersion,
    weights: [...weightsOf(library, root, innerModels(config), size, name)],
  };
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
): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
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
      read += (elementCount(shape) ?? Infinity) * 4;
      if (read > size * MAX_EXPANSION) {
        throw new FormatError(`${where}: the weights are larger than the file can hold`);
      }
      weights.set(key, { shape, data: numbersOf((dataset as Dataset).value, where) });
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
