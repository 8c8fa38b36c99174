// The table of Keras's layers: each class's nodes in Limelight's graph. The last node carries the layer's name, those
// before it the layer's name and their kind ("conv1/conv"), so that a name means what it means in Keras: the layer's
// output, its activation included. Keras's [N, H, W, C] is kept as [N, C, H, W], every other rank as it is.

import * as ops from '../../../engine/index.ts';
import { type Shape, sizeOf, type Tensor } from '../../../engine/index.ts';
import { type GraphNode, INPUT, type Parameter } from '../../graph.ts';
import * as layers from '../../layers.ts';
import { plain } from '../../layers.ts';
import { FormatError } from '../errors.ts';
import type { HostTensor } from '../host-tensor.ts';
import { activation, LINEAR } from './activations.ts';
import {
  axisOf,
  choice,
  classAndConfig,
  count,
  expectOnly,
  flag,
  imageShape,
  type LayerContext,
  type LayerRow,
  number,
  numbers,
  pair,
  permuted,
  sides,
  type Value,
} from './context.ts';
import { field, type Json, quote } from './json.ts';

type Pair = readonly [number, number];
type Sides = readonly [top: number, left: number, bottom: number, right: number];

/** A window's geometry along y and x. */
export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
}

/**
 * TensorFlow's SAME padding: as much as gives ceil(size / stride) windows; of an odd number the larger half comes last.
 * https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
 */
export function samePadding(size: Pair, { kernel, stride, dilation }: Window): Sides {
  const [y, x] = ([0, 1] as const).map((axis) => {
    const reach = dilation[axis] * (kernel[axis] - 1) + 1;
    const windows = Math.ceil(size[axis] / stride[axis]);
    return Math.max((windows - 1) * stride[axis] + reach - size[axis], 0);
  }) as [number, number];
  return [Math.floor(y / 2), Math.floor(x / 2), Math.ceil(y / 2), Math.ceil(x / 2)];
}

type PaddingWord = 'valid' | 'same';

/** The padding for a value of any size: SAME depends on it, so it is computed when the layer runs. */
const paddingFor =
  (word: PaddingWord, window: Window) =>
  (x: Tensor): Sides =>
    word === 'valid' ? [0, 0, 0, 0] : samePadding([x.shape[2]!, x.shape[3]!], window);

const paddingWord = (config: Json): PaddingWord => choice(config, 'padding', ['valid', 'same'], 'valid');

/** The node under another name; its parameters keep their keys. */
const renamed = (node: GraphNode, name: string): GraphNode => ({ ...node, name });

/** A layer's nodes, and behind them the layer's activation if it has one. */
function activated({ name, config, kerasVersion }: LayerContext, nodes: readonly GraphNode[]): GraphNode[] {
  const { className, config: settings } = classAndConfig(field(config, 'activation') ?? LINEAR);
  if (className === LINEAR) return [...nodes];
  const last = nodes.at(-1)!;
  // Two views of one layer may have the same kind.
  const kind = nodes.length > 1 ? 'map' : last.kind;
  const before = renamed(last, `${name}/${kind}`);
  return [...nodes.slice(0, -1), before, activation(name, before.name, className, settings, kerasVersion)];
}

/** The single input; layers that merge take several. */
function only({ inputs }: LayerContext): Value {
  if (inputs.length === 1) return inputs[0]!;
  throw new FormatError(`it takes one value and is given ${inputs.length}`);
}

// Convolutions

interface ConvShape extends Window {
  readonly in: number;
  readonly out: number;
  readonly groups: number;
  readonly padding: PaddingWord;
  readonly bias: boolean;
}

/**
 * A convolution: one node of `layers.conv`, its padding that of the size that the layer meets. A 1x1 convolution of a map
 * of one pixel, as behind global pooling, is a linear layer, and is made one: then CAM finds the classifier. The last
 * node is the layer's, and `weighted` has its parameters.
 */
function convolution(
  c: LayerContext,
  name: string,
  input: Value,
  spec: ConvShape,
): { nodes: GraphNode[]; weighted: GraphNode } {
  const [, , height, width] = imageShape(input);
  const { kernel, groups } = spec;
  if (spec.in % groups !== 0 || spec.out % groups !== 0) {
    throw new FormatError(`${groups} groups do not divide ${spec.in} channels in and ${spec.out} out`);
  }
  if (c.fixedSize && [height, width, ...kernel, groups].every((n) => n === 1))
    return pointwise(name, input, spec);
  const sized = (size: Pair) =>
    layers.conv(name, input.node, {
      ...spec,
      padding: spec.padding === 'same' ? samePadding(size, spec) : 0,
    });
  const example = sized([height, width]);
  if (c.fixedSize || spec.padding === 'valid') return { nodes: [example], weighted: example };
  const weighted: GraphNode = {
    ...example,
    attributes: { ...example.attributes, padding: 'same' },
    run: ([x], context) => sized([x!.shape[2]!, x!.shape[3]!]).run([x!], context),
  };
  return { nodes: [weighted], weighted };
}

