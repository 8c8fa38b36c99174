// The layers that architectures are made of: each makes a graph node with its parameters' keys and shapes, named as
// PyTorch's state dicts name them.

import type { Device, Tensor } from '../engine/index.ts';
import * as ops from '../engine/index.ts';
import type { GraphNode, Parameter, Traits } from './graph.ts';

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
    run: ([x], { parameters: { weight, bias }, summand, activation }) =>
      ops.conv2d(x!, weight!, options, { bias, summand, activation }),
    traits: {
      absorbs: { channelAffine: true, summand: true, activations: ['relu', 'relu6'] },
      weighted: {
        // Each channel by its own part of the weights: a grouped convolution with one channel a group.
        ...(groups === 1 && {
          contributions: (x, { start, count }, { parameters: { weight } }) => {
            const own = ops.transpose(ops.narrow(weight!, 1, start, count), [1, 0, 2, 3]);
            const w = ops.reshape(own, [-1, 1, ...kernel]);
            const y = ops.conv2d(ops.narrow(x, 1, start, count), w, { ...options, groups: count });
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
          const own = (t: Tensor) => ops.narrow(ops.reshape(t, [t.shape[0]!, total, -1]), 1, start, count);
          return ops.transpose(ops.planeDot(own(weight!), own(x)), [1, 0]);
        },
      },
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

const view: Traits = { view: true, channelwise: true };
const rectifier: Traits = { channelwise: true, nonNegative: true, increasing: true };

/** What layers without parameters are, where importers make them by these words. */
export const traitsOf: Readonly<Record<string, Traits>> = {
  relu: { ...rectifier, activation: 'relu' },
  relu6: { ...rectifier, activation: 'relu6' },
  sigmoid: { nonNegative: true, increasing: true, gives: 'sigmoid' },
  hardSigmoid: { nonNegative: true, increasing: true },
  softmax: { nonNegative: true, gives: 'softmax' },
  logSoftmax: { gives: 'softmax' },
  maxPool: { channelwise: true },
  avgPool: { channelwise: true },
  adaptiveAvgPool: { channelwise: true },
  globalAvgPool: { channelwise: true },
  flatten: view,
  dropout: view,
  identity: view,
  reshape: { view: true },
  squeeze: { view: true },
  unsqueeze: { view: true },
};

/** A node without parameters. */
export function plain(
  name: string,
  kind: string,
  inputs: readonly string[],
  run: (...inputs: Tensor[]) => Tensor,
  attributes: Readonly<Record<string, unknown>> = {},
  traits: Traits = traitsOf[kind] ?? {},
): GraphNode {
  return { name, kind, inputs, parameters: {}, attributes, run: (values) => run(...values), traits };
}

/** An activation's node: every function below that takes a name and an input. */
export type Activation = (name: string, input: string) => GraphNode;

/** An activation under a name, a function of each element. */
const activation =
  (kind: string, run: (x: Tensor) => Tensor): Activation =>
  (name, input) =>
    plain(name, kind, [input], (x) => run(x));

export const relu = activation('relu', ops.relu);
export const relu6 = activation('relu6', ops.relu6);
export const gelu = activation('gelu', ops.gelu);
export const sigmoid = activation('sigmoid', ops.sigmoid);
export const hardSigmoid = activation('hardSigmoid', ops.hardSigmoid);
export const hardSwish = activation('hardSwish', ops.hardSwish);
export const silu = activation('silu', ops.silu);

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

/** Mean of each window; padding counts as zeros, as PyTorch's default has it. */
export function avgPool(
  name: string,
  input: string,
  spec: { kernel: Size; stride: Size; padding?: Padding },
): GraphNode {
  const { kernel, stride, padding = 0 } = spec;
  const options = { kernel: pair(kernel), stride: pair(stride), padding: sides(padding) };
  return plain(name, 'avgPool', [input], (x) => ops.avgPool2d(x, options), options);
}

/**
 * Means over a grid of `size` cells, whose borders are rounded outwards so that neighbours may share pixels, as
 * PyTorch's AdaptiveAvgPool2d: [N, C, H, W] -> [N, C, rows, columns].
 */
export function adaptiveAvgPool(name: string, input: string, size: Size): GraphNode {
  const [rows, columns] = pair(size);
  const run = (x: Tensor) => {
    if (rows === 1 && columns === 1) return ops.mean(x, [2, 3], true);
    // Separable: cells of rows from the left, cells of columns from the right.
    const down = cells(x.device, x.shape[2]!, rows);
    const across = cells(x.device, x.shape[3]!, columns);
    return ops.matmul(ops.matmul(down, x), across, false, true);
  };
  return plain(name, 'adaptiveAvgPool', [input], run, { size: [rows, columns] }, { channelwise: true });
}

/** [count, from]: row i averages positions floor(i from / count) to ceil((i + 1) from / count). */
function cells(device: Device, from: number, count: number): Tensor {
  const rows = new Float32Array(count * from);
  for (let i = 0; i < count; i++) {
    const [start, end] = [Math.floor((i * from) / count), Math.ceil(((i + 1) * from) / count)];
    rows.fill(1 / (end - start), i * from + start, i * from + end);
  }
  return ops.tensor(device, rows, [count, from]);
}

/** Mean over each plane: [N, C, H, W] -> [N, C]. */
export const globalAvgPool = (name: string, input: string) =>
  plain(name, 'globalAvgPool', [input], ops.globalAvgPool);

/** [N, C, H, W] -> [N, C H W]. */
export const flatten = (name: string, input: string) =>
  plain(name, 'flatten', [input], (x) => ops.flatten(x));

export const add = (name: string, a: string, b: string): GraphNode => ({
  ...plain(name, 'add', [a, b], ops.add),
  run: ([x, y], { activation }) => (activation === 'relu' ? ops.addRelu(x!, y!) : ops.add(x!, y!)),
  traits: { sum: true, absorbs: { activations: ['relu'] } },
});

/** Product; a gate [N, C, 1, 1] spreads over the planes of [N, C, H, W]. */
export const mul = (name: string, a: string, b: string) => plain(name, 'mul', [a, b], ops.mul);

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

/** Channels `start` to `start + count`. */
export const channels = (name: string, input: string, start: number, count: number) =>
  plain(name, 'channels', [input], (x) => ops.narrow(x, 1, start, count), { start, count });

/** Channel g c + i becomes channel i groups + g: groups of c channels dealt out in turn (Zhang 2018, ShuffleNet). */
export const channelShuffle = (name: string, input: string, groups: number) =>
  plain(
    name,
    'channelShuffle',
    [input],
    (x) => {
      const [n, c, ...size] = x.shape as [number, number, number, number];
      const grouped = ops.reshape(x, [n, groups, c / groups, ...size]);
      return ops.reshape(ops.transpose(grouped, [0, 2, 1, 3, 4]), x.shape);
    },
    { groups },
  );

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
      const [n, c, h, w] = x.shape as [number, number, number, number];
      return ops.stridedWindow(
        x,
        [0, -around, 0, 0],
        [1, 1, 2, 2],
        [n, c + added, Math.ceil(h / 2), Math.ceil(w / 2)],
      );
    },
    { stride: 2, addedChannels: added },
  );
}

