// Keras's activations as layers.

import * as ops from '../../../../engine/index.ts';
import type { GraphNode } from '../../../graph.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import { field } from '../../json.ts';
import { activation, LINEAR } from '../activations.ts';
import { axisOf, classAndConfig, kerasShape, type LayerRow, numbers, only, setWeight } from '../context.ts';

export const activationLayer: LayerRow = (c) => {
  const { className, config } = classAndConfig(field(c.config, 'activation') ?? LINEAR);
  if (className === LINEAR) return identity(c);
  return [activation(c.name, only(c), className, config, c.kerasVersion)];
};

/** A function that has a layer of its own. */
export const named =
  (fn: string): LayerRow =>
  (c) => {
    const input = only(c);
    if (
      fn === 'Softmax' &&
      axisOf(field(c.config, 'axis') ?? -1, input.shape.length) !== axisOf(-1, input.shape.length)
    ) {
      throw new FormatError('a softmax is supported along the last axis alone');
    }
    return [activation(c.name, input, fn, c.config, c.kerasVersion)];
  };

/** max(x, 0) - alpha max(-x, 0), alpha of the value's own shape or 1 along shared axes. */
export const prelu: LayerRow = (c) => {
  const input = only(c);
  const shared = numbers(c.config, 'shared_axes') ?? [];
  const alpha = kerasShape(input.shape)
    .slice(1)
    .map((n, i) => (shared.includes(i + 1) ? 1 : n));
  const order = alpha.length === 3 ? [2, 0, 1] : alpha.map((_, i) => i);
  const key = `${c.name}.alpha`;
  const node: GraphNode = {
    name: c.name,
    kind: 'prelu',
    inputs: [input.node],
    parameters: { alpha: { key, shape: order.map((axis) => alpha[axis]!) } },
    attributes: {},
    run: ([x], { parameters: p }) => ops.sub(ops.relu(x!), ops.mul(p.alpha!, ops.relu(ops.neg(x!)))),
    traits: { each: ([x], p) => (x! > 0 ? x! : p.alpha! * x!) },
  };
  setWeight(c, node, 'alpha', ['alpha'], alpha, order);
  return [node];
};

/** A layer that acts in training alone: it passes its value on. */
export const identity: LayerRow = (c) => [layers.dropout(c.name, only(c).node)];
