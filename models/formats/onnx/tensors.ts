// Tensors of an ONNX file as known values: their element types, and their data in the tensor, in its typed fields or in
// a file beside the model.

import { bfloatToFloat, halfToFloat } from '../../../engine/half.ts';
import type { Constant, NumberType } from '../constant.ts';
import { DTYPES } from '../dtypes.ts';
import { FormatError } from '../errors.ts';
import { elementCount } from '../host-tensor.ts';
import { type OpenPart, readPart, sizeOfPart } from '../imported.ts';
import type { TensorProto } from './messages.ts';

type Field = 'floats' | 'int32s' | 'int64s' | 'doubles' | 'uint64s';

interface ElementType {
  readonly name: string;
  readonly type: NumberType;
  /** How such elements lie in raw bytes: a name in `DTYPES`. */
  readonly stored: string;
  /** The typed field that holds them where there are no raw bytes, and how one is read from it. */
  readonly field: Field;
  readonly fromField?: (value: number) => number;
}

/** TensorProto.DataType; what is not here (strings, complex numbers, 8-bit floats) is refused. */
export const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [1, { name: 'float', type: 'float', stored: 'F32', field: 'floats' }],
  [2, { name: 'uint8', type: 'int', stored: 'U8', field: 'int32s' }],
  [3, { name: 'int8', type: 'int', stored: 'I8', field: 'int32s' }],
  [4, { name: 'uint16', type: 'int', stored: 'U16', field: 'int32s' }],
  [5, { name: 'int16', type: 'int', stored: 'I16', field: 'int32s' }],
  [6, { name: 'int32', type: 'int', stored: 'I32', field: 'int32s' }],
  [7, { name: 'int64', type: 'int', stored: 'I64', field: 'int64s' }],
  [9, { name: 'bool', type: 'bool', stored: 'BOOL', field: 'int32s' }],
  [10, { name: 'float16', type: 'float', stored: 'F16', field: 'int32s', fromField: halfToFloat }],
  [11, { name: 'double', type: 'float', stored: 'F64', field: 'doubles' }],
  [12, { name: 'uint32', type: 'int', stored: 'U32', field: 'uint64s' }],
  [13, { name: 'uint64', type: 'int', stored: 'U64', field: 'uint64s' }],
  [16, { name: 'bfloat16', type: 'float', stored: 'BF16', field: 'int32s', fromField: bfloatToFloat }],
]);

const EXTERNAL = 1;

/** What is read of a file that holds tensors' data. */
interface OpenedPart {
  readonly size: number;
  /** Bytes from `start` on; spans do not touch. */
  readonly spans: readonly { readonly start: number; readonly bytes: Uint8Array }[];
}

/** The parts that hold tensors' data, by name. */
export type Parts = ReadonlyMap<string, OpenedPart>;

const entry = (proto: TensorProto, key: string) => proto.external.find((e) => e.key === key)?.value;

/** The bytes that a tensor's type and shape ask for; undefined where they make no sense. */
function bytesOf({ dataType, dims }: TensorProto): number | undefined {
  const [element, count] = [ELEMENT_TYPES.get(dataType), elementCount(dims)];
  return element && count !== undefined ? count * DTYPES.get(element.stored)!.bytes : undefined;
}

/** Where a tensor's data lies; sizes that are no whole numbers are NaN. */
function rangeOf(proto: TensorProto, expected: number): { start: number; length: number } {
  const size = (key: string, otherwise: number) => {
    const text = entry(proto, key);
    return text === undefined ? otherwise : /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  };
  return { start: size('offset', 0), length: size('length', expected) };
}

/**
 * Opens every part that the tensors name, each once, and reads what they want of it, each byte once. What they want in
 * vain is left to `readTensor` to tell.
 */
