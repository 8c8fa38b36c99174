// What a Keras .h5 file holds, read by h5wasm, the HDF5 library compiled to WebAssembly, in a file system of its own. A
// damaged file can break the library or keep it in a circle: this runs apart, and once (see h5.ts).

import type { Attribute, Dataset, Entity, File, Group } from 'h5wasm';
import { FormatError } from '../errors.ts';
import { elementCount, type HostTensor } from '../host-tensor.ts';
import { parseObject, quote } from '../json.ts';
import { innerModels } from './config.ts';
import { readChunks } from './h5-chunks.ts';

export interface H5File {
  readonly bytes: Uint8Array;
  readonly name: string;
  /** A whole model, or the weights of a .keras archive, which lie under other paths and beside their configuration. */
  readonly holds?: 'model' | 'variables';
}

/** The configuration as text, and the weights by "layer/weight"; or what is wrong with the file. */
export type H5Content =
  | {
      /** Empty where the file holds variables alone. */
      readonly config: string;
      readonly kerasVersion: unknown;
      /** By "layer/weight"; variables by their paths, such as "layers/dense/vars/0". */
      readonly weights: readonly (readonly [key: string, weight: HostTensor])[];
    }
  | { readonly problem: string };

/** The library, just loaded. */
export type Library = typeof import('h5wasm');
type Module = Awaited<Library['ready']>;

/** WebAssembly's memory grows by pages of so many bytes. */
const PAGE = 2 ** 16;

const PATH = '/network.h5';
/** What a weight's name, type and shape take in a file, at least, in bytes. */
const OVERHEAD = 64;
/** No name of a layer or weight is longer; the library takes its time over paths of thousands of groups. */
const MAX_NAME = 1000;
/** How much memory the library may have: all weights twice, and what it needs for itself. Weights unpack to no more. */
const memoryFor = (bytes: number) => 2 ** 26 + 2 * bytes;

/** Reads a file. The library is of no use afterwards. */
export async function readContent(library: Library, { bytes, name, holds }: H5File): Promise<H5Content> {
  const module = await library.ready;
  module.FS.writeFile(PATH, bytes);
  confine(module);
  try {
    return withMemory(memoryFor(bytes.length), () => {
      const file = new library.File(PATH, 'r');
      if (file.file_id < 0n)
        throw new FormatError(`${name}: the HDF5 library cannot open it; is it complete?`);
      const source = { library, file: name, bytes };
      return holds === 'variables' ? readVariables(file, source) : readFile(file, source);
    });
  } catch (error) {
    if (error instanceof FormatError) return { problem: error.message };
    return { problem: `${name} is a damaged HDF5 file: ${String(error).slice(0, 200)}` };
  }
}

/** Shuts the library in with its one file, and has it say when it cannot read. */
function confine(module: Module): void {
  const { FS } = module;
  // A file may name others, for links or for data: of those there are none, and no devices.
  const open = FS.open;
  FS.open = (path, ...rest) => open(path === PATH ? path : '', ...rest);
  // These only return that they failed, and what lay in memory would be taken for what was read.
  for (const name of ['get_dataset_data', 'get_attribute_data'] as const) {
    const read = module[name] as (...parameters: unknown[]) => number;
    module[name] = (...parameters: unknown[]) => {
      const status = read(...parameters);
      if (status < 0) throw new Error('it is damaged, or lies in another file');
      return status;
    };
  }
}

/** Runs what may not make a WebAssembly memory larger than `limit` bytes: allocating fails beyond. */
function withMemory<T>(limit: number, run: () => T): T {
  const { prototype } = WebAssembly.Memory;
  const { grow } = prototype;
  prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * PAGE > limit) throw new RangeError(`more than ${limit} bytes`);
    return grow.call(this, pages);
  };
  try {
    return run();
  } finally {
    prototype.grow = grow;
  }
}

/** An open file. */
interface Source {
  readonly library: Library;
  readonly file: string;
  /** All of it; its size is the measure of what it can hold. */
  readonly bytes: Uint8Array;
}

