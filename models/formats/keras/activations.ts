// Keras's activation functions, by the names that files give them.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import type { GraphNode } from '../../graph.ts';
import { plain } from '../../layers.ts';
import { FormatError } from '../errors.ts';
import { flag, number } from './context.ts';
import { field, type Json, quote } from './json.ts';

/** What a function is called among Limelight's kinds, and how it is computed. */
interface Activation {
  readonly kind: string;
  readonly run: (x: Tensor) => Tensor;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** alpha (exp(x) - 1) for x < 0, x elsewhere; exp never sees a positive number. */
const elu = (x: Tensor, alpha: number) =>
  ops.add(ops.relu(x), ops.affine(ops.exp(ops.neg(ops.relu(ops.neg(x)))), alpha, -alpha));

// Klambauer 2017.
const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 };

const geluTanh = (x: Tensor) =>
  ops.mul(
    ops.scale(x, 0.5),
    ops.affine(
      ops.tanh(ops.scale(ops.add(x, ops.scale(ops.powScalar(x, 3), 0.044715)), Math.sqrt(2 / Math.PI))),
      1,
      1,
    ),
  );

const hardSigmoid: (version: number) => (x: Tensor) => Tensor = (version) =>
  version >= 3 ? ops.hardSigmoid : (x) => ops.clamp(ops.affine(x, 0.2, 0.5), 0, 1);

const leaky = (slope: number): Activation => ({
  kind: slope === 0 ? 'relu' : 'leakyRelu',
  run: slope === 0 ? (x) => ops.relu(x) : (x) => ops.leakyRelu(x, slope),
  ...(slope !== 0 && { attributes: { slope } }),
});

/** Keras's rule: 0 below the threshold (or a slope), at most `max`. */
function bounded(config: Json): Activation {
  const max = field(config, 'max_value') ?? undefined;
  const slope = number(config, 'negative_slope', 0);
  const threshold = number(config, 'threshold', 0);
  if (threshold !== 0 || (max !== undefined && slope !== 0)) {
    throw new FormatError(
      'a ReLU with a threshold, or with both max_value and negative_slope, is not supported',
    );
  }
  if (max === undefined) return leaky(slope);
  const high = number(config, 'max_value', 6);
  return {
    kind: high === 6 ? 'relu6' : 'clip',
    run: (x) => ops.clamp(x, 0, high),
    attributes: { max: high },
  };
}

const simple = (kind: string, run: (x: Tensor) => Tensor) => (): Activation => ({ kind, run });

const elus = (config: Json): Activation => {
  const alpha = number(config, 'alpha', 1);
  return { kind: 'elu', run: (x) => elu(x, alpha), attributes: { alpha } };
};

/** Along Keras's last axis: the channels of [N, C, H, W]. */
const softmax = (): Activation => ({
  kind: 'softmax',
  run: (x) => ops.softmax(x, x.shape.length === 4 ? 1 : x.shape.length - 1),
});

const table: ReadonlyMap<string, (config: Json, version: number) => Activation> = new Map(
  Object.entries({
    relu: bounded,
    ReLU: bounded,
    relu6: () => bounded({ max_value: 6 }),
    leaky_relu: (config: Json) => leaky(number(config, 'negative_slope', 0.2)),
    LeakyReLU: (config: Json) =>
      leaky(number(config, field(config, 'alpha') === undefined ? 'negative_slope' : 'alpha', 0.3)),
    elu: elus,
    ELU: elus,
    selu: simple('selu', (x) => ops.scale(elu(x, SELU.alpha), SELU.scale)),
    sigmoid: simple('sigmoid', (x) => ops.sigmoid(x)),
    hard_sigmoid: (_: Json, version: number) => ({ kind: 'hardSigmoid', run: hardSigmoid(version) }),
    tanh: simple('tanh', (x) => ops.tanh(x)),
    softplus: simple('softplus', (x) => ops.softplus(x)),
    softsign: simple('softsign', (x) => ops.div(x, ops.affine(ops.abs(x), 1, 1))),
    exponential: simple('exp', (x) => ops.exp(x)),
    swish: simple('silu', ops.silu),
    silu: simple('silu', ops.silu),
    hard_swish: simple('hardSwish', ops.hardSwish),
    hard_silu: simple('hardSwish', ops.hardSwish),
    gelu: (config: Json) => ({ kind: 'gelu', run: flag(config, 'approximate', false) ? geluTanh : ops.gelu }),
    mish: simple('mish', (x) => ops.mul(x, ops.tanh(ops.softplus(x)))),
    softmax,
    Softmax: softmax,
  }),
);

export const LINEAR = 'linear';

/** A node that applies a function; a FormatError names the functions there are. */
export function activation(
  name: string,
  input: string,
  fn: string,
  config: Json,
  version: number,
): GraphNode {
  const row = table.get(fn);
  if (row === undefined) {
    throw new FormatError(
      `activation ${quote(fn)} is not supported; supported are ${LINEAR}, ${[...table.keys()].join(', ')}`,
    );
  }
  const { kind, run, attributes } = row(config, version);
  return plain(name, kind, [input], run, attributes);
}
