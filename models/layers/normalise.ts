// Normalisation, and scales and shifts of channels.

import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { parameter, plain } from './node.ts';

/** Batch normalisation over channels; in training with the batch's statistics, which are reported. */
export function batchNorm(name: string, input: string, channels: number, epsilon = 1e-5): GraphNode {
  const learnt = (short: string) => parameter(name, short, [channels]);
  return {
    name,
    kind: 'batchNorm',
    inputs: [input],
    parameters: {
      weight: learnt('weight'),
      bias: learnt('bias'),
      mean: learnt('running_mean'),
      variance: learnt('running_var'),
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
    traits: {
      // weight s and bias beta - mean s, with s = gamma / sqrt(variance + epsilon): Ioffe 2015, section 3.1.
      channelAffine: ({ weight: gamma, bias: beta, mean, variance }) => {
        const scale = ops.div(gamma!, ops.sqrt(ops.affine(variance!, 1, epsilon)));
        return { scale, shift: ops.sub(beta!, ops.mul(mean!, scale)) };
      },
      statistics: ['mean', 'variance'],
    },
  };
}

/** Layer normalisation over the last axis. */
export function layerNorm(name: string, input: string, width: number, epsilon = 1e-6): GraphNode {
  const learnt = (short: string) => parameter(name, short, [width]);
  return {
    name,
    kind: 'layerNorm',
    inputs: [input],
    parameters: { weight: learnt('weight'), bias: learnt('bias') },
    attributes: { epsilon },
    run: ([x], { parameters: p }) => ops.layerNorm(x!, p.weight!, p.bias!, epsilon),
    traits: { scaled: true, standardises: { epsilon } },
  };
}

/** x gamma over the last axis (Touvron 2021, CaiT); the parameter, of that many numbers in some shape, is called `key`. */
export const layerScale = (
  name: string,
  input: string,
  key: string,
  shape: readonly number[],
): GraphNode => ({
  name,
  kind: 'layerScale',
  inputs: [input],
  parameters: { gamma: { key, shape } },
  attributes: {},
  run: ([x], { parameters: { gamma } }) => ops.mul(x!, ops.reshape(gamma!, [gamma!.size])),
  traits: {},
});

/** x scale[c] + shift[c] for every channel, which are axis 1 of [N, C, H, W] and the last of anything else. */
export const scaleShift = (
  name: string,
  input: string,
  channels: number,
  kind = 'scaleShift',
): GraphNode => ({
  name,
  kind,
  inputs: [input],
  parameters: { scale: parameter(name, 'scale', [channels]), shift: parameter(name, 'shift', [channels]) },
  attributes: {},
  run: ([x], { parameters: { scale, shift } }) =>
    x!.shape.length === 4 ? ops.scaleShift(x!, scale!, shift!) : ops.add(ops.mul(x!, scale!), shift!),
  traits: { each: ([x], { scale, shift }) => x! * scale! + shift! },
});

/** x scale[c] + shift[c] for every channel, with fixed numbers. */
export const channelAffine = (
  name: string,
  input: string,
  spec: { scale: readonly number[]; shift: readonly number[] },
) =>
  plain(
    name,
    'channelAffine',
    [input],
    (x) => {
      const fixed = (values: readonly number[]) => ops.tensor(x.device, values, [values.length]);
      return ops.scaleShift(x, fixed(spec.scale), fixed(spec.shift));
    },
    spec,
  );
