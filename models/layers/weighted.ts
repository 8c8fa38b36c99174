// Layers that multiply by weights: convolutions and linear layers.

import type { Tensor } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { type Padding, type Pair, paddingOf, pair, parameter, type Sides, type Size } from './node.ts';

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
  const options = { stride: pair(stride), dilation: pair(dilation), groups };
  const { of, shown } = paddingOf(padding);
  const still = Array.isArray(shown) && shown.every((n) => n === 0);
  const pointwise = groups === 1 && kernel.every((n) => n === 1) && still;
  return {
    name,
    kind: 'conv',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.out, spec.in / groups, ...kernel]),
      ...(bias && { bias: parameter(name, 'bias', [spec.out]) }),
    },
    attributes: { kernel, ...options, padding: shown },
    run: ([x], { parameters: { weight, bias }, summand, activation, place }) =>
      ops.conv2d(x!, weight!, { ...options, padding: of(x!) }, { bias, summand, activation, place }),
    traits: {
      placed: true,
      absorbs: { channelAffine: true, summand: true, activations: ['relu', 'relu6'] },
      weighted: {
        ...(pointwise && { pointwise }),
        // Each channel by its own part of the weights: a grouped convolution with one channel a group.
        ...(groups === 1 && {
          contributions: (x, { start, count }, { parameters: { weight } }) => {
            const chosen = ops.transpose(ops.narrow(weight!, 1, start, count), [1, 0, 2, 3]);
            const w = ops.reshape(chosen, [-1, 1, ...kernel]);
            const y = ops.conv2d(ops.narrow(x, 1, start, count), w, {
              ...options,
              padding: of(x),
              groups: count,
            });
            return ops.reshape(y, [count, -1, ...y.shape.slice(2)]);
          },
        }),
      },
    },
  };
}

/** Fully connected layer over the last axis: [N, ..., in] -> [N, ..., out]. */
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
    run: ([x], { parameters: { weight, bias }, summand, activation }) =>
      ops.linear(x!, weight!, { bias, summand, activation }),
    traits: {
      absorbs: { summand: true, activations: ['relu', 'relu6'] },
      weighted: {
        // A channel's features lie side by side: [N, total * features].
        contributions: (x, { total, start, count }, { parameters: { weight } }) => {
          const chosen = (t: Tensor) => ops.narrow(ops.reshape(t, [t.shape[0]!, total, -1]), 1, start, count);
          return ops.transpose(ops.planeDot(chosen(weight!), chosen(x)), [1, 0]);
        },
      },
    },
  };
}

/**
 * Transposed convolution [N, in, H, W] -> [N, out, H', W']: the derivative of a convolution for its input. `geometry` says
 * for an input's size which output that convolution would have taken, and how it would have padded it.
 */
export function convTranspose(
  name: string,
  input: string,
  spec: Omit<ConvSpec, 'padding'> & {
    readonly geometry: (size: Pair) => { readonly output: Pair; readonly padding: Sides };
  },
): GraphNode {
  const { stride = 1, dilation = 1, groups = 1, bias = true, geometry } = spec;
  const kernel = pair(spec.kernel);
  const options = { stride: pair(stride), dilation: pair(dilation), groups };
  return {
    name,
    kind: 'convTranspose',
    inputs: [input],
    parameters: {
      weight: parameter(name, 'weight', [spec.in, spec.out / groups, ...kernel]),
      ...(bias && { bias: parameter(name, 'bias', [spec.out]) }),
    },
    attributes: { kernel, ...options },
    run: ([x], { parameters: { weight, bias } }) => {
      const { output, padding } = geometry([x!.shape[2]!, x!.shape[3]!]);
      const y = ops.convTranspose2d(x!, weight!, output, { ...options, padding });
      return bias ? ops.addBias(y, bias) : y;
    },
    traits: {},
  };
}