/** [N, in, 1, 1] -> [N, out, 1, 1] as a linear layer between two views. */
function pointwise(name: string, input: Value, spec: ConvShape): { nodes: GraphNode[]; weighted: GraphNode } {
  const row = layers.flatten(`${name}/flatten`, input.node);
  const own = layers.linear(name, row.name, spec);
  const weighted = renamed(own, `${name}/linear`);
  const map = plain(name, 'flatten', [weighted.name], (x) => ops.reshape(x, [x.shape[0]!, -1, 1, 1]));
  return { nodes: [row, weighted, map], weighted };
}

/** Puts a weight under a node's key, in the shape that the node declares. */
function setWeight(c: LayerContext, node: GraphNode, short: string, weight: HostTensor | undefined): void {
  const { key, shape } = node.parameters[short]!;
  c.set(key, weight && { shape, data: weight.data });
}

function setBias(c: LayerContext, node: GraphNode, out: number): void {
  if (node.parameters.bias !== undefined) setWeight(c, node, 'bias', c.weight(['bias'], [out]));
}

const windowOf = (config: Json): Window => ({
  kernel: pair(config, 'kernel_size'),
  stride: pair(config, 'strides', 1),
  dilation: pair(config, 'dilation_rate', 1),
});

const weightFrom = (weight: HostTensor | undefined, order: readonly number[]) =>
  weight && permuted(weight, order);

const conv2d: LayerRow = (c) => {
  const input = only(c);
  const [, channels] = imageShape(input);
  const spec: ConvShape = {
    ...windowOf(c.config),
    in: channels,
    out: count(c.config, 'filters'),
    groups: count(c.config, 'groups', 1),
    padding: paddingWord(c.config),
    bias: flag(c.config, 'use_bias', true),
  };
  const { nodes, weighted } = convolution(c, c.name, input, spec);
  const kernel = c.weight(['kernel'], [...spec.kernel, channels / spec.groups, spec.out]);
  setWeight(c, weighted, 'weight', weightFrom(kernel, [3, 2, 0, 1]));
  setBias(c, weighted, spec.out);
  return activated(c, nodes);
};

/** A depthwise convolution of `multiplier` outputs a channel, with its kernel. */
function depthwise(c: LayerContext, name: string, names: readonly string[], bias: boolean) {
  const input = only(c);
  const [, channels] = imageShape(input);
  const multiplier = count(c.config, 'depth_multiplier', 1);
  const out = channels * multiplier;
  const window = windowOf(c.config);
  const padding = paddingWord(c.config);
  const made = convolution(c, name, input, { ...window, in: channels, out, groups: channels, padding, bias });
  // [y, x, channel, multiple]: one filter a channel and multiple, in that order.
  const kernel = c.weight(names, [...window.kernel, channels, multiplier]);
  const filters = weightFrom(kernel, [2, 3, 0, 1]);
  setWeight(c, made.weighted, 'weight', filters);
  return made;
}

const depthwiseConv2d: LayerRow = (c) => {
  const names = ['depthwise_kernel', 'kernel'];
  const { nodes, weighted } = depthwise(c, c.name, names, flag(c.config, 'use_bias', true));
  setBias(c, weighted, weighted.parameters.weight!.shape[0]!);
  return activated(c, nodes);
};

const separableConv2d: LayerRow = (c) => {
  const [, channels] = imageShape(only(c));
  const { nodes } = depthwise(c, `${c.name}/depthwise`, ['depthwise_kernel'], false);
  const between = channels * count(c.config, 'depth_multiplier', 1);
  const out = count(c.config, 'filters');
  const node = layers.conv(c.name, nodes.at(-1)!.name, {
    in: between,
    out,
    kernel: 1,
    bias: flag(c.config, 'use_bias', true),
  });
  setWeight(
    c,
    node,
    'weight',
    weightFrom(c.weight(['pointwise_kernel'], [1, 1, between, out]), [3, 2, 0, 1]),
  );
  setBias(c, node, out);
  return [...nodes, ...activated(c, [node])];
};

