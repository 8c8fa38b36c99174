// The kinds of numbers that weights are stored as, and how they become float32. Little-endian, as is every platform that
// has WebGPU.

import { bfloatToFloat, halfToFloat } from '../../engine/half.ts';
import { FormatError } from './errors.ts';

/** The size of one element, and how to read it; a bigint where a number might not be exact. */
export interface Dtype {
  readonly bytes: number;
  readonly read: (view: DataView, offset: number) => number | bigint;
}

/** By the names that safetensors has for them. */
export const DTYPES: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['F64', { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) }],
  ['F32', { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) }],
  ['F16', { bytes: 2, read: (view, offset) => halfToFloat(view.getUint16(offset, true)) }],
  ['BF16', { bytes: 2, read: (view, offset) => bfloatToFloat(view.getUint16(offset, true)) }],
  ['I64', { bytes: 8, read: (view, offset) => view.getBigInt64(offset, true) }],
  ['I32', { bytes: 4, read: (view, offset) => view.getInt32(offset, true) }],
  ['I16', { bytes: 2, read: (view, offset) => view.getInt16(offset, true) }],
  ['I8', { bytes: 1, read: (view, offset) => view.getInt8(offset) }],
  ['U64', { bytes: 8, read: (view, offset) => view.getBigUint64(offset, true) }],
  ['U32', { bytes: 4, read: (view, offset) => view.getUint32(offset, true) }],
  ['U16', { bytes: 2, read: (view, offset) => view.getUint16(offset, true) }],
  ['U8', { bytes: 1, read: (view, offset) => view.getUint8(offset) }],
  ['BOOL', { bytes: 1, read: (view, offset) => (view.getUint8(offset) === 0 ? 0 : 1) }],
]);

/**
 * Stored numbers as float32: aligned F32 as a view, everything else as a copy. `tensor` names them in messages.
 *
 * @throws {FormatError} for an integer that float32 cannot represent exactly, or a number beyond its range; other doubles
 * are rounded.
 */
export function toFloat32(dtype: Dtype, raw: Uint8Array, tensor: string): Float32Array {
  const length = raw.length / dtype.bytes;
  if (dtype === DTYPES.get('F32')) {
    // Not raw.slice: that of Node's Buffer makes a view.
    const aligned = raw.byteOffset % 4 === 0 ? raw : new Uint8Array(raw);
    return new Float32Array(aligned.buffer, aligned.byteOffset, length);
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const data = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const value = dtype.read(view, i * dtype.bytes);
    const stored = Math.fround(Number(value));
    data[i] = stored;
    const rounded = dtype === DTYPES.get('F64') && Number.isFinite(stored);
    // Unlike ===, the orderings compare a bigint with a number exactly; and NaN passes.
    if (!rounded && (stored < value || stored > value)) {
      throw new FormatError(
        `${tensor} is ${value} at flat index ${i}, which float32 cannot represent exactly; convert the file to F32 first`,
      );
    }
  }
  return data;
}
