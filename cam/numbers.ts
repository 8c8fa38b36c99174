// Numbers into tensors, and out of those that are made only to be read.

import { type Device, type Shape, scope, sizeOf, type Tensor, tensor } from '../engine/index.ts';

/** A tensor of a shape whose row-major element i is `of(i)`. */
export const tensorOf = (device: Device, shape: Shape, of: (i: number) => number): Tensor =>
  tensor(
    device,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => of(i)),
    shape,
  );

/** Rows `start` to `start + count` of an identity matrix, as a tensor of the given trailing shape. */
export function oneHotRows(like: Tensor, start: number, count: number, shape: readonly number[]): Tensor {
  const size = sizeOf(shape);
  const rows = new Float32Array(count * size);
  for (let i = 0; i < count; i++) rows[i * size + start + i] = 1;
  return tensor(like.device, rows, [count, ...shape]);
}

/** The numbers of what `make` makes, each tensor's; the tensors, which must be new ones, are freed. */
export async function numbersOfNew(make: () => readonly Tensor[]): Promise<Float32Array[]> {
  const made = scope(make);
  try {
    return await Promise.all(made.map((tensor) => tensor.data()));
  } finally {
    for (const tensor of new Set(made)) tensor.dispose();
  }
}

/** The same of tensors of one number. */
export const numberOfEachNew = async (make: () => readonly Tensor[]): Promise<number[]> =>
  (await numbersOfNew(make)).map(([number]) => number!);
