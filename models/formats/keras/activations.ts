// Keras's activation functions, by the names that files give them.

import type { GraphNode } from '../../graph.ts';
import * as fn from '../../layers/functions.ts';
import * as layers from '../../layers.ts';
import { FormatError } from '../errors.ts';
import { field, type Json, quote } from '../json.ts';
import { classAndConfig, flag, type LayerContext, number, type Value } from './context.ts';

/** Keras's rule: 0 below the threshold (or a slope), at most `max`. */
function bounded(config: Json): fn.ElementFunction {
  const max = field(config, 'max_value') ?? undefined;
  const slope = number(config, 'negative_slope', 0);
  const threshold = number(config, 'threshold', 0);
  if (threshold !== 0 || (max !== undefined && slope !== 0)) {
    throw new FormatError(
      'a ReLU with a threshold, or with both max_value and negative_slope, is not supported',
    );
  }
  return max === undefined ? fn.leakyRelu(slope) : fn.clip(0, number(config, 'max_value', 6));
}

const elu = (config: Json) => fn.elu(number(config, 'alpha', 1));
const { functions: f } = fn;

/** Functions of one number, by their settings and the version of Keras. */
const table: ReadonlyMap<string, (config: Json, version: number) => fn.ElementFunction> = new Map(
  Object.entries({
    relu: bounded,
    ReLU: bounded,
    relu6: () => f.relu6,
    leaky_relu: (config: Json) => fn.leakyRelu(number(config, 'negative_slope', 0.2)),
    LeakyReLU: (config: Json) => {
      const key = field(config, 'alpha') === undefined ? 'negative_slope' : 'alpha';
      return fn.leakyRelu(number(config, key, 0.3));
    },
    elu,
    ELU: elu,
    selu: () => fn.selu(),
    sigmoid: () => f.sigmoid,
    hard_sigmoid: (_: Json, version: number) => (version >= 3 ? fn.hardSigmoid() : fn.hardSigmoid(0.2)),
    tanh: () => f.tanh,
    softplus: () => f.softplus,
    softsign: () => f.softsign,
    exponential: () => f.exp,
    swish: () => f.silu,
    silu: () => f.silu,
    hard_swish: () => f.hardSwish,
    hard_silu: () => f.hardSwish,
    gelu: (config: Json) => (flag(config, 'approximate', false) ? f.tanhGelu : f.gelu),
    mish: () => f.mish,
  }),
);

/** Along Keras's last axis: the channels of [N, C, H, W]. */
const SOFTMAX = ['softmax', 'Softmax'];

export const LINEAR = 'linear';

/** A node that applies a function; a FormatError names the functions there are. */
export function activation(
  name: string,
  { node, shape }: Value,
  className: string,
  config: Json,
  version: number,
): GraphNode {
  if (SOFTMAX.includes(className))
    return layers.softmax(name, node, shape.length === 4 ? 1 : shape.length - 1);
  const make = table.get(className);
  if (make) return layers.applied(make(config, version), name, node);
  throw new FormatError(
    `activation ${quote(className)} is not supported; supported are ` +
      `${[LINEAR, ...table.keys(), ...SOFTMAX].join(', ')}`,
  );
}

/** A layer's nodes, and behind them the layer's activation if it has one. */
export function activated(c: LayerContext, nodes: readonly GraphNode[]): readonly GraphNode[] {
  const { className, config } = classAndConfig(field(c.config, 'activation') ?? LINEAR);
  if (className === LINEAR) return nodes;
  const last = nodes.at(-1)!;
  const before = { ...last, name: `${c.name}/${last.kind}` };
  // Layers with activations keep the rank of their input, which is all that an activation asks of it.
  const value = { node: before.name, shape: c.inputs[0]!.shape };
  return [...nodes.slice(0, -1), before, activation(c.name, value, className, config, c.kerasVersion)];
}
