// The layers that architectures are made of: each makes a graph node with its parameters' keys and shapes, named as
// PyTorch's state dicts name them.

import type { Tensor } from '../engine/index.ts';
import * as ops from '../engine/index.ts';
import type { GraphNode, Parameter } from './graph.ts';

type Pair = readonly [number, number];
type Sides = readonly [top: number, left: number, bottom: number, right: number];

/** One number for both axes, or one for each. */
export type Size = number | Pair;
/** One number for all four sides, one for each axis, or one for each side. */
export type Padding = number | Pair | Sides;

const pair = (n: Size): Pair => (typeof n === 'number' ? [n, n] : n);
const sides = (n: Padding): Sides => {
  if (typeof n === 'number') return [n, n, n, n];
  return n.length === 4 ? n : [n[0], n[1], n[0], n[1]];
};
const parameter = (name: string, short: string, shape: readonly number[]): Parameter => ({
  key: `${name}.${short}`,
  shape,
});

export interface ConvSpec {
  readonly in: number;
  readonly out: number;
  readonly kernel: Size;
  readonly stride?: Size;
  readonly padding?: Padding;
  readonly dilation?: Size;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** Convolution [N, in, H, W] -> [N, out, H', W']. */
export function conv(name: string, input: string, spec: ConvSpec): GraphNode {
  const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = spec;
  const kernel = pair(spec.kernel);
  const options = { stride: pair(stride), padding: sides(padding), dilation: pair(dilation), groups };
  return {
    name,
    kind: 'conv',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.out, spec.in / groups, ...kernel]),
      ...(bias && { bias: parameter(name, 'bias', [spec.out]) }),
    },
    attributes: { kernel, ...options },
    run: ([x], { parameters: p, activation }) => {
      const y = ops.conv2d(x!, p.weight!, options, p.bias);
      return activation === 'relu' ? ops.relu(y) : y;
    },
    // Each channel by its own part of the weights: a grouped convolution with one channel a group.
    ...(groups === 1 && {
      contributions: (x, { start, count }, { parameters: { weight } }) => {
        const own = ops.transpose(ops.narrow(weight!, 1, start, count), [1, 0, 2, 3]);
        const w = ops.reshape(own, [-1, 1, ...kernel]);
        const y = ops.conv2d(ops.narrow(x, 1, start, count), w, { ...options, groups: count });
        return ops.reshape(y, [count, -1, ...y.shape.slice(2)]);
      },
    }),
  };
}

/** Fully connected layer [N, in] -> [N, out]. */
export function linear(
  name: string,
  input: string,
  spec: { in: number; out: number; bias?: boolean },
): GraphNode {
  const { bias = true } = spec;
  return {
    name,
    kind: 'linear',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.out, spec.in]),
      ...(bias && { bias: parameter(name, 'bias', [spec.out]) }),
    },
    attributes: {},
    run: ([x], { parameters: p }) => {
      const y = ops.linear(x!, p.weight!);
      return p.bias === undefined ? y : ops.add(y, p.bias);
    },
    // A channel's features lie side by side: [N, total * features].
    contributions: (x, { total, start, count }, { parameters: { weight } }) => {
      const own = (t: Tensor) => ops.narrow(ops.reshape(t, [t.shape[0]!, total, -1]), 1, start, count);
      const parts = ops.matmul(
        ops.transpose(own(x), [1, 0, 2]),
        ops.transpose(own(weight!), [1, 0, 2]),
        false,
        true,
      );
      return ops.reshape(parts, [count, -1]);
    },
  };
}

/** Batch normalisation over channels; in training with the batch's statistics, which are reported. */
export function batchNorm(name: string, input: string, channels: number, epsilon = 1e-5): GraphNode {
  const own = (short: string) => parameter(name, short, [channels]);
  return {
    name,
    kind: 'batchNorm',
    inputs: [input],
    parameters: {
      weight: own('weight'),
      bias: own('bias'),
      mean: own('running_mean'),
      variance: own('running_var'),
    },
    attributes: { epsilon },
    run: ([x], { parameters: p, statistics }) => {
      if (statistics === undefined) {
        return ops.batchNorm(
          x!,
          { weight: p.weight!, bias: p.bias!, mean: p.mean!, variance: p.variance! },
          epsilon,
        );
      }
      const { output, mean, variance } = ops.batchNormTraining(x!, p.weight!, p.bias!, epsilon);
      statistics.set(name, { mean: ops.stopGradient(mean), variance: ops.stopGradient(variance) });
      return output;
    },
  };
}

/** A node without parameters. */
export function plain(
  name: string,
  kind: string,
  inputs: readonly string[],
  run: (...inputs: Tensor[]) => Tensor,
  attributes: Readonly<Record<string, unknown>> = {},
): GraphNode {
  return { name, kind, inputs, parameters: {}, attributes, run: (values) => run(...values) };
}

export const relu = (name: string, input: string) => plain(name, 'relu', [input], (x) => ops.relu(x));

export const gelu = (name: string, input: string) => plain(name, 'gelu', [input], ops.gelu);

/** Dropout does nothing when a network is explained; it keeps its name so that names match the published ones. */
export const dropout = (name: string, input: string) =>
  plain(name, 'dropout', [input], (x) => ops.reshape(x, x.shape));

export function maxPool(
  name: string,
  input: string,
  spec: { kernel: Size; stride: Size; padding?: Padding; ceilMode?: boolean },
): GraphNode {
  const { kernel, stride, padding = 0, ceilMode = false } = spec;
  const options = { kernel: pair(kernel), stride: pair(stride), padding: sides(padding), ceilMode };
  return plain(name, 'maxPool', [input], (x) => ops.maxPool2d(x, options), options);
}

/** Mean over each plane: [N, C, H, W] -> [N, C]. */
export const globalAvgPool = (name: string, input: string) =>
  plain(name, 'globalAvgPool', [input], ops.globalAvgPool);

/** [N, C, H, W] -> [N, C H W]. */
export const flatten = (name: string, input: string) =>
  plain(name, 'flatten', [input], (x) => ops.flatten(x));

export const add = (name: string, a: string, b: string) => plain(name, 'add', [a, b], ops.add);

/** Along channels. */
export const concat = (name: string, inputs: readonly string[]) =>
  plain(name, 'concat', inputs, (...parts) => ops.concat(parts, 1));

/**
 * Shortcut "option A" of CIFAR ResNets (He 2015): every second pixel, and zero channels added half before, half
 * after.
 */
export function shortcutA(name: string, input: string, added: number): GraphNode {
  const around = added / 2;
  return plain(
    name,
    'shortcut',
    [input],
    (x) => {
      const half = ops.slice(x, [0, 0, 0, 0], x.shape, [1, 1, 2, 2]);
      return ops.pad(half, [0, around, 0, 0], [0, added - around, 0, 0]);
    },
    { stride: 2, addedChannels: added },
  );
}
