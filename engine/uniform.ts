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

/** Whether a number is one of a type: a whole number from 0 to 2^32 - 1 for u32, from -2^31 for i32. */
const fits = (n: number, type: Field['type']): boolean =>
  type === 'f32' || n === (type === 'u32' ? n >>> 0 : n | 0);

/**
 * Writes `params` at word `at`. Throws a KernelError where a field has no value, a value no field, or one does not fit its
 * type. An array may be given in part: the rest is 0.
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
    if (typeof value === 'number' && length === 1 && fits(value, type)) words[at + offset] = value;
    else if (typeof value === 'object' && length > 1 && value.length <= length) {
      for (let i = 0; i < length; i++) {
        const n = value[i] ?? 0;
        if (!fits(n, type)) throw unfit(kernel, name, `${length} x ${type}`, value);
        words[at + offset + i] = n;
      }
    } else throw unfit(kernel, name, length === 1 ? type : `${length} x ${type}`, value);
  }
  let given = 0;
  for (const name in params) if (params[name] !== undefined) given++;
  if (given === fields.length) return;
  const extra = Object.keys(params).filter((name) => fields.every((field) => field.name !== name));
  throw new KernelError(`${kernel}: the uniform has no field ${extra.join(', ')}`);
}

const unfit = (kernel: string, name: string, wanted: string, value: unknown): KernelError =>
  new KernelError(`${kernel}: the uniform's field ${name} needs ${wanted} and was given ${value}`);
