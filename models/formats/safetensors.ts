// safetensors (https://github.com/huggingface/safetensors): a u64 little-endian header length, a JSON header
// that gives each tensor's dtype, shape and byte range, then the data.

import { ShapeError } from '../../engine/errors.ts';
import { floatToHalf } from '../../engine/half.ts';
import { DTYPES, type Dtype, toFloat32 } from './dtypes.ts';
import { FormatError } from './errors.ts';
import { elementCount, type HostTensor, isSize, type StateDict } from './host-tensor.ts';
import { isObject, quote } from './json.ts';

/** The contents of a safetensors file; the tensors come in the order of their data. */
export interface Safetensors {
  readonly tensors: StateDict;
  readonly metadata: ReadonlyMap<string, string>;
}

/** How to write: the dtype of every tensor, and free text about the file. */
export interface SafetensorsOptions {
  readonly dtype: 'F32' | 'F16';
  readonly metadata?: ReadonlyMap<string, string>;
}

const METADATA = '__metadata__';
/** The official limit on the header's length. */
const MAX_HEADER_BYTES = 100_000_000;
/** The header, an entry, its shape: nothing in a header nests deeper. */
const MAX_DEPTH = 3;

/**
 * Reads a safetensors file; `name` stands for it in messages. Aligned F32 tensors are views of `bytes`;
 * every other tensor is copied on its own, converted to float32.
 *
 * @throws {FormatError} if the file breaks a rule of the format, holds a dtype outside `DTYPES`, an integer that float32 cannot represent exactly, or a number beyond its range. Other doubles are
 * rounded.
 */
export function readSafetensors(bytes: Uint8Array, name: string): Safetensors {
  if (bytes.length < 8) {
    throw new FormatError(
      `${name}: ${bytes.length} bytes are too few for safetensors, which starts with a length of 8`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES || length > bytes.length - 8) {
    throw new FormatError(
      `${name}: the header claims ${length} bytes; the file has ${bytes.length - 8} after the length, and a ` +
        `header has at most ${MAX_HEADER_BYTES}. Is it a safetensors file, and complete?`,
    );
  }
  const dataStart = 8 + Number(length);
  const header = parseHeader(bytes.subarray(8, dataStart), name);
  const infos = Object.entries(header)
    .filter(([key]) => key !== METADATA)
    .map(([key, entry]) => checkEntry(key, entry, name))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  const data = bytes.subarray(dataStart);
  let covered = 0;
  for (const { key, begin, end } of infos) {
    if (begin !== covered) {
      throw new FormatError(
        `${name}: tensor ${quote(key)} starts at byte ${begin} of the data, but the tensors before it end at ` +
          `${covered}; tensors must neither overlap nor leave holes`,
      );
    }
    covered = end;
  }
  if (covered !== data.length) {
    throw new FormatError(
      `${name}: the tensors take ${covered} bytes of data, but the file holds ${data.length}; ` +
        (covered > data.length ? 'it is truncated' : 'something is appended to it'),
    );
  }
  return {
    tensors: new Map(
      infos.map((info) => [info.key, { shape: info.shape, data: readData(info, data, name) }]),
    ),
    metadata: checkMetadata(header[METADATA], name),
  };
}

/**
 * Writes a safetensors file. The same tensors and metadata give the same bytes, in whatever order they come:
 * both are sorted by name. F16 rounds to nearest, ties to even.
 *
 * @throws {ShapeError} if a tensor's data does not fill its shape.
 * @throws {FormatError} if a name is taken twice or reserved, or a finite value overflows F16.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, HostTensor]>,
  { dtype, metadata }: SafetensorsOptions,
): Uint8Array {
  const sorted = [...tensors].sort(byName);
  const elementBytes = DTYPES.get(dtype)!.bytes;
  const header: string[] = [];
  if (metadata !== undefined) {
    header.push(
      jsonField(METADATA, `{${[...metadata].sort(byName).map(([k, v]) => jsonField(k, JSON.stringify(v)))}}`),
    );
  }
  let end = 0;
  for (const [i, [key, { shape, data }]] of sorted.entries()) {
    if (key === METADATA)
      throw new FormatError(`a safetensors tensor cannot be called ${METADATA}; rename it`);
    if (key === sorted[i - 1]?.[0]) throw new FormatError(`two tensors are called ${quote(key)}; rename one`);
    if (elementCount(shape) !== data.length) {
      throw new ShapeError(
        `tensor ${quote(key)}: shape [${shape}] does not hold the ${data.length} elements given`,
      );
    }
    const begin = end;
    end += data.length * elementBytes;
    header.push(jsonField(key, JSON.stringify({ dtype, shape, data_offsets: [begin, end] })));
  }

  const json = new TextEncoder().encode(`{${header.join(',')}}`);
  const dataStart = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(dataStart + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  bytes.fill(0x20, 8 + json.length, dataStart).set(json, 8);

  let offset = dataStart;
  for (const [key, { data }] of sorted) {
    const stored = dtype === 'F32' ? data : toHalves(data, key);
    bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), offset);
    offset += stored.byteLength;
  }
  return bytes;
}

/**
 * Checks that every weight is a finite number; `name` stands for the file in the message.
 *
 * @throws {FormatError} that names the first tensor that has a NaN or an infinity, and where in it.
 */
export function assertFinite(tensors: StateDict, name: string): void {
  for (const [key, { shape, data }] of tensors) {
    const index = data.findIndex((value) => !Number.isFinite(value));
    if (index !== -1) {
      throw new FormatError(
        `${name}: tensor ${quote(key)}, shape [${shape}], is ${data[index]} at flat index ${index}; ` +
          'weights must be finite',
      );
    }
  }
}

function parseHeader(bytes: Uint8Array, name: string): Record<string, unknown> {
  // Also refuses null and arrays; the format asks for it so that a file can be recognised.
  if (bytes[0] !== 0x7b) throw new FormatError(`${name}: the safetensors header does not start with '{'`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    checkNesting(text, name);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(
      `${name}: the safetensors header is not valid UTF-8 JSON: ${String(error).slice(0, 200)}`,
    );
  }
}

/**
 * Refuses what JSON.parse would not: a key given twice in one object, of which it keeps the last, and nesting
 * deeper than any header needs, on which it may run out of memory. What is not JSON at all is left to it.
 */
function checkNesting(text: string, name: string): void {
  const keys: Set<string>[] = [];
  let literal = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const start = i;
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      literal = text.slice(start, i + 1);
    } else if (char === '{' || char === '[') {
      if (keys.push(new Set()) > MAX_DEPTH) {
        throw new FormatError(
          `${name}: the safetensors header nests deeper than the ${MAX_DEPTH} levels it can need`,
        );
      }
    } else if (char === '}' || char === ']') {
      keys.pop();
    } else if (char === ':') {
      // Compared once parsed, as "a" and "\u0061" are the same key; each is parsed once, however many colons follow.
      const key: string = JSON.parse(literal);
      literal = '';
      if (keys.at(-1)?.has(key)) throw new FormatError(`${name}: the header has the key ${quote(key)} twice`);
      keys.at(-1)?.add(key);
    }
  }
}

