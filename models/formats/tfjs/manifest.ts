// TensorFlow.js's manifest of weights: what lies in which of the binary files ("shards") beside a model.json.

import { LimelightError } from '../../../engine/errors.ts';
import { DTYPES, type Dtype } from '../dtypes.ts';
import { FormatError } from '../errors.ts';
import { elementCount } from '../host-tensor.ts';
import { type OpenPart, type Part, readPart, sizeOfPart } from '../imported.ts';
import { field, isObject, type Json, quote } from '../json.ts';

/** TensorFlow's types, by how their numbers lie in a shard. */
const STORED: ReadonlyMap<string, string> = new Map([
  ['float32', 'F32'],
  ['float16', 'F16'],
  ['int32', 'I32'],
  ['uint16', 'U16'],
  ['uint8', 'U8'],
  ['bool', 'U8'],
]);

/** One entry of the manifest. */
interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly count: number;
  readonly stored: Dtype;
  /** Whether its numbers are whole by their type, not only as they are stored. */
  readonly isWhole: boolean;
  /** value = stored scale + min; 1 and 0 where the weight is not quantised. */
  readonly scale: number;
  readonly min: number;
}

interface Group {
  readonly paths: readonly string[];
  readonly entries: readonly Entry[];
}

/** A weight of a manifest. */
export interface ManifestWeight {
  readonly shape: readonly number[];
  readonly isWhole: boolean;
  readonly read: () => Float32Array;
}

/** The weights by their names; `openPart` opens shards, of which only names inside the folder are passed on. */
export async function readManifest(
  manifest: readonly unknown[],
  file: string,
  openPart: OpenPart,
): Promise<Map<string, ManifestWeight>> {
  const groups = manifest.map((group, i) => checkGroup(group, `${file}: weightsManifest[${i}]`));
  // Everything is checked before anything is opened.
  const paths = groups.flatMap((group) => group.paths);
  const twice =
    firstTwice(paths) ?? firstTwice(groups.flatMap(({ entries }) => entries.map(({ name }) => name)));
  if (twice !== undefined) throw new FormatError(`${file}: the manifest names ${quote(twice)} twice`);
  const weights = new Map<string, ManifestWeight>();
  for (const group of groups) {
    const bytes = await openGroup(group, file, openPart);
    let offset = 0;
    for (const entry of group.entries) {
      const start = offset;
      offset += entry.count * entry.stored.bytes;
      const { name, shape, isWhole } = entry;
      weights.set(name, { shape, isWhole, read: () => readEntry(entry, bytes, start) });
    }
  }
  return weights;
}

/** A group's shards, one after the other; together they are as long as its weights. */
async function openGroup({ paths, entries }: Group, file: string, openPart: OpenPart): Promise<DataView> {
  const expected = entries.reduce((sum, { count, stored }) => sum + count * stored.bytes, 0);
  const shards: (Uint8Array | Part)[] = [];
  for (const path of paths) {
    try {
      shards.push(await openPart(path));
    } catch (cause) {
      if (cause instanceof LimelightError) throw cause;
      throw new FormatError(
        `${file}: cannot open its weights ${quote(path)}: ${String(cause).slice(0, 200)}`,
        { cause },
      );
    }
  }
  const length = shards.reduce((sum, shard) => sum + sizeOfPart(shard), 0);
  if (length !== expected) {
    throw new FormatError(
      `${file}: the weights in ${quote(paths)} take ${expected} bytes, but the ${paths.length === 1 ? 'file holds' : 'files hold'} ` +
        `${length}; ${length < expected ? 'it is truncated' : 'it belongs to another model'}`,
    );
  }
  const bytes = new Uint8Array(expected);
  let offset = 0;
  for (const [i, shard] of shards.entries()) {
    bytes.set(await readPart(shard, paths[i]!, 0, sizeOfPart(shard)), offset);
    offset += sizeOfPart(shard);
  }
  return new DataView(bytes.buffer);
}

function readEntry({ count, stored, scale, min }: Entry, view: DataView, start: number): Float32Array {
  const data = new Float32Array(count);
  for (let i = 0; i < count; i++) data[i] = Number(stored.read(view, start + i * stored.bytes)) * scale + min;
  return data;
}

function checkGroup(group: unknown, where: string): Group {
  const paths = isObject(group) ? field(group, 'paths') : undefined;
  const weights = isObject(group) ? field(group, 'weights') : undefined;
  if (!Array.isArray(paths) || !Array.isArray(weights)) {
    throw new FormatError(`${where} is ${quote(group)}; expected an object with arrays of paths and weights`);
  }
  const outside = paths.find((path) => !isInside(path));
  if (outside !== undefined || paths.length === 0) {
    throw new FormatError(
      `${where} has the path ${quote(outside)}; expected names of files beside the model, without "..", ":" or a leading "/". ` +
        'Put the weights next to the model and name them so',
    );
  }
  return { paths, entries: weights.map((weight, i) => checkEntry(weight, `${where}.weights[${i}]`)) };
}

/** Whether a path stays in its folder, on every system. */
function isInside(path: unknown): path is string {
  if (typeof path !== 'string' || path.length > 1000) return false;
  const strange = ['\\', ':', '\0'].some((character) => path.includes(character));
  return !strange && path.split('/').every((part) => !['', '.', '..'].includes(part));
}

function checkEntry(weight: unknown, where: string): Entry {
  if (!isObject(weight)) throw new FormatError(`${where} is ${quote(weight)}, not an object`);
  const name = field(weight, 'name');
  const shape = field(weight, 'shape');
  const quantization = field(weight, 'quantization') ?? undefined;
  const count = Array.isArray(shape) ? elementCount(shape) : undefined;
  if (typeof name !== 'string' || count === undefined) {
    throw new FormatError(
      `${where} has name ${quote(name)} and shape ${quote(shape)}; expected a text and sizes`,
    );
  }
  if (quantization !== undefined && !isObject(quantization)) {
    throw new FormatError(
      `${where}: the quantization of ${quote(name)} is ${quote(quantization)}, not an object`,
    );
  }
  const dtype = field(quantization ?? weight, 'dtype');
  const stored = DTYPES.get(STORED.get(dtype as string) ?? '');
  if (stored === undefined || count * stored.bytes > Number.MAX_SAFE_INTEGER) {
    throw new FormatError(
      `${where}: ${quote(name)} has dtype ${quote(dtype)} and shape ${quote(shape)}; supported are ${[...STORED.keys()].join(', ')}`,
    );
  }
  return {
    name,
    shape: shape as number[],
    count,
    stored,
    isWhole: ['int32', 'bool'].includes(field(weight, 'dtype') as string),
    ...affineOf(quantization, dtype, `${where}: ${quote(name)}`),
  };
}

/** The quantised integers' scale and offset; halves have neither. */
function affineOf(
  quantization: Json | undefined,
  dtype: unknown,
  where: string,
): { scale: number; min: number } {
  if (quantization === undefined || dtype === 'float16') return { scale: 1, min: 0 };
  const [scale, min] = [field(quantization, 'scale'), field(quantization, 'min')];
  if (Number.isFinite(scale) && Number.isFinite(min)) return { scale: scale as number, min: min as number };
  throw new FormatError(
    `${where} is quantised with scale ${quote(scale)} and min ${quote(min)}; both must be numbers`,
  );
}

function firstTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