/** Layer normalisation over the last axis. */
export function layerNorm(name: string, input: string, width: number, epsilon = 1e-6): GraphNode {
  const own = (short: string) => parameter(name, short, [width]);
  return {
    name,
    kind: 'layerNorm',
    inputs: [input],
    parameters: { weight: own('weight'), bias: own('bias') },
    attributes: { epsilon },
    run: ([x], { parameters: p }) => ops.layerNorm(x!, p.weight!, p.bias!, epsilon),
    traits: {},
  };
}

/** A feature map as tokens, row by row: [N, D, h, w] -> [N, h w, D]. */
export const toTokens = (name: string, input: string) =>
  plain(name, 'toTokens', [input], (x) => ops.transpose(ops.flatten(x, 2), [0, 2, 1]));

/** Puts a learnt token, the parameter called `name`, before the others: [N, T, D] -> [N, 1 + T, D]. */
export const prependToken = (name: string, input: string, width: number): GraphNode => ({
  name,
  kind: 'prependToken',
  inputs: [input],
  parameters: { token: { key: name, shape: [1, 1, width] } },
  attributes: {},
  run: ([x], { parameters }) =>
    ops.concat([ops.broadcastTo(parameters.token!, [x!.shape[0]!, 1, width]), x!], 1),
  traits: {},
});

/** Adds learnt positions, the parameter called `name`: [N, T, D]. */
export const addPositions = (name: string, input: string, tokens: number, width: number): GraphNode => ({
  name,
  kind: 'addPositions',
  inputs: [input],
  parameters: { positions: { key: name, shape: [1, tokens, width] } },
  attributes: {},
  run: ([x], { parameters }) => ops.add(x!, parameters.positions!),
  traits: {},
});

/** One token: [N, T, D] -> [N, D]. */
export const takeToken = (name: string, input: string, index: number) =>
  plain(name, 'takeToken', [input], (x) => ops.reshape(ops.narrow(x, 1, index, 1), [x.shape[0]!, -1]), {
    index,
  });

/** softmax(q k^T / sqrt(d)) of every head (Vaswani 2017), from packed [N, T, 3 D]: [N, heads, T, T]. */
export const attentionProbabilities = (name: string, qkv: string, heads: number) =>
  plain(name, 'attentionProbabilities', [qkv], (x) => ops.attentionProbabilities(x, heads), { heads });

/** Values averaged by attention probabilities [N, heads, T, T], heads side by side: [N, T, D]. */
export const attentionMix = (name: string, probabilities: string, qkv: string, heads: number) =>
  plain(name, 'attentionMix', [probabilities, qkv], (p, x) => ops.attentionMix(p, x, heads), { heads });