interface TensorInfo {
  readonly key: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function checkEntry(key: string, entry: unknown, name: string): TensorInfo {
  const where = `${name}: tensor ${quote(key)}`;
  if (!isObject(entry)) {
    throw new FormatError(
      `${where} is ${quote(entry)} in the header, not an object of dtype, shape and data_offsets`,
    );
  }
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = DTYPES.get(dtypeName as string);
  if (dtype === undefined) {
    throw new FormatError(
      `${where} has dtype ${quote(dtypeName)}; supported are ${[...DTYPES.keys()].join(', ')}`,
    );
  }
  const count = Array.isArray(shape) ? elementCount(shape) : undefined;
  if (count === undefined) {
    throw new FormatError(
      `${where} has shape ${quote(shape)}; expected an array of non-negative integers whose product is below 2^53`,
    );
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    throw new FormatError(
      `${where} has data_offsets ${quote(offsets)}; expected [begin, end] with begin <= end`,
    );
  }
  const [begin, end] = offsets;
  if (end - begin !== count * dtype.bytes) {
    throw new FormatError(
      `${where} has ${end - begin} bytes of data, but ${dtypeName} of shape ${quote(shape)} takes ` +
        `${count * dtype.bytes}`,
    );
  }
  return { key, dtype, shape: shape as number[], begin, end };
}

/** As in the official reader, a null stands for no metadata. */
function checkMetadata(metadata: unknown, name: string): Map<string, string> {
  const object = metadata ?? {};
  if (!isObject(object))
    throw new FormatError(`${name}: ${METADATA} is ${quote(metadata)}, not an object of strings`);
  const strings = new Map<string, string>();
  for (const [key, value] of Object.entries(object)) {
    if (typeof value !== 'string') {
      throw new FormatError(`${name}: ${METADATA} has ${quote(value)} under ${quote(key)}, not a string`);
    }
    strings.set(key, value);
  }
  return strings;
}

const readData = ({ key, dtype, begin, end }: TensorInfo, bytes: Uint8Array, name: string): Float32Array =>
  toFloat32(dtype, bytes.subarray(begin, end), `${name}: tensor ${quote(key)}`);

function toHalves(data: Float32Array, key: string): Uint16Array {
  return Uint16Array.from(data, (value, i) => {
    const half = floatToHalf(value);
    if ((half & 0x7fff) === 0x7c00 && Number.isFinite(value)) {
      throw new FormatError(
        `tensor ${quote(key)} is ${value} at flat index ${i}, which overflows F16 (at most 65504); write F32`,
      );
    }
    return half;
  });
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** An object built from such fields keeps their order, which JSON.stringify would change for names like "0". */
function jsonField(key: string, json: string): string {
  return `${JSON.stringify(key)}:${json}`;
}
