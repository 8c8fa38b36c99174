// Numbers of tensors that are made only to be read.

import { scope, type Tensor } from '../engine/index.ts';

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
