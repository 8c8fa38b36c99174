// Layers that join branches.

import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { plain } from './node.ts';

export const add = (name: string, a: string, b: string): GraphNode => ({
  ...plain(name, 'add', [a, b], ops.add),
  run: ([x, y], { activation }) => (activation === 'relu' ? ops.addRelu(x!, y!) : ops.add(x!, y!)),
  traits: { sum: true, each: ([x, y]) => x! + y!, absorbs: { activations: ['relu'] } },
});

/** Product; a gate [N, C, 1, 1] spreads over the planes of [N, C, H, W]. */
export const mul = (name: string, a: string, b: string) =>
  plain(name, 'mul', [a, b], ops.mul, {}, { products: true, each: ([x, y]) => x! * y! });

/** Along channels, or another axis. */
export const concat = (name: string, inputs: readonly string[], axis = 1) =>
  plain(
    name,
    'concat',
    inputs,
    (...parts) => ops.concat(parts, axis),
    { axis },
    { ...(axis === 1 && { joinsChannels: true }) },
  );