function readFile(root: File, source: Source): H5Content {
  const { library, file } = source;
  const text = attribute(root, 'model_config', source)?.[0];
  if (text === undefined) {
    throw new FormatError(
      `${file} holds no model: it has no model_config. If it holds weights alone, save the whole model with model.save("name.h5")`,
    );
  }
  const weights = root.get('model_weights');
  if (!(weights instanceof library.Group)) throw new FormatError(`${file} has no group "model_weights"`);
  const config = parseObject(text, `${file}: model_config`);
  const version = attribute(root, 'keras_version', source) ?? attribute(weights, 'keras_version', source);
  return {
    config: text,
    kerasVersion: version?.[0],
    weights: [...weightsOf(weights, innerModels(config), source)],
  };
}

/** No model in a model in a model is nested deeper, in groups. */
const MAX_GROUPS = 32;

/** Where a model keeps its layers; beside them lies the optimiser. The second is that of Keras 2.12 to 2.15. */
const LAYERS = ['layers', '_layer_checkpoint_dependencies'];

/** The layers' datasets in all groups called "vars", by their paths; random generators have whole numbers there. */
function readVariables(root: File, source: Source): H5Content {
  const { library, file } = source;
  const weights = new Map<string, HostTensor>();
  const take = takes(source);
  // Links may lead round in circles.
  let [groups, most] = [0, source.bytes.length / OVERHEAD];
  const visit = (group: Group, path: string, depth: number) => {
    if (++groups > most || depth > MAX_GROUPS)
      throw new FormatError(`${file} has more groups than it can hold`);
    for (const name of at(`${file}: ${quote(path)}`, () => group.keys())) {
      if (name.length > MAX_NAME)
        throw new FormatError(`${file}: ${quote(name)} is longer than ${MAX_NAME} characters`);
      const inner = `${path}${name}`;
      const entity = at(`${file}: ${quote(inner)}`, () => group.get(name));
      if (depth === 0 && !LAYERS.includes(name)) continue;
      if (entity instanceof library.Group) visit(entity, `${inner}/`, depth + 1);
      else if (path.endsWith('/vars/') && !isWhole(entity, source))
        weights.set(inner, take(entity, `${file}: ${quote(inner)}`));
    }
  };
  visit(root, '', 0);
  return { config: '', kerasVersion: undefined, weights: [...weights] };
}

const isWhole = (entity: Entity | null, { library }: Source): boolean =>
  entity instanceof library.Dataset && entity.metadata.type === library.Module.H5T_class_t.H5T_INTEGER.value;

/** Reads datasets, of all together no more than the file can hold; of those in chunks, no more than there is memory for. */
function takes(source: Source): (found: Entity | null, where: string) => HostTensor {
  const { bytes } = source;
  let [whole, unpacked] = [0, 0];
  return (found, where) =>
    at(where, () => {
      const { dataset, shape, count, chunk } = datasetOf(found, where, source);
      if (!chunk) {
        whole += count * 4 + OVERHEAD;
        if (whole > bytes.length) throw new FormatError(`${where}: the weights are larger than the file`);
        return { shape, data: numbersOf(dataset.value, count, where) };
      }
      const { size } = dataset.metadata;
      unpacked += (count + chunk.reduce((product, n) => product * n)) * size;
      if (unpacked > memoryFor(bytes.length))
        throw new FormatError(
          `${where}: the weights unpack to more than ${memoryFor(bytes.length)} bytes, too much for a file of ${bytes.length}`,
        );
      const plain = readChunks(
        bytes,
        { shape, chunk, size, filters: dataset.filters, header: headerOf(dataset) },
        where,
      );
      return { shape, data: numbersOf(floats(plain, dataset, source), count, where) };
    });
}

/** Where a dataset's object header lies: that is what a reference to it is. */
function headerOf(dataset: Dataset): number {
  const { buffer, byteOffset } = Uint8Array.from(dataset.create_reference().ref_data);
  return Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
}

/** The floating-point numbers that bytes hold; undefined where the dataset's numbers are of another type. */
function floats({ buffer }: Uint8Array, { metadata }: Dataset, { library }: Source): unknown {
  const isFloat = metadata.type === library.Module.H5T_class_t.H5T_FLOAT.value;
  if (isFloat && metadata.size === 4) return new Float32Array(buffer);
  return isFloat && metadata.size === 8 ? new Float64Array(buffer) : undefined;
}

/**
 * Every weight under "layer/weight", by the lists of names that Keras keeps; an inner model's under "model/.../weight".
 */
