// What every layer is made of: sizes, parameters named as PyTorch's state dicts name them, and the graph node.

import type { Tensor } from '../../engine/index.ts';
import type { GraphNode, Parameter, Traits } from '../graph.ts';

export type Pair = readonly [number, number];
export type Sides = readonly [top: number, left: number, bottom: number, right: number];

/** One number for both axes, or one for each. */
export type Size = number | Pair;
/** Padding that depends on the input's size, such as SAME, and what people are told of it. */
export interface SizedPadding {
  readonly of: (size: Pair) => Sides;
  readonly shown: unknown;
}

/** One number for all four sides, one for each axis, one for each side, or what an input's size calls for. */
export type Padding = number | Pair | Sides | SizedPadding;

export const pair = (n: Size): Pair => (typeof n === 'number' ? [n, n] : n);

const isSized = (n: Padding): n is SizedPadding => typeof n === 'object' && 'of' in n;

/** The padding of an input, and what people are told of it. */
export function paddingOf(n: Padding): { readonly of: (x: Tensor) => Sides; readonly shown: unknown } {
  if (isSized(n)) return { of: (x) => n.of([x.shape[2]!, x.shape[3]!]), shown: n.shown };
  const all: Sides = typeof n === 'number' ? [n, n, n, n] : n.length === 4 ? n : [n[0], n[1], n[0], n[1]];
  return { of: () => all, shown: all };
}

export const parameter = (name: string, short: string, shape: readonly number[]): Parameter => ({
  key: `${name}.${short}`,
  shape,
});

/** A node without parameters. */
export function plain(
  name: string,
  kind: string,
  inputs: readonly string[],
  run: (...inputs: Tensor[]) => Tensor,
  attributes: Readonly<Record<string, unknown>> = {},
  traits: Traits = {},
): GraphNode {
  return { name, kind, inputs, parameters: {}, attributes, run: (values) => run(...values), traits };
}
