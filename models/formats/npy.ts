// npy, NumPy's file of one array (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
// magic, version 1.0, a u16 little-endian header length, a Python dict as text, then the data.

import { ShapeError } from '../../engine/errors.ts';
import { DTYPES, toFloat32 } from './dtypes.ts';
import { FormatError } from './errors.ts';
import { elementCount, type HostTensor } from './host-tensor.ts';

/** The magic string and the version. */
const PREAMBLE = Uint8Array.of(0x93, ...new TextEncoder().encode('NUMPY'), 1, 0);
/** Where the header's text starts. */
const TEXT_START = PREAMBLE.length + 2;
const MAX_HEADER_BYTES = 0xffff;

/** NumPy's names of the kinds of numbers that are read, by those that are read of weights. */
const NAMES: Readonly<Record<string, string>> = {
  "'<f8'": 'F64',
  "'<f4'": 'F32',
  "'<f2'": 'F16',
  "'<i8'": 'I64',
  "'<i4'": 'I32',
  "'<i2'": 'I16',
  "'|i1'": 'I8',
  "'|u1'": 'U8',
  "'|b1'": 'BOOL',
};

/** One `'key': value` of the header's dict, with the comma after it. */
const FIELD = /\s*'(\w+)'\s*:\s*('[^']*'|True|False|\([^()]*\))\s*(?:,\s*|$)/gy;
const TUPLE = /^\(\s*(?:\d+\s*,\s*)*(?:\d+\s*)?\)$/;

/**
 * Reads an npy file of numbers, which become float32; `name` stands for the file in messages.
 *
 * @throws {FormatError} if the file is malformed or truncated, is not version 1.0 in C order, or holds another dtype
 * than floats and whole numbers with a sign, `|u1` and `|b1`, or a whole number that float32 cannot represent exactly.
 */
export function readNpy(bytes: Uint8Array, name: string): HostTensor {
  if (bytes.length < TEXT_START || PREAMBLE.some((byte, i) => bytes[i] !== byte)) {
    throw new FormatError(`${name}: not an npy file of version 1.0`);
  }
  const dataStart = TEXT_START + bytes[8]! + 256 * bytes[9]!;
  if (dataStart > bytes.length) {
    throw new FormatError(
      `${name}: the npy header ends at byte ${dataStart}, but the file has ${bytes.length}; it is truncated`,
    );
  }
  const header = parseHeader(new TextDecoder('latin1').decode(bytes.subarray(TEXT_START, dataStart)), name);
  const dtype = DTYPES.get(NAMES[header.descr] ?? '');
  if (dtype === undefined) {
    throw new FormatError(
      `${name}: npy dtype ${header.descr.slice(0, 40)}; supported are ${Object.keys(NAMES).join(', ')}: convert ` +
        "it with array.astype('<f4')",
    );
  }
  if (header.fortran_order !== 'False') {
    throw new FormatError(
      `${name}: fortran_order is ${header.fortran_order.slice(0, 40)}; save the array in C order`,
    );
  }
  const shape = TUPLE.test(header.shape) ? Array.from(header.shape.matchAll(/\d+/g), Number) : undefined;
  const count = shape && elementCount(shape);
  if (shape === undefined || count === undefined) {
    throw new FormatError(
      `${name}: npy shape ${header.shape.slice(0, 100)}; expected a tuple of sizes with a possible product`,
    );
  }
  const dataBytes = bytes.length - dataStart;
  if (dataBytes !== count * dtype.bytes) {
    throw new FormatError(
      `${name}: ${dataBytes} bytes of data, but ${header.descr} of shape ${header.shape.slice(0, 100)} takes ` +
        `${count * dtype.bytes}`,
    );
  }
  return { shape, data: toFloat32(dtype, new Uint8Array(bytes.subarray(dataStart)), name) };
}

/**
 * Writes a float32 npy file, version 1.0, in C order.
 *
 * @throws {ShapeError} if the data does not fill the shape, or the shape has thousands of dimensions.
 */
export function writeNpy(shape: readonly number[], data: Float32Array): Uint8Array {
  if (elementCount(shape) !== data.length) {
    throw new ShapeError(`shape [${shape}] does not hold the ${data.length} elements given`);
  }
  const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  // NumPy pads the header with spaces, then a newline, so that the data is aligned for any use.
  const dataStart = Math.ceil((TEXT_START + dict.length + 1) / 64) * 64;
  const headerBytes = dataStart - TEXT_START;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ShapeError(`a shape of ${shape.length} dimensions does not fit into an npy header`);
  }
  const bytes = new Uint8Array(dataStart + data.byteLength);
  bytes.set(PREAMBLE);
  bytes.set([headerBytes & 0xff, headerBytes >>> 8], PREAMBLE.length);
  bytes.set(new TextEncoder().encode(`${dict.padEnd(headerBytes - 1)}\n`), TEXT_START);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), dataStart);
  return bytes;
}

/** The three fields of the header, each as the text of its Python value. */
function parseHeader(text: string, name: string): { descr: string; fortran_order: string; shape: string } {
  const dict = text.trim();
  const body = dict.slice(1, -1);
  const fields = [...body.matchAll(FIELD)];
  const parsed = fields.reduce((length, [field]) => length + field.length, 0);
  const values = new Map(fields.map(([, key, value]) => [key, value]));
  const [descr, fortran_order, shape] = ['descr', 'fortran_order', 'shape'].map((key) => values.get(key));
  const complete = descr !== undefined && fortran_order !== undefined && shape !== undefined;
  if (dict !== `{${body}}` || parsed !== body.length || fields.length !== 3 || !complete) {
    throw new FormatError(
      `${name}: the npy header ${JSON.stringify(dict.slice(0, 100))} is not a dict of exactly descr, ` +
        'fortran_order and shape',
    );
  }
  return { descr, fortran_order, shape };
}
