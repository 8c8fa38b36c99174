// The tape: one node for each operation applied while a derivative is being taken. Nodes form a graph without cycles
// (a node refers to its inputs, never to what was made of it), so counting references frees it exactly.

import type { Operation } from './operation.ts';
import type { Tensor } from './tensor.ts';

export interface TapeNode {
  /** Order of creation: inputs always have smaller numbers. */
  readonly id: number;
  /** What made the tensor; undefined for a leaf. */
  readonly operation: Operation<unknown> | undefined;
  readonly attributes: unknown;
  /** Handles of the node's own, which keep what the derivative needs alive. */
  readonly inputs: readonly Tensor[];
  /** The result, without its node: a rule may want the value. */
  result: Tensor | undefined;
  references: number;
}

let created = 0;

export function createNode(
  operation: Operation<unknown> | undefined,
  attributes: unknown,
  inputs: readonly Tensor[],
): TapeNode {
  return { id: created++, operation, attributes, inputs, result: undefined, references: 0 };
}

export function retainNode(node: TapeNode): void {
  node.references++;
}

export function releaseNode(first: TapeNode): void {
  if (--first.references > 0) return;
  first.result?.dispose();
  for (const input of first.inputs) input.dispose();
}
