// What a network gives, by name.

import type { Tensor } from '../engine/index.ts';

/** A network's outputs [N, ...] by the names that its file gives them; `logits` is the one whose classes are explained. */
export interface Outputs {
  readonly logits: Tensor;
  readonly [name: string]: Tensor;
}

/** Outputs from their names and their tensors, both in one order. */
export const outputsOf = (names: readonly string[], tensors: readonly (Tensor | undefined)[]): Outputs =>
  Object.fromEntries(names.map((name, i) => [name, tensors[i]!])) as unknown as Outputs;
