// Keras's layers with weights: convolutions and dense layers.

import type { GraphNode } from '../../../graph.ts';
import type { Padding, Pair } from '../../../layers.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import type { Json } from '../../json.ts';
import { samePadding, type Window } from '../../kit.ts';
import { activated } from '../activations.ts';
import {
  choice,
  count,
  expectOnly,
  flag,
  imageShape,
  type LayerContext,
  type LayerRow,
  only,
  pair,
  setWeight,
} from '../context.ts';

export const isSame = (config: Json): boolean =>
  choice(config, 'padding', ['valid', 'same'], 'valid') === 'same';

/** A window of one pixel needs no padding. */
export const paddingOf = (config: Json, window: Window): Padding =>
  isSame(config) && window.kernel.some((n) => n > 1) ? samePadding(window) : 0;

const windowOf = (config: Json): Window => ({
  kernel: pair(config, 'kernel_size'),
  stride: pair(config, 'strides', 1),
  dilation: pair(config, 'dilation_rate', 1),
});

/** A convolution of a layer's input with the window of its settings; the weight is Keras's, brought into this order. */
function convolution(
  c: LayerContext,
  name: string,
  spec: { out: number; groups: number; bias: boolean },
  weight: { names: readonly string[]; shape: readonly number[]; order: readonly number[] },
): GraphNode {
  const input = only(c);
  const [, channels] = imageShape(input);
  const window = windowOf(c.config);
  const { out, groups } = spec;
  if (channels % groups !== 0 || out % groups !== 0) {
    throw new FormatError(`${groups} groups do not divide ${channels} channels in and ${out} out`);
  }
  const padding = paddingOf(c.config, window);
  const node = layers.conv(name, input.node, { ...window, ...spec, in: channels, padding });
  setWeight(c, node, 'weight', weight.names, [...window.kernel, ...weight.shape], weight.order);
  if (spec.bias) setWeight(c, node, 'bias', ['bias'], [out]);
  return node;
}

export const conv2d: LayerRow = (c) => {
  const [, channels] = imageShape(only(c));
  const out = count(c.config, 'filters');
  const groups = count(c.config, 'groups', 1);
  const bias = flag(c.config, 'use_bias', true);
  const weight = { names: ['kernel'], shape: [channels / groups, out], order: [3, 2, 0, 1] };
  return activated(c, [convolution(c, c.name, { out, groups, bias }, weight)]);
};

/** One filter a channel and multiple, in that order. */
function depthwise(c: LayerContext, name: string, names: readonly string[], bias: boolean): GraphNode {
  const [, channels] = imageShape(only(c));
  const multiplier = count(c.config, 'depth_multiplier', 1);
  const spec = { out: channels * multiplier, groups: channels, bias };
  return convolution(c, name, spec, { names, shape: [channels, multiplier], order: [2, 3, 0, 1] });
}

export const depthwiseConv2d: LayerRow = (c) => {
  const names = ['depthwise_kernel', 'kernel'];
  return activated(c, [depthwise(c, c.name, names, flag(c.config, 'use_bias', true))]);
};

export const separableConv2d: LayerRow = (c) => {
  const first = depthwise(c, `${c.name}/depthwise`, ['depthwise_kernel'], false);
  const between = first.parameters.weight!.shape[0]!;
  const out = count(c.config, 'filters');
  const bias = flag(c.config, 'use_bias', true);
  const node = layers.conv(c.name, first.name, { in: between, out, kernel: 1, bias });
  setWeight(c, node, 'weight', ['pointwise_kernel'], [1, 1, between, out], [3, 2, 0, 1]);
  if (bias) setWeight(c, node, 'bias', ['bias'], [out]);
  return activated(c, [first, node]);
};

/** The adjoint of a convolution whose SAME or VALID padding is that of its output. */
export const conv2dTranspose: LayerRow = (c) => {
  const input = only(c);
  const [, channels] = imageShape(input);
  expectOnly(c.config, { output_padding: [null], dilation_rate: [null, 1, [1, 1]], groups: [null, 1] });
  const out = count(c.config, 'filters');
  const window = windowOf(c.config);
  const { kernel, stride } = window;
  const same = isSame(c.config);
  const bias = flag(c.config, 'use_bias', true);
  const geometry = (size: Pair) => {
    const along = (i: 0 | 1) => size[i] * stride[i] + (same ? 0 : Math.max(kernel[i] - stride[i], 0));
    const output: Pair = [along(0), along(1)];
    return { output, padding: same ? samePadding(window).of(output) : ([0, 0, 0, 0] as const) };
  };
  const node = layers.convTranspose(c.name, input.node, { ...window, in: channels, out, bias, geometry });
  setWeight(c, node, 'weight', ['kernel'], [...kernel, out, channels], [3, 2, 0, 1]);
  if (bias) setWeight(c, node, 'bias', ['bias'], [out]);
  return activated(c, [node]);
};

/** A dense layer acts on the last axis: of a feature map that is a 1x1 convolution. */
export const dense: LayerRow = (c) => {
  const { node: input, shape } = only(c);
  const out = count(c.config, 'units');
  const bias = flag(c.config, 'use_bias', true);
  const isMap = shape.length === 4;
  const size = isMap ? shape[1]! : shape.at(-1)!;
  const spec = { in: size, out, bias };
  const node = isMap
    ? layers.conv(c.name, input, { ...spec, kernel: 1 })
    : layers.linear(c.name, input, spec);
  setWeight(c, node, 'weight', ['kernel'], [size, out], [1, 0]);
  if (bias) setWeight(c, node, 'bias', ['bias'], [out]);
  return activated(c, [node]);
};
