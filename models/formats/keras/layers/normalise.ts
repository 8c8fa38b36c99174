// Keras's normalisation, and its layers that scale and shift channels.

import type { GraphNode } from '../../../graph.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import { field, quote } from '../../json.ts';
import {
  axisOf,
  expectOnly,
  flag,
  type LayerContext,
  type LayerRow,
  number,
  numbers,
  only,
  setWeight,
} from '../context.ts';

/** The size of the channel axis, on which normalisations must act. */
export function channelsOf(c: LayerContext, axis: unknown): number {
  const { shape } = only(c);
  const channel = shape.length === 4 ? 1 : shape.length - 1;
  if (axisOf(axis, shape.length) !== channel) {
    throw new FormatError(`axis is ${quote(axis)}; it is supported along the channels alone, the last axis`);
  }
  return shape[channel]!;
}

/** Weight and bias of one number a channel, or 1 and 0 where the layer has none. */
function setScale(c: LayerContext, node: GraphNode): void {
  const { weight, bias } = node.parameters;
  if (flag(c.config, 'scale', true)) setWeight(c, node, 'weight', ['gamma'], weight!.shape);
  else c.setConstant(weight!.key, weight!.shape[0]!, () => 1);
  if (flag(c.config, 'center', true)) setWeight(c, node, 'bias', ['beta'], bias!.shape);
  else c.setConstant(bias!.key, bias!.shape[0]!, () => 0);
}

export const batchNormalization: LayerRow = (c) => {
  expectOnly(c.config, { renorm: [null, false], virtual_batch_size: [null], adjustment: [null] });
  const channels = channelsOf(c, field(c.config, 'axis') ?? -1);
  const input = only(c);
  if (input.shape.length !== 4 && input.shape.length !== 2) {
    throw new FormatError(`batch normalisation of a value [${input.shape.join(', ')}] is not supported`);
  }
  const node = layers.batchNorm(c.name, input.node, channels, number(c.config, 'epsilon', 1e-3));
  setScale(c, node);
  setWeight(c, node, 'mean', ['moving_mean'], [channels]);
  setWeight(c, node, 'variance', ['moving_variance'], [channels]);
  return [node];
};

/** Over the channels; those of a feature map are its last axis for the while. */
export const layerNormalization: LayerRow = (c) => {
  expectOnly(c.config, { rms_scaling: [null, false] });
  const channels = channelsOf(c, field(c.config, 'axis') ?? -1);
  const input = only(c);
  const isMap = input.shape.length === 4;
  const last = layers.transpose(`${c.name}/last`, input.node, [0, 2, 3, 1]);
  const from = isMap ? last.name : input.node;
  const epsilon = number(c.config, 'epsilon', 1e-3);
  const norm = layers.layerNorm(c.name, from, channels, epsilon);
  setScale(c, norm);
  if (!isMap) return [norm];
  const named = { ...norm, name: `${c.name}/norm` };
  return [last, named, layers.transpose(c.name, named.name, [0, 3, 1, 2])];
};

/** x scale + shift, each one number or one a channel. */
export function scaleShift(
  c: LayerContext,
  kind: string,
  scale: ArrayLike<number>,
  shift: ArrayLike<number>,
): GraphNode[] {
  const channels = channelsOf(c, -1);
  const node = layers.scaleShift(c.name, only(c).node, channels, kind);
  for (const [short, values] of Object.entries({ scale, shift })) {
    if (values.length !== 1 && values.length !== channels) {
      throw new FormatError(`its ${short} has ${values.length} numbers for ${channels} channels`);
    }
    c.setConstant(node.parameters[short]!.key, channels, (i) => values[i % values.length]!);
  }
  return [node];
}

export const rescaling: LayerRow = (c) =>
  scaleShift(c, 'rescaling', numbers(c.config, 'scale') ?? [1], numbers(c.config, 'offset') ?? [0]);

/** (x - mean) / max(deviation, 1e-7), Keras's epsilon, with the statistics in the file's weights or its settings. */
export const normalization: LayerRow = (c) => {
  expectOnly(c.config, { invert: [null, false] });
  const channels = channelsOf(c, field(c.config, 'axis') ?? -1);
  const given = (key: string) => numbers(c.config, key) ?? c.weight([key], [channels])?.data ?? [1];
  const [mean, variance] = [given('mean'), given('variance')];
  const scale = Array.from(variance, (v) => 1 / Math.max(Math.sqrt(v), 1e-7));
  const shift = Array.from({ length: Math.max(mean.length, scale.length) }, (_, i) => {
    return -mean[i % mean.length]! * scale[i % scale.length]!;
  });
  return scaleShift(c, 'normalization', scale, shift);
};

/** A number a channel times x: of ConvNeXt, whose weight has no name of its own in most files. */
export const layerScale: LayerRow = (c) => {
  const gamma = c.weight(['gamma', 'Variable', 'variable'], [channelsOf(c, -1)]);
  return scaleShift(c, 'layerScale', gamma?.data ?? [1], [0]);
};
