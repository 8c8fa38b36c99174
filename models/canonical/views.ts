// Rewrites of what only moves elements.

import * as layers from '../layers.ts';
import type { Rewrite } from './rewrite.ts';

const same = (a: readonly number[], b: readonly number[]) => a.join() === b.join();
const isRising = (axes: readonly number[]) => axes.every((axis, i) => i === 0 || axis > axes[i - 1]!);

/** What gives its input as it is (Identity, Dropout, Cast, padding by nothing) is its input. */
export const identity: Rewrite = (node, { shape }) => {
  const [input] = node.inputs;
  return node.traits.view && same(shape(node.name), shape(input!)) ? input : undefined;
};

/** Two transpositions are one, and one that only moves axes of size 1 is a view. */
export const transposition: Rewrite = (node, { shape, before, isOnly }) => {
  const { order } = node.traits;
  if (order === undefined) return undefined;
  const first = before(node);
  if (first?.traits.order) {
    const from = first.traits.order;
    const composed = order.map((axis) => from[axis]!);
    if (isRising(composed)) return first.inputs[0];
    if (isOnly(first)) return [layers.transpose(node.name, first.inputs[0]!, composed)];
  }
  const input = node.inputs[0]!;
  if (isRising(order)) return input;
  const sizes = shape(input);
  if (!isRising(order.filter((axis) => sizes[axis] !== 1))) return undefined;
  return [layers.view(node.name, 'reshape', input, (from) => order.map((axis) => from[axis]!))];
};

/** Views behind each other that end where they began are nothing; those that end as rows are one Flatten. */
export const views: Rewrite = (node, { shape, before, isOnly }) => {
  const first = before(node);
  if (!node.traits.view || !first?.traits.view || !isOnly(first)) return undefined;
  const from = first.inputs[0]!;
  const [start, end] = [shape(from), shape(node.name)];
  if (same(start, end)) return from;
  const isFlatten = end.length === 2 && start.length > 2 && start[0] === end[0];
  return isFlatten ? [layers.flatten(node.name, from)] : undefined;
};
