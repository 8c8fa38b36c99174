// The layers that architectures are made of: each makes a graph node with its parameters' keys and shapes, named as
// PyTorch's state dicts name them.

import type { Tensor } from '../engine/index.ts';
import * as ops from '../engine/index.ts';
import type { GraphNode, Parameter } from './graph.ts';

type Pair = readonly [number, number];
type Sides = readonly [top: number, left: number, bottom: number, right: number];

const pair = (n: number): Pair => [n, n];
const sides = (n: number): Sides => [n, n, n, n];
const parameter = (name: string, short: string, shape: readonly number[]): Parameter => ({
  key: `${name}.${short}`,
  shape,
});

export interface ConvSpec {
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** Convolution [N, in, H, W] -> [N, out, H', W']. */
export function conv(name: string, input: string, spec: ConvSpec): GraphNode {
  const { kernel, stride = 1, padding = 0, groups = 1, bias = true } = spec;
  const options = { stride: pair(stride), padding: sides(padding), groups };
  return {
    name,
    kind: 'conv',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.out, spec.in / groups, kernel, kernel]),
      ...(bias && { bias: parameter(name, 'bias', [spec.out]) }),
    },
    attributes: { kernel, stride, padding, groups },
    run: ([x], { parameters }) => ops.conv2d(x!, parameters.weight!, options, parameters.bias),
  };
}

/** Fully connected layer [N, in] -> [N, out]. */
export function linear(name: string, input: string, spec: { in: number; out: number }): GraphNode {
  return {
    name,
    kind: 'linear',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.out, spec.in]),
      bias: parameter(name, 'bias', [spec.out]),
    },
    attributes: {},
    run: ([x], { parameters }) => ops.addBias(ops.linear(x!, parameters.weight!), parameters.bias!),
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
function plain(
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
  spec: { kernel: number; stride: number; padding?: number; ceilMode?: boolean },
): GraphNode {
  const { kernel, stride, padding = 0, ceilMode = false } = spec;
  const options = { kernel: pair(kernel), stride: pair(stride), padding: sides(padding), ceilMode };
  return plain(name, 'maxPool', [input], (x) => ops.maxPool2d(x, options), {
    kernel,
    stride,
    padding,
    ceilMode,
  });
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