/** The adjoint of a convolution whose SAME or VALID padding is that of its output. */
const conv2dTranspose: LayerRow = (c) => {
  const input = only(c);
  const [, channels] = imageShape(input);
  expectOnly(c.config, { output_padding: [null], dilation_rate: [null, 1, [1, 1]], groups: [null, 1] });
  const out = count(c.config, 'filters');
  const window = windowOf(c.config);
  const { kernel, stride } = window;
  const word = paddingWord(c.config);
  const bias = flag(c.config, 'use_bias', true);
  const own = (short: string, shape: readonly number[]): Parameter => ({ key: `${c.name}.${short}`, shape });
  const node: GraphNode = {
    name: c.name,
    kind: 'convTranspose',
    inputs: [input.node],
    parameters: {
      weight: own('weight', [channels, out, ...kernel]),
      ...(bias && { bias: own('bias', [out]) }),
    },
    attributes: { kernel, stride, padding: word },
    run: ([x], { parameters: p }) => {
      const size = [0, 1].map(
        (axis) =>
          x!.shape[2 + axis]! * stride[axis]! +
          (word === 'same' ? 0 : Math.max(kernel[axis]! - stride[axis]!, 0)),
      ) as [number, number];
      const padding: Sides = word === 'same' ? samePadding(size, window) : [0, 0, 0, 0];
      const y = ops.convTranspose2d(x!, p.weight!, size, { stride, padding });
      return p.bias === undefined ? y : ops.addBias(y, p.bias);
    },
    traits: {},
  };
  setWeight(c, node, 'weight', weightFrom(c.weight(['kernel'], [...kernel, out, channels]), [3, 2, 0, 1]));
  setBias(c, node, out);
  return activated(c, [node]);
};

/** A dense layer acts on the last axis: of a feature map that is a 1x1 convolution. */
const dense: LayerRow = (c) => {
  const input = only(c);
  const out = count(c.config, 'units');
  const bias = flag(c.config, 'use_bias', true);
  const isMap = input.shape.length === 4;
  const size = isMap ? input.shape[1]! : input.shape.at(-1)!;
  const kernel = c.weight(['kernel'], [size, out]);
  if (isMap) {
    const one: Pair = [1, 1];
    const shape = { kernel: one, stride: one, dilation: one, groups: 1, padding: 'valid' } as const;
    const { nodes, weighted } = convolution(c, c.name, input, { ...shape, in: size, out, bias });
    setWeight(c, weighted, 'weight', weightFrom(kernel, [1, 0]));
    setBias(c, weighted, out);
    return activated(c, nodes);
  }
  const node = layers.linear(c.name, input.node, { in: size, out, bias });
  setWeight(c, node, 'weight', kernel && denseWeight(kernel, input.flattened));
  setBias(c, node, out);
  return activated(c, [node]);
};

/** [in, out] -> [out, in]; behind a flattened map the inputs go from Keras's order to that of [C, H, W]. */
function denseWeight({ shape, data }: HostTensor, flattened: Value['flattened']): HostTensor {
  if (flattened === undefined) return permuted({ shape, data }, [1, 0]);
  const [channels, height, width] = flattened;
  return permuted({ shape: [height, width, channels, shape[1]!], data }, [3, 2, 0, 1]);
}

// Normalisation

/** A weight of one number a channel, or the number that stands for it where the layer has none. */
function setChannelWeight(
  c: LayerContext,
  { key, shape }: Parameter,
  name: string,
  otherwise: { there: boolean; value: number },
): void {
  if (otherwise.there) c.set(key, c.weight([name], shape));
  else c.setConstant(key, shape[0]!, () => otherwise.value);
}

/** The size of the channel axis, on which normalisations must act. */
function channelsOf(c: LayerContext, axis: unknown): number {
  const { shape } = only(c);
  const channel = shape.length === 4 ? 1 : shape.length - 1;
  if (axisOf(axis, shape.length) !== channel) {
    throw new FormatError(`axis is ${quote(axis)}; it is supported along the channels alone, the last axis`);
  }
  return shape[channel]!;
}