function weightsOf(root: Group, inner: ReadonlySet<string>, source: Source): Map<string, HostTensor> {
  const { library, file } = source;
  const weights = new Map<string, HostTensor>();
  const take = takes(source);
  for (const layer of names(root, 'layer_names', source)) {
    const group = at(`${file}: layer ${quote(layer)}`, () => root.get(layer));
    if (!(group instanceof library.Group))
      throw new FormatError(`${file}: model_weights has no group ${quote(layer)}`);
    for (const weight of names(group, 'weight_names', source)) {
      const where = `${file}: weight ${quote(weight)} of layer ${quote(layer)}`;
      const path = weight.replace(/:\d+$/, '');
      // A weight keeps the layer's name of the day it was made; the group has the name that the layer has now.
      const short = `${layer}/${path.slice(path.lastIndexOf('/') + 1)}`;
      const key = inner.has(layer) || weights.has(short) ? `${layer}/${path}` : short;
      if (weights.has(key)) throw new FormatError(`${where} is listed twice`);
      const tensor = take(
        at(where, () => group.get(weight)),
        where,
      );
      weights.set(key, tensor);
    }
  }
  return weights;
}

/** Runs what asks the library for one thing, and says which when that fails. */
function at<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const reason = String(error instanceof Error ? error.message : error).slice(0, 200);
    throw new FormatError(`${where} cannot be read: ${reason}`);
  }
}

interface Found {
  readonly dataset: Dataset;
  readonly shape: readonly number[];
  readonly count: number;
  /** The shape of its chunks, where it lies in chunks. */
  readonly chunk: readonly number[] | null;
}

function datasetOf(found: Entity | null, where: string, { library }: Source): Found {
  if (found instanceof library.ExternalLink)
    throw new FormatError(`${where} lies in another file; only networks in one file are read`);
  const dataset = found instanceof library.Dataset ? found : undefined;
  const metadata = dataset?.metadata;
  if (metadata?.virtual_sources !== undefined)
    throw new FormatError(`${where} is a view of other datasets; only weights that lie in the file are read`);
  const shape = metadata?.shape ?? undefined;
  const count = shape && elementCount(shape);
  if (!dataset || !metadata?.littleEndian || shape === undefined || count === undefined)
    throw new FormatError(`${where} is not a dataset of little-endian numbers`);
  return { dataset, shape, count, chunk: metadata.chunks };
}

function numbersOf(value: unknown, count: number, where: string): Float32Array {
  const numbers = typeof value === 'number' ? Float32Array.of(value) : value;
  const single = numbers instanceof Float64Array ? Float32Array.from(numbers) : numbers;
  if (single instanceof Float32Array && single.length === count) return single;
  throw new FormatError(`${where} does not hold 32-bit or 64-bit floating-point numbers`);
}

/** A list of names, which Keras spreads over "key0", "key1", ... where it is long. */
function names(group: Group, key: string, source: Source): string[] {
  const whole = attribute(group, key, source);
  const parts = whole === undefined ? [] : [whole];
  for (let i = 0; parts.length === i; i++) {
    const part = attribute(group, `${key}${i}`, source);
    if (part !== undefined) parts.push(part);
  }
  if (parts.length === 0) throw new FormatError(`${source.file}: ${quote(group.path)} has no ${key}`);
  const list = parts.flat();
  const long = list.find((name) => name.length > MAX_NAME);
  if (long === undefined) return list;
  throw new FormatError(`${source.file}: ${quote(long)} of ${key} is longer than ${MAX_NAME} characters`);
}

/** An attribute's texts, one or a list of them; undefined where there is no such attribute. */
function attribute(group: Group, key: string, { library, file, bytes }: Source): string[] | undefined {
  const where = `${file}: the attribute ${key} of ${quote(group.path)}`;
  return at(where, () => {
    const all: Readonly<Record<string, Attribute>> = group.attrs;
    const found = Object.hasOwn(all, key) ? all[key] : undefined;
    if (found === undefined) return undefined;
    const { type, size, total_size: count } = found.metadata;
    // An empty list of names is an empty list of numbers to NumPy.
    if (count === 0) return [];
    if (type !== library.Module.H5T_class_t.H5T_STRING.value) throw new FormatError(`${where} holds no text`);
    if (size * count > bytes.length) throw new FormatError(`${where} is larger than the file`);
    return [found.value].flat() as string[];
  });
}
