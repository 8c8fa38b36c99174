// A launch's values laid out as the kernel's uniform struct.

import type { Params } from '../kernels/kernel.ts';
import type { Field } from '../kernels/source.ts';
import { KernelError } from './errors.ts';

/** Uniforms that wait for the next submit: the same bytes seen as each of WGSL's types. */
export interface Uniforms {
  readonly u32: Uint32Array<ArrayBuffer>;
  readonly i32: Int32Array<ArrayBuffer>;
  readonly f32: Float32Array<ArrayBuffer>;
}

export function createUniforms(bytes: number): Uniforms {
  const buffer = new ArrayBuffer(bytes);
  return { u32: new Uint32Array(buffer), i32: new Int32Array(buffer), f32: new Float32Array(buffer) };
}

/** 32-bit words of a struct. */
export const wordsOf = (fields: readonly Field[]): number =>
  fields.reduce((words, { offset, length }) => Math.max(words, offset + length), 0);

/**
 * Writes `params` at word `at`. Throws a KernelError where a field has no value, a value no field, or one does not fit its
 * type: a whole number from 0 to 2^32 - 1 for u32, from -2^31 for i32. An array may be given in part: the rest is 0.
 */
export function fill(
  uniforms: Uniforms,
  at: number,
  fields: readonly Field[],
  params: Params,
  kernel: string,
): void {
  for (const { name, type, offset, length } of fields) {
    const value = params[name];
    const words = uniforms[type];
    const fits = (n: number) => type === 'f32' || n === (type === 'u32' ? n >>> 0 : n | 0);
    if (typeof value === 'number' && length === 1 && fits(value)) words[at + offset] = value;
    else if (typeof value === 'object' && length > 1 && value.length <= length && value.every(fits)) {
      words.set(value, at + offset);
      words.fill(0, at + offset + value.length, at + offset + length);
    } else {
      const wanted = length === 1 ? type : `${length} x ${type}`;
      throw new KernelError(`${kernel}: the uniform's field ${name} needs ${wanted} and was given ${value}`);
    }
  }
  const names = Object.keys(params);
  if (names.length > fields.length) {
    const extra = names.filter((name) => fields.every((field) => field.name !== name));
    throw new KernelError(`${kernel}: the uniform has no field ${extra.join(', ')}`);
  }
}