const batchNormalization: LayerRow = (c) => {
  expectOnly(c.config, { renorm: [null, false], virtual_batch_size: [null], adjustment: [null] });
  const channels = channelsOf(c, field(c.config, 'axis') ?? -1);
  const input = only(c);
  if (input.shape.length !== 4 && input.shape.length !== 2) {
    throw new FormatError(`batch normalisation of a value [${input.shape.join(', ')}] is not supported`);
  }
  const node = layers.batchNorm(c.name, input.node, channels, number(c.config, 'epsilon', 1e-3));
  const { weight, bias, mean, variance } = node.parameters as Record<string, Parameter>;
  setChannelWeight(c, weight!, 'gamma', { there: flag(c.config, 'scale', true), value: 1 });
  setChannelWeight(c, bias!, 'beta', { there: flag(c.config, 'center', true), value: 0 });
  setWeight(c, node, 'mean', c.weight(['moving_mean'], mean!.shape));
  setWeight(c, node, 'variance', c.weight(['moving_variance'], variance!.shape));
  return [node];
};

const layerNormalization: LayerRow = (c) => {
  expectOnly(c.config, { rms_scaling: [null, false] });
  const channels = channelsOf(c, field(c.config, 'axis') ?? -1);
  const input = only(c);
  const epsilon = number(c.config, 'epsilon', 1e-3);
  const weight = { key: `${c.name}.weight`, shape: [channels] };
  const bias = { key: `${c.name}.bias`, shape: [channels] };
  const map = input.shape.length === 4;
  setChannelWeight(c, weight, 'gamma', { there: flag(c.config, 'scale', true), value: 1 });
  setChannelWeight(c, bias, 'beta', { there: flag(c.config, 'center', true), value: 0 });
  const node: GraphNode = {
    name: c.name,
    kind: 'layerNorm',
    inputs: [input.node],
    parameters: { weight, bias },
    attributes: { epsilon },
    run: ([x], { parameters: p }) => {
      const last = map ? ops.transpose(x!, [0, 2, 3, 1]) : x!;
      const y = ops.layerNorm(last, p.weight!, p.bias!, epsilon);
      return map ? ops.transpose(y, [0, 3, 1, 2]) : y;
    },
    traits: {},
  };
  return [node];
};

/** x scale + shift per channel: what preprocessing layers are. */
function scaleShift(
  c: LayerContext,
  kind: string,
  scale: ArrayLike<number>,
  shift: ArrayLike<number>,
): GraphNode[] {
  const channels = channelsOf(c, -1);
  const own = (short: string, values: ArrayLike<number>): Parameter => {
    if (values.length !== 1 && values.length !== channels) {
      throw new FormatError(`its ${short} has ${values.length} numbers for ${channels} channels`);
    }
    const key = `${c.name}.${short}`;
    c.setConstant(key, channels, (i) => values[i % values.length]!);
    return { key, shape: [channels] };
  };
  const input = only(c);
  const map = input.shape.length === 4;
  const node: GraphNode = {
    name: c.name,
    kind,
    inputs: [input.node],
    parameters: { scale: own('scale', scale), shift: own('shift', shift) },
    attributes: {},
    run: ([x], { parameters: p }) =>
      map ? ops.scaleShift(x!, p.scale!, p.shift!) : ops.add(ops.mul(x!, p.scale!), p.shift!),
    traits: {},
  };
  return [node];
}

const rescaling: LayerRow = (c) =>
  scaleShift(c, 'rescaling', numbers(c.config, 'scale') ?? [1], numbers(c.config, 'offset') ?? [0]);