export async function openParts(tensors: readonly TensorProto[], openPart: OpenPart): Promise<Parts> {
  const wanted = new Map<string, { start: number; end: number }[]>();
  for (const proto of tensors) {
    if (proto.location !== EXTERNAL) continue;
    const location = entry(proto, 'location');
    if (location === undefined)
      throw new FormatError(`tensor "${proto.name}" is in a file that is not named`);
    const ranges = wanted.get(location) ?? [];
    wanted.set(location, ranges);
    const expected = bytesOf(proto) ?? 0;
    const { start, length } = rangeOf(proto, expected);
    if (length === expected && length > 0) ranges.push({ start, end: start + length });
  }
  const parts = new Map<string, OpenedPart>();
  for (const [name, ranges] of wanted) {
    const part = await openPart(name);
    const size = sizeOfPart(part);
    const spans: { start: number; bytes: Uint8Array }[] = [];
    for (const { start, end } of joined(ranges.filter((range) => range.end <= size)))
      spans.push({ start, bytes: await readPart(part, name, start, end) });
    parts.set(name, { size, spans });
  }
  return parts;
}

/** Ranges in order, those that overlap or touch as one. */
function joined(ranges: { start: number; end: number }[]): { start: number; end: number }[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of ranges.sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}

function externalBytes(proto: TensorProto, parts: Parts, expected: number): Uint8Array {
  const location = entry(proto, 'location')!;
  const { size, spans } = parts.get(location)!;
  const { start, length } = rangeOf(proto, expected);
  for (const [key, value] of Object.entries({ offset: start, length })) {
    if (Number.isNaN(value))
      throw new FormatError(
        `tensor "${proto.name}": its ${key} in ${location} is ${JSON.stringify(entry(proto, key))}`,
      );
  }
  if (length !== expected || start + length > size) {
    throw new FormatError(
      `tensor "${proto.name}" should have ${expected} bytes; the file says ${length} at ${start} of ` +
        `${location}, which has ${size}`,
    );
  }
  if (length === 0) return new Uint8Array();
  const span = spans.findLast((one) => one.start <= start)!;
  return span.bytes.subarray(start - span.start, start - span.start + length);
}

/** The bytes of a little-endian float32 tensor as they are if they are aligned, or else a copy. */
function floatView(bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(buffer as ArrayBuffer, byteOffset, byteLength / 4);
}

/** A tensor's value. Refuses element types without a number, and data that does not fill the shape. */
export function readTensor(proto: TensorProto, parts: Parts): Constant {
  const { dims, name } = proto;
  const where = `tensor "${name}" [${dims.join(', ')}]`;
  const element = ELEMENT_TYPES.get(proto.dataType);
  if (element === undefined) {
    const types = [...ELEMENT_TYPES.values()].map((one) => one.name).join(', ');
    throw new FormatError(`${where} has elements of type ${proto.dataType}; these are read: ${types}`);
  }
  const count = elementCount(dims);
  if (count === undefined)
    throw new FormatError(`${where}: sizes must be whole numbers from 0, and not so large`);
  const { type, stored, field, fromField = (value) => value } = element;
  const { bytes: size, read } = DTYPES.get(stored)!;
  const expected = count * size;
  const raw = proto.location === EXTERNAL ? externalBytes(proto, parts, expected) : proto.raw;
  const found = raw === undefined ? proto[field].length * size : raw.length;
  if (found !== expected) {
    throw new FormatError(
      `${where} of ${element.name} needs ${expected} bytes of data; the file has ${found}`,
    );
  }
  const named = { type, shape: dims, element: element.name, ...(name !== '' && { name }) };
  if (raw !== undefined && element.name === 'float') return { ...named, data: floatView(raw) };
  const data = type === 'float' ? new Float32Array(count) : new Float64Array(count);
  if (raw === undefined) data.set(proto[field].map(fromField));
  else {
    const bytes = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let i = 0; i < count; i++) data[i] = Number(read(bytes, i * size));
  }
  return { ...named, data };
}