/** (x - mean) / max(deviation, 1e-7), Keras's epsilon, with the statistics in the file's weights or its settings. */
const normalization: LayerRow = (c) => {
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

// Pooling

const poolWindow = (config: Json): Window => {
  const kernel = pair(config, 'pool_size', 2);
  const stride = (field(config, 'strides') ?? null) === null ? kernel : pair(config, 'strides');
  return { kernel, stride, dilation: [1, 1] };
};

function pooling(
  c: LayerContext,
  kind: string,
  pool: (x: Tensor, options: ops.PoolOptions) => Tensor,
): GraphNode {
  const input = only(c);
  imageShape(input);
  const window = poolWindow(c.config);
  const word = paddingWord(c.config);
  const padding = paddingFor(word, window);
  return plain(
    c.name,
    kind,
    [input.node],
    // TensorFlow's averages leave padding out of their divisors.
    (x) => pool(x, { ...window, padding: padding(x), countIncludePad: false }),
    { kernel: window.kernel, stride: window.stride, padding: word },
  );
}

const maxPooling2d: LayerRow = (c) => [pooling(c, 'maxPool', ops.maxPool2d)];

/** An average over the whole map is global average pooling, and is made it: then CAM finds the head. */
const averagePooling2d: LayerRow = (c) => {
  const [, , height, width] = imageShape(only(c));
  const { kernel } = poolWindow(c.config);
  const whole =
    c.fixedSize && paddingWord(c.config) === 'valid' && kernel[0] === height && kernel[1] === width;
  return [
    whole ? globalPool(c, 'globalAvgPool', ops.globalAvgPool, true) : pooling(c, 'avgPool', ops.avgPool2d),
  ];
};

function globalPool(c: LayerContext, kind: string, pool: (x: Tensor) => Tensor, keep: boolean): GraphNode {
  const input = only(c);
  const [, channels] = imageShape(input);
  const run = keep ? (x: Tensor) => ops.reshape(pool(x), [x.shape[0]!, channels, 1, 1]) : pool;
  return plain(c.name, kind, [input.node], run);
}

const globalPooling =
  (kind: string, pool: (x: Tensor) => Tensor): LayerRow =>
  (c) => [globalPool(c, kind, pool, flag(c.config, 'keepdims', false))];

// Merging

/** Keras puts axes of size 1 behind the batch of values of lower rank: [N, C] meets a feature map as [N, C, 1, 1]. */
function broadcastable({ inputs }: LayerContext): (values: readonly Tensor[]) => readonly Tensor[] {
  const rank = Math.max(...inputs.map(({ shape }) => shape.length));
  const odd = inputs.find(({ shape }) => shape.length !== rank && !(rank === 4 && shape.length === 2));
  if (odd)
    throw new FormatError(`it merges values of ranks ${inputs.map(({ shape }) => shape.length).join(', ')}`);
  return (values) =>
    values.map((x) =>
      x.shape.length === rank ? x : ops.reshape(x, [...x.shape, ...Array<number>(rank - 2).fill(1)]),
    );
}

const merging =
  (
    kind: string,
    merge: (a: Tensor, b: Tensor) => Tensor,
    finish: (x: Tensor, n: number) => Tensor = (x) => x,
  ): LayerRow =>
  (c) => {
    if (c.inputs.length < 2) throw new FormatError(`it merges values and is given ${c.inputs.length}`);
    const alike = broadcastable(c);
    const names = c.inputs.map(({ node }) => node);
    return [
      plain(c.name, kind, names, (...xs) =>
        finish(
          alike(xs).reduce((a, b) => merge(a, b)),
          xs.length,
        ),
      ),
    ];
  };

type Arithmetic = 'add' | 'sub' | 'mul' | 'div';
/** An operation of a value and a number, or one a channel: x scale + shift. */
type WithNumbers = (n: readonly number[], first: boolean) => readonly [scale: number[], shift: number[]];

const WITH_NUMBERS: Readonly<Record<Arithmetic, WithNumbers>> = {
  add: (n) => [[1], [...n]],
  sub: (n, first) => (first ? [[-1], [...n]] : [[1], n.map((one) => -one)]),
  mul: (n) => [[...n], [0]],
  div: (n, first) => {
    if (first) throw new FormatError('a number divided by a value is not supported');
    return [n.map((one) => 1 / one), [0]];
  },
};

/** The merging layers as operations: of two values, or of one and numbers. */
const arithmetic =
  (kind: Arithmetic, merged: LayerRow): LayerRow =>
  (c) => {
    if (c.operand === undefined) return merged(c);
    const { numbers, first } = c.operand;
    // The first arithmetic on the picture is its rescaling.
    const own = only(c).node === INPUT ? 'rescaling' : kind;
    return scaleShift(c, own, ...WITH_NUMBERS[kind](numbers, first));
  };

/** A sum of two feature maps is the layer, into which an activation may be folded. */
const sum: LayerRow = (c) => {
  const [a, b, ...others] = c.inputs;
  const alike = a && b && others.length === 0 && a.shape.join() === b.shape.join();
  return alike ? [layers.add(c.name, a.node, b.node)] : merging('add', ops.add)(c);
};

const ADD = arithmetic('add', sum);
const SUBTRACT = arithmetic('sub', merging('sub', ops.sub));
const MULTIPLY = arithmetic('mul', merging('mul', ops.mul));
const DIVIDE = arithmetic('div', merging('div', ops.div));

/** TensorFlow's functions, by the names under which Keras 2 keeps their calls. */
const functions: ReadonlyMap<string, LayerRow> = new Map(
  Object.entries({
    '__operators__.add': ADD,
    'math.add': ADD,
    'nn.bias_add': ADD,
    '__operators__.sub': SUBTRACT,
    'math.subtract': SUBTRACT,
    '__operators__.mul': MULTIPLY,
    'math.multiply': MULTIPLY,
    '__operators__.truediv': DIVIDE,
    'math.truediv': DIVIDE,
    'math.divide': DIVIDE,
    ...Object.fromEntries(
      Object.entries({
        'nn.relu': 'relu',
        'nn.relu6': 'relu6',
        'nn.elu': 'elu',
        'nn.selu': 'selu',
        'nn.silu': 'silu',
        'nn.swish': 'silu',
        'nn.sigmoid': 'sigmoid',
        'math.sigmoid': 'sigmoid',
        'nn.tanh': 'tanh',
        'math.tanh': 'tanh',
        'nn.softplus': 'softplus',
        'math.softplus': 'softplus',
      }).map(([fn, name]): [string, LayerRow] => [
        fn,
        (c) => [activation(c.name, only(c).node, name, {}, c.kerasVersion)],
      ]),
    ),
  }),
);

/** A call of a TensorFlow function between layers. */
const tfFunction: LayerRow = (c) => {
  const name = field(c.config, 'function');
  const row = functions.get(name as string);
  if (row) return row(c);
  throw new FormatError(
    `the function ${quote(name)} is not supported; supported are ${[...functions.keys()].join(', ')}`,
  );
};

/** A number a channel times x: of ConvNeXt, whose weight has no name of its own in most files. */
const layerScale: LayerRow = (c) => {
  const channels = channelsOf(c, -1);
  return scaleShift(
    c,
    'layerScale',
    c.weight(['gamma', 'Variable', 'variable'], [channels])?.data ?? [1],
    [0],
  );
};

/** a + scale b: of Inception-ResNet. */
const scaledSum: LayerRow = (c) => {
  const scale = number(c.config, 'scale', 1);
  return merging('add', (a, b) => ops.add(a, ops.scale(b, scale)))(c);
};

const concatenate: LayerRow = (c) => {
  const [first] = c.inputs;
  if (first === undefined) throw new FormatError('it joins values and is given none');
  const axis = axisOf(field(c.config, 'axis') ?? -1, first.shape.length);
  if (axis === 0) throw new FormatError('it joins images of a batch, which stay apart here');
  const names = c.inputs.map(({ node }) => node);
  return [plain(c.name, 'concat', names, (...parts) => ops.concat(parts, axis), { axis })];
};

// Shapes

/** Whether a value's elements come in the same order in both layouts. */
const sameOrder = (shape: Shape) => shape.length !== 4 || shape[2]! * shape[3]! === 1 || shape[1] === 1;
/** A value in Keras's layout, for layers that count in it; and back. */
const toKeras = (x: Tensor): Tensor => {
  if (x.shape.length !== 4) return x;
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  return sameOrder(x.shape)
    ? ops.reshape(x, [batch, height, width, channels])
    : ops.transpose(x, [0, 2, 3, 1]);
};
const fromKeras = (x: Tensor): Tensor => {
  if (x.shape.length !== 4) return x;
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const shape = [batch, channels, height, width];
  return sameOrder(shape) ? ops.reshape(x, shape) : ops.transpose(x, [0, 3, 1, 2]);
};
const kerasShape = (shape: Shape): Shape =>
  shape.length === 4 ? [shape[0]!, shape[2]!, shape[3]!, shape[1]!] : shape;

/** A value in another shape, its elements in Keras's order. */
const reshaped = (name: string, input: Value, kind: string, target: (shape: Shape) => Shape) =>
  plain(name, kind, [input.node], (x) => {
    const from = toKeras(x);
    return fromKeras(ops.reshape(from, [x.shape[0]!, ...target(from.shape.slice(1))]));
  });

/** Features in the order of [C, H, W], which the value remembers (`Value.flattened`). */
const flatten: LayerRow = (c) => [layers.flatten(c.name, only(c).node)];

/** A flattened map in Keras's order, for layers that tell one feature from another. */
export const inKerasOrder = (name: string, { node, flattened }: Value): GraphNode =>
  plain(name, 'transpose', [node], (x) =>
    ops.flatten(ops.transpose(ops.reshape(x, [x.shape[0]!, ...flattened!]), [0, 2, 3, 1])),
  );

/** What the value that a layer gives remembers of a flattened map. */
export function flattenedBy(className: string, { shape, flattened }: Value): Value['flattened'] {
  if (ANY_ORDER.has(className)) return flattened;
  const [, channels, height, width] = shape as [number, number, number, number];
  return className === 'Flatten' && !sameOrder(shape) ? [channels, height, width] : undefined;
}

const reshape: LayerRow = (c) => {
  const input = only(c);
  const wanted = field(c.config, 'target_shape');
  const own = kerasShape(input.shape).slice(1);
  const sizes = Array.isArray(wanted) ? wanted : [];
  const known = sizes.filter((n) => n !== -1 && n !== null);
  const rest = sizeOf(own) / sizeOf(known);
  const fits = known.every((n) => Number.isSafeInteger(n) && n > 0) && known.length >= sizes.length - 1;
  if (
    !Array.isArray(wanted) ||
    !fits ||
    !Number.isSafeInteger(rest) ||
    (known.length === sizes.length && rest !== 1)
  ) {
    throw new FormatError(
      `target_shape is ${quote(wanted)}; expected a shape of the ${sizeOf(own)} elements of [${own.join(', ')}]`,
    );
  }
  const target = sizes.map((n) => (n === -1 || n === null ? rest : n)) as number[];
  // A row of numbers is the same as a map of one pixel.
  const row = (shape: Shape) => shape.at(-1) === sizeOf(shape);
  return [reshaped(c.name, input, row(own) && row(target) ? 'flatten' : 'reshape', () => target)];
};

const permute: LayerRow = (c) => {
  const input = only(c);
  const dims = numbers(c.config, 'dims') ?? [];
  const rank = input.shape.length;
  if ([...dims].sort().join() !== Array.from({ length: rank - 1 }, (_, i) => i + 1).join()) {
    throw new FormatError(`dims is ${quote(dims)}; expected an order of the axes from 1 to ${rank - 1}`);
  }
  return [
    plain(c.name, 'transpose', [input.node], (x) => fromKeras(ops.transpose(toKeras(x), [0, ...dims]))),
  ];
};

/** Keras's [[top, bottom], [left, right]]; negative counts crop. */
const padding =
  (kind: string, key: string, sign: 1 | -1): LayerRow =>
  (c) => {
    const input = only(c);
    imageShape(input);
    const [top, left, bottom, right] = sides(c.config, key).map((n) => sign * n) as [
      number,
      number,
      number,
      number,
    ];
    const run = (x: Tensor) => ops.pad(x, [0, 0, top, left], [0, 0, bottom, right]);
    return [plain(c.name, kind, [input.node], run, { padding: [top, left, bottom, right] })];
  };

const upSampling2d: LayerRow = (c) => {
  const input = only(c);
  imageShape(input);
  const [fy, fx] = pair(c.config, 'size', 2);
  const mode = choice(c.config, 'interpolation', ['nearest', 'bilinear'], 'nearest');
  const run = (x: Tensor) => {
    const [batch, channels, height, width] = x.shape as [number, number, number, number];
    if (mode === 'bilinear') return ops.upsample(x, [height * fy, width * fx]);
    const split = ops.reshape(x, [batch, channels, height, 1, width, 1]);
    const repeated = ops.broadcastTo(split, [batch, channels, height, fy, width, fx]);
    return ops.reshape(repeated, [batch, channels, height * fy, width * fx]);
  };
  return [plain(c.name, 'upsample', [input.node], run, { size: [fy, fx], mode })];
};

const resizing: LayerRow = (c) => {
  expectOnly(c.config, {
    interpolation: [null, 'bilinear'],
    crop_to_aspect_ratio: [null, false],
    pad_to_aspect_ratio: [null, false],
    antialias: [null, false],
  });
  const input = only(c);
  imageShape(input);
  const size: Pair = [count(c.config, 'height'), count(c.config, 'width')];
  return [plain(c.name, 'upsample', [input.node], (x) => ops.upsample(x, size), { size, mode: 'bilinear' })];
};

// Activations and what does nothing

const activationLayer: LayerRow = (c) => {
  const { className, config } = classAndConfig(field(c.config, 'activation') ?? LINEAR);
  if (className === LINEAR) return identity(c);
  return [activation(c.name, only(c).node, className, config, c.kerasVersion)];
};

/** A function that has a layer of its own. */
const named =
  (fn: string): LayerRow =>
  (c) => {
    const input = only(c);
    if (
      fn === 'Softmax' &&
      axisOf(field(c.config, 'axis') ?? -1, input.shape.length) !== axisOf(-1, input.shape.length)
    ) {
      throw new FormatError('a softmax is supported along the last axis alone');
    }
    return [activation(c.name, input.node, fn, c.config, c.kerasVersion)];
  };

/** max(x, 0) - alpha max(-x, 0), alpha of the value's own shape or 1 along shared axes. */
const prelu: LayerRow = (c) => {
  const input = only(c);
  const shared = numbers(c.config, 'shared_axes') ?? [];
  const own = kerasShape(input.shape).slice(1);
  const alpha = own.map((n, i) => (shared.includes(i + 1) ? 1 : n));
  const order = alpha.length === 3 ? [2, 0, 1] : alpha.map((_, i) => i);
  const key = `${c.name}.alpha`;
  c.set(key, weightFrom(c.weight(['alpha'], alpha), order));
  return [
    {
      name: c.name,
      kind: 'prelu',
      inputs: [input.node],
      parameters: { alpha: { key, shape: order.map((axis) => alpha[axis]!) } },
      attributes: {},
      run: ([x], { parameters: p }) => ops.sub(ops.relu(x!), ops.mul(p.alpha!, ops.relu(ops.neg(x!)))),
      traits: {},
    },
  ];
};

/** A layer that acts in training alone: it keeps its name and passes its value on. */
const identity: LayerRow = (c) => [layers.dropout(c.name, only(c).node)];

/** Layers in training alone. */
const TRAINING = [
  'Dropout',
  'SpatialDropout2D',
  'AlphaDropout',
  'GaussianDropout',
  'GaussianNoise',
  'ActivityRegularization',
  'Identity',
  'RandomFlip',
  'RandomRotation',
  'RandomTranslation',
  'RandomZoom',
  'RandomContrast',
  'RandomBrightness',
  'StochasticDepth',
  'FixedDropout',
];

/** Layers that treat all features alike, in whatever order they come. */
const ANY_ORDER = new Set(['Activation', 'ReLU', 'LeakyReLU', 'ELU', 'Softmax', ...TRAINING]);

/** Layers that take a flattened map in any order: those, and Dense, which orders its weights. */
export const takesFlattened = (className: string): boolean =>
  className === 'Dense' || ANY_ORDER.has(className);

/** Layers that may be called with a number beside a value. */
export const takesNumbers = (className: string): boolean =>
  ['Add', 'Subtract', 'Multiply', 'Divide', 'TrueDivide', 'TFOpLambda'].includes(className);

/** Every class that is understood. */
export const layerTable: ReadonlyMap<string, LayerRow> = new Map<string, LayerRow>([
  ['Conv2D', conv2d],
  ['Convolution2D', conv2d],
  ['DepthwiseConv2D', depthwiseConv2d],
  ['SeparableConv2D', separableConv2d],
  ['Conv2DTranspose', conv2dTranspose],
  ['Dense', dense],
  ['BatchNormalization', batchNormalization],
  ['BatchNormalizationV1', batchNormalization],
  ['SyncBatchNormalization', batchNormalization],
  ['LayerNormalization', layerNormalization],
  ['Rescaling', rescaling],
  ['Normalization', normalization],
  ['MaxPooling2D', maxPooling2d],
  ['AveragePooling2D', averagePooling2d],
  ['GlobalAveragePooling2D', globalPooling('globalAvgPool', ops.globalAvgPool)],
  ['GlobalMaxPooling2D', globalPooling('globalMaxPool', ops.globalMaxPool)],
  ['Add', ADD],
  ['Subtract', SUBTRACT],
  ['Multiply', MULTIPLY],
  ['Divide', DIVIDE],
  ['TrueDivide', DIVIDE],
  ['TFOpLambda', tfFunction],
  ['LayerScale', layerScale],
  ['CustomScaleLayer', scaledSum],
  ['Maximum', merging('max', ops.maximum)],
  ['Minimum', merging('min', ops.minimum)],
  ['Average', merging('average', ops.add, (x, n) => ops.scale(x, 1 / n))],
  ['Concatenate', concatenate],
  ['Flatten', flatten],
  ['Reshape', reshape],
  ['Permute', permute],
  ['ZeroPadding2D', padding('pad', 'padding', 1)],
  ['Cropping2D', padding('crop', 'cropping', -1)],
  ['UpSampling2D', upSampling2d],
  ['Resizing', resizing],
  ['Activation', activationLayer],
  ['ReLU', named('ReLU')],
  ['LeakyReLU', named('LeakyReLU')],
  ['ELU', named('ELU')],
  ['Softmax', named('Softmax')],
  ['PReLU', prelu],
  ...TRAINING.map((name) => [name, identity] as const),
]);
