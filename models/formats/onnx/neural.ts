// ONNX's layers: convolution, pooling, matrix products, normalisation, softmax. Over one or two spatial axes; one is
// seen as two, the first of size 1.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import type { GraphNode } from '../../graph.ts';
import type { Pair, Sides, SizedPadding } from '../../layers.ts';
import * as layers from '../../layers.ts';
import { broadcastTo, type Constant, map, reshape, transpose } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf, halves, samePadding, turned, type Window } from '../kit.ts';
import {
  type Builder,
  type Call,
  type Computed,
  choose,
  isConstant,
  productOf,
  type Step,
  type Value,
} from './call.ts';
import { einsum } from './einsum.ts';

/** How a window moves over a plane. */
interface Moves extends Window {
  readonly padding: Sides | SizedPadding;
}

const spatialRank = (x: Value): number => {
  const rank = x.shape.length - 2;
  if (rank === 1 || rank === 2) return rank;
  throw new FormatError(`it works on [${x.shape.join(', ')}]; one or two spatial axes are supported`);
};

const pairOf = (name: string, given: readonly number[], rank: number): Pair => {
  if (given.length !== rank || !given.every(Number.isInteger)) {
    throw new FormatError(`its ${name} [${given.join(', ')}] are not one for each of ${rank} spatial axes`);
  }
  return rank === 1 ? [1, given[0]!] : [given[0]!, given[1]!];
};

function movesOf(call: Call, rank: number, kernelOf: readonly number[] | undefined): Moves {
  const list = (name: string, otherwise: number) =>
    pairOf(name, call.ints(name) ?? new Array(rank).fill(otherwise), rank);
  const shape = call.ints('kernel_shape') ?? kernelOf;
  if (shape === undefined) throw new FormatError('it has no kernel_shape');
  const kernel = pairOf('kernel_shape', shape, rank);
  const window = { kernel, stride: list('strides', 1), dilation: list('dilations', 1) };
  const pads = call.ints('pads') ?? new Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank)
    throw new FormatError(`its pads [${pads.join(', ')}] are not two for each of ${rank} spatial axes`);
  // A lone axis gets a leading one, which is never padded.
  const [top, left, bottom, right] = rank === 1 ? [0, pads[0]!, 0, pads[1]!] : (pads as unknown as Sides);
  const padding = choose<Moves['padding']>(
    {
      '': [top, left, bottom, right],
      NOTSET: [top, left, bottom, right],
      VALID: [0, 0, 0, 0],
      SAME_UPPER: samePadding(window),
      SAME_LOWER: samePadding(window, true),
    },
    'auto_pad',
    call.text('auto_pad', 'NOTSET'),
  );
  return { ...window, padding };
}

const sidesFor = ({ padding }: Moves, size: Pair): Sides => ('of' in padding ? padding.of(size) : padding);

/** [a, b, n] as [a, b, 1, n]. */
const plane = (x: Tensor): Tensor =>
  x.shape.length === 3 ? ops.reshape(x, [x.shape[0]!, x.shape[1]!, 1, x.shape[2]!]) : x;

/**
 * A layer over planes where its parameters are known. Otherwise, and for [N, C, W], which the layer sees as [N, C, 1, W],
 * a node that computes the same.
 */
function overPlanes(
  call: Call,
  { x, ...parameters }: { readonly x: Value; readonly [role: string]: Value | undefined },
  make: (name: string, input: string) => GraphNode,
  more: Pick<Step, 'part' | 'type'> = {},
): Value {
  const areConstant = Object.values(parameters).every((value) => value === undefined || isConstant(value));
  if (x.shape.length === 4 && areConstant && !isConstant(x) && more.part === undefined) {
    return call.layer([x], parameters as Readonly<Record<string, Constant | undefined>>, make);
  }
  const { kind, attributes, run } = make('', '');
  const roles = Object.keys(parameters);
  return call.apply({
    kind,
    attributes,
    operands: { x, ...parameters },
    device: (t, ...weights) => {
      const given = roles.flatMap((role, i) => (weights[i] ? [[role, plane(weights[i])] as const] : []));
      const y = run([plane(t!)], { parameters: Object.fromEntries(given) });
      return t!.shape.length === 3 ? ops.reshape(y, [y.shape[0]!, y.shape[1]!, y.shape[3]!]) : y;
    },
    ...more,
  });
}

export const conv: Builder = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  const rank = spatialRank(x);
  if (weight.shape.length !== rank + 2) {
    throw new FormatError(
      `its weights [${weight.shape.join(', ')}] do not fit an input of ${rank} spatial axes; expected ${rank + 2} axes`,
    );
  }
  const groups = call.int('group', 1);
  const [out, inOfGroup] = weight.shape as [number, number];
  const spec = { ...movesOf(call, rank, weight.shape.slice(2)), in: inOfGroup * groups, out, groups };
  return overPlanes(call, { x, weight, bias }, (name, input) =>
    layers.conv(name, input, { ...spec, bias: bias !== undefined }),
  );
};

const convTranspose: Builder = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  const rank = spatialRank(x);
  const moves = movesOf(call, rank, weight.shape.slice(2));
  const { kernel, stride, dilation } = moves;
  const extra: Pair = call.ints('output_padding')
    ? pairOf('output_padding', call.ints('output_padding')!, rank)
    : [0, 0];
  const wanted = call.ints('output_shape')?.slice(-rank);
  const automatic = call.text('auto_pad', 'NOTSET');
  const geometry = (size: Pair): { output: Pair; padding: Sides } => {
    const along = (f: (axis: 0 | 1) => number): Pair => [f(0), f(1)];
    const whole = along((i) => stride[i] * (size[i] - 1) + extra[i] + dilation[i] * (kernel[i] - 1) + 1);
    if (wanted === undefined && !automatic.startsWith('SAME')) {
      const padding = sidesFor(moves, size);
      return { output: along((i) => whole[i] - padding[i] - padding[2 + i]!), padding };
    }
    const output = wanted ? pairOf('output_shape', wanted, rank) : along((i) => size[i] * stride[i]);
    const total = along((i) => whole[i] - output[i]);
    const upper = automatic === 'SAME_UPPER' || total.some((n) => n < 0);
    return { output, padding: upper ? halves(total) : turned(halves(total)) };
  };
  const checked: typeof geometry = (size) => {
    const found = geometry(size);
    if (found.output.every((n) => n > 0)) return found;
    throw new FormatError(
      `its result would be [${found.output.join(', ')}]; the kernel is larger than the padded input`,
    );
  };
  const groups = call.int('group', 1);
  const [channels, outOfGroup] = weight.shape as [number, number];
  const spec = { ...moves, in: channels, out: outOfGroup * groups, groups, geometry: checked };
  return overPlanes(call, { x, weight, bias }, (name, input) =>
    layers.convTranspose(name, input, { ...spec, bias: bias !== undefined }),
  );
};

/** Each element's index in the whole tensor, as ONNX counts indices of a max pooling. */
function places(x: Tensor, columnMajor: boolean): Tensor {
  const [, , height, width] = x.shape as [number, number, number, number];
  // Indices are float32 on the device.
  if (x.size > 2 ** 24)
    throw new FormatError(
      `its second output, indices into ${x.size} elements, is not supported; 2^24 elements at most`,
    );
  const area = height * width;
  const numbers = Float32Array.from({ length: x.device.commands ? x.size : 0 }, (_, i) => {
    const at = i % area;
    return columnMajor ? i - at + (at % width) * height + Math.floor(at / width) : i;
  });
  return x.device.commands ? ops.tensor(x.device, numbers, x.shape) : ops.placeholder(x.device, x.shape);
}

/** How a pooling's window moves, without the end of a padding that no window reaches, which some exporters pad. */
function poolOf(call: Call, x: Value) {
  const moves = movesOf(call, spatialRank(x), undefined);
  const { kernel, stride, dilation, padding } = moves;
  const ceilMode = call.int('ceil_mode', 0) !== 0;
  if (ceilMode || 'of' in padding || padding[2] + padding[3] === 0) return { ...moves, ceilMode };
  const of = (size: Pair): Sides => {
    const after = (i: 0 | 1) => {
      const free = size[i] + padding[i] + padding[2 + i]! - dilation[i] * (kernel[i] - 1) - 1;
      return Math.max(0, padding[2 + i]! - (free > 0 ? free % stride[i] : 0));
    };
    return [padding[0], padding[1], after(0), after(1)];
  };
  return { ...moves, ceilMode, padding: { of, shown: padding } };
}

const maxPool: Builder = (call) => {
  const x = call.input(0);
  const spec = poolOf(call, x);
  const y = overPlanes(call, { x }, (name, input) => layers.maxPool(name, input, spec));
  if (!call.wants(1)) return y;
  const columnMajor = call.int('storage_order', 0) !== 0;
  const select = (name: string, input: string) =>
    layers.plain(name, 'maxPoolIndices', [input], (p) =>
      ops.maxPoolSelect(p, places(p, columnMajor), {
        ...spec,
        padding: sidesFor(spec, [p.shape[2]!, p.shape[3]!]),
      }),
    );
  return [y, overPlanes(call, { x }, select, { part: 'indices', type: 'int' })];
};

/** A mean over a third axis of space alone, which is how PyTorch writes local response normalisation. */
const averageOfDepth: Builder = (call) => {
  const lists = [
    call.ints('kernel_shape') ?? [],
    call.ints('strides') ?? [1, 1, 1],
    call.ints('pads')?.slice(0, 3) ?? [0, 0, 0],
    call.ints('pads')?.slice(3) ?? [0, 0, 0],
  ];
  const still = [1, 1, 0, 0];
  const plain = call.text('auto_pad', 'NOTSET') === 'NOTSET' && call.int('ceil_mode', 0) === 0;
  if (!plain || lists.some((list, i) => list.length !== 3 || list[1] !== still[i] || list[2] !== still[i])) {
    throw new FormatError('pooling over three axes of space is not supported');
  }
  const [kernel, stride, before, after] = lists.map(([depth]) => depth!) as [number, number, number, number];
  const countIncludePad = call.int('count_include_pad', 0) !== 0;
  return call.apply({
    kind: 'avgPool',
    operands: { x: call.input(0) },
    device: (t) => {
      const [batch, channels, depth, ...plane] = t!.shape as [number, number, number, ...number[]];
      const y = ops.avgPool2d(ops.reshape(t!, [batch, channels, depth, -1]), {
        kernel: [kernel, 1],
        stride: [stride, 1],
        padding: [before, 0, after, 0],
        countIncludePad,
      });
      return ops.reshape(y, [batch, channels, y.shape[2]!, ...plane]);
    },
    attributes: { kernel: lists[0], stride: lists[1], countIncludePad },
  });
};

const averagePool: Builder = (call) => {
  const x = call.input(0);
  if (x.shape.length === 5) return averageOfDepth(call);
  const { dilation, ...spec } = poolOf(call, x);
  if (dilation.some((n) => n !== 1)) throw new FormatError('dilated average pooling is not supported');
  const countIncludePad = call.int('count_include_pad', 0) !== 0;
  return overPlanes(call, { x }, (name, input) => layers.avgPool(name, input, { ...spec, countIncludePad }));
};

/** Over every spatial axis, which stay with size 1. */
const globalPool =
  (
    layer: typeof layers.globalAvgPool,
    device: (x: Tensor, axes: readonly number[], keep: boolean) => Tensor,
  ): Builder =>
  (call) => {
    const x = call.input(0);
    if (x.shape.length === 4 && !isConstant(x)) {
      return call.layer([x], {}, (name, input) => layer(name, input, true));
    }
    return call.apply({
      kind: 'globalPool',
      operands: { x },
      device: (t) => device(t!, spatialAxes(t!), true),
    });
  };

const spatialAxes = (x: Tensor): number[] => x.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]));

const batchNorm: Builder = (call) => {
  if (call.int('training_mode', 0) !== 0 || (call.opset < 14 && call.outputs > 1)) {
    throw new FormatError('batch normalisation in training mode is not supported');
  }
  if (call.int('spatial', 1) === 0)
    throw new FormatError('statistics of each pixel (spatial = 0) are not supported');
  const [x, weight, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => call.input(i));
  const epsilon = call.float('epsilon', 1e-5);
  if (!isConstant(x!) && [weight, bias, mean, variance].every((value) => isConstant(value!))) {
    const parameters = { weight, bias, mean, variance } as Record<string, Constant>;
    return call.layer([x!], parameters, (name, input) =>
      layers.batchNorm(name, input, x!.shape[1] ?? 0, epsilon),
    );
  }
  return call.apply({
    kind: 'batchNormalization',
    operands: { x, weight, bias, mean, variance },
    device: (t, w, b, m, v) => ops.batchNorm(t!, { weight: w!, bias: b!, mean: m!, variance: v! }, epsilon),
    attributes: { epsilon },
  });
};

const instanceNorm: Builder = (call) => {
  const epsilon = call.float('epsilon', 1e-5);
  return call.apply({
    kind: 'instanceNorm',
    operands: { x: call.input(0), weight: call.input(1), bias: call.input(2) },
    device: (x, weight, bias) => ops.scaleShift(ops.standardise(x!, 2, epsilon), weight!, bias!),
    attributes: { epsilon },
  });
};

/** Over groups of channels and every axis of space (Wu 2018); one number a group before opset 21, then one a channel. */
const groupNorm: Builder = (call) => {
  const groups = call.int('num_groups', 1);
  const epsilon = call.float('epsilon', 1e-5);
  const channels = call.input(0).shape[1]!;
  if (channels % groups !== 0) throw new FormatError(`${groups} groups do not divide ${channels} channels`);
  return call.apply({
    kind: 'groupNorm',
    operands: { x: call.input(0), weight: call.input(1), bias: call.input(2) },
    device: (x, weight, bias) => {
      const grouped = ops.reshape(x!, [x!.shape[0]!, groups, -1]);
      const y = ops.reshape(ops.standardise(grouped, 2, epsilon), x!.shape);
      const each = (numbers: Tensor) =>
        numbers.size === channels
          ? numbers
          : ops.reshape(ops.broadcastTo(ops.reshape(numbers, [groups, 1]), [groups, channels / groups]), [
              channels,
            ]);
      return ops.scaleShift(y, each(weight!), each(bias!));
    },
    attributes: { groups, epsilon },
  });
};

/** x / sqrt(mean x^2 + epsilon) weight, over the axes from `axis` on (Zhang 2019). */
const rmsNorm: Builder = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.int('axis', -1), x.shape.length);
  const epsilon = call.float('epsilon', 1e-5);
  const axes = x.shape.flatMap((_, i) => (i < axis ? [] : [i]));
  return call.apply({
    kind: 'rmsNorm',
    operands: { x, weight: call.input(1) },
    device: (t, weight) => {
      const square = ops.mean(ops.mul(t!, t!), axes, true);
      return ops.mul(ops.div(t!, ops.sqrt(ops.affine(square, 1, epsilon))), weight!);
    },
    attributes: { axis, epsilon },
  });
};

/** Over the axes from `axis` on (Ba 2016); mean and inverse deviation are further outputs. */
export const layerNorm: Builder = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.int('axis', -1), x.shape.length);
  const epsilon = call.float('epsilon', 1e-5);
  const axes = x.shape.flatMap((_, i) => (i < axis ? [] : [i]));
  const y = call.apply({
    kind: 'layerNorm',
    operands: { x, weight: call.input(1), bias: call.optional(2) },
    device: (t, weight, bias) => {
      // As rows, where weight and bias are those of a row; they may also have the rank of x.
      const tail = t!.shape.slice(axis);
      if ([weight!, bias ?? weight!].some((numbers) => numbers.shape.length > tail.length)) {
        const scaled = ops.mul(ops.standardise(t!, axis, epsilon), weight!);
        return bias ? ops.add(scaled, bias) : scaled;
      }
      const row = (numbers: Tensor) => ops.reshape(ops.broadcastTo(numbers, tail), [ops.sizeOf(tail)]);
      const rows = ops.reshape(t!, [...t!.shape.slice(0, axis), ops.sizeOf(tail)]);
      const shift = bias ?? ops.full(t!.device, [1], 0);
      return ops.reshape(ops.layerNorm(rows, row(weight!), row(shift), epsilon), t!.shape);
    },
    attributes: { axis, epsilon },
    traits: axis === x.shape.length - 1 ? { standardises: { epsilon } } : {},
  });
  const statistics: Readonly<Record<'mean' | 'inverse', (t: Tensor) => Tensor>> = {
    mean: (t) => ops.mean(t, axes, true),
    inverse: (t) => ops.inverseDeviation(t, axis, epsilon),
  };
  const statistic = (part: 'mean' | 'inverse') =>
    call.apply({ kind: 'statistic', operands: { x }, device: (t) => statistics[part](t!), part });
  return [y, ...(call.wants(1) ? [statistic('mean')] : []), ...(call.wants(2) ? [statistic('inverse')] : [])];
};

/** x / (bias + alpha/size sum of x^2 over neighbouring channels)^beta (Krizhevsky 2012). */
const localResponse: Builder = (call) => {
  const size = call.int('size', 1);
  const [alpha, beta, bias] = [call.float('alpha', 1e-4), call.float('beta', 0.75), call.float('bias', 1)];
  const before = Math.floor((size - 1) / 2);
  return call.apply({
    kind: 'lrn',
    operands: { x: call.input(0) },
    device: (x) => {
      const [batch, channels] = x!.shape as [number, number];
      // Channels as rows of a plane: an average over a window of rows is the sum divided by the size.
      const squares = ops.reshape(ops.mul(x!, x!), [batch, 1, channels, -1]);
      const mean = ops.avgPool2d(squares, {
        kernel: [size, 1],
        stride: [1, 1],
        padding: [before, 0, size - 1 - before, 0],
      });
      const base = ops.affine(ops.reshape(mean, x!.shape), alpha, bias);
      return ops.mul(x!, ops.powScalar(base, -beta));
    },
    attributes: { size, alpha, beta, bias },
  });
};

/** A product as NumPy's matmul: vectors are rows or columns, leading axes broadcast. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const left = a.shape.length === 1 ? ops.reshape(a, [1, -1]) : a;
  const right = b.shape.length === 1 ? ops.reshape(b, [-1, 1]) : b;
  const [p, q] = [left.shape.slice(0, -2), right.shape.slice(0, -2)];
  const batch = ops.broadcastShape('matmul', p, q);
  // The engine shares a factor with the whole batch or with none of it.
  const wide = (x: Tensor, lead: readonly number[]) =>
    ops.sizeOf(lead) === 1 || ops.sizeOf(lead) === ops.sizeOf(batch)
      ? x
      : ops.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
  const y = ops.matmul(wide(left, p), wide(right, q));
  const shape = [...y.shape.slice(0, -2)];
  if (a.shape.length > 1) shape.push(y.shape.at(-2)!);
  if (b.shape.length > 1) shape.push(y.shape.at(-1)!);
  return ops.reshape(y, shape);
}

/** x [N, ..., I] weight [O, I]^T (+ bias [O]): the layer that CAM's head is made of. */
export function linear(call: Call, x: Computed, weight: Constant, bias: Constant | undefined): Value {
  const [out, inputs] = weight.shape as [number, number];
  const spec = { in: inputs, out, bias: bias !== undefined };
  return call.layer([x], { weight, bias }, (name, input) => layers.linear(name, input, spec));
}

export const matMul: Builder = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  if (!isConstant(a) && isConstant(b) && a.shape.length >= 2 && b.shape.length === 2) {
    return linear(
      call,
      a,
      call.fold(() => transpose(b, [1, 0]), b),
      undefined,
    );
  }
  return call.apply({
    kind: 'matmul',
    operands: { x: a, weight: b },
    device: (x, w) => matmul(x!, w!),
    traits: productOf(a, b),
  });
};

/** alpha A B + beta C, A and B perhaps transposed. */
export const gemm: Builder = (call) => {
  const [a, b, c] = [call.input(0), call.input(1), call.optional(2)];
  const [alpha, beta] = [call.float('alpha', 1), call.float('beta', 1)];
  const [turnA, turnB] = [call.int('transA', 0) !== 0, call.int('transB', 0) !== 0];
  if (a.shape.length !== 2 || b.shape.length !== 2) {
    throw new FormatError(`it multiplies [${a.shape.join(', ')}] and [${b.shape.join(', ')}], not matrices`);
  }
  const outputs = b.shape[turnB ? 0 : 1]!;
  const row = c !== undefined && isConstant(c) && c.shape.slice(0, -1).every((n) => n === 1);
  if (!turnA && !isConstant(a) && isConstant(b) && (c === undefined || row)) {
    const scaled = (x: Constant, k: number) =>
      k === 1 ? x : call.fold(() => map(x.type, (n) => k * n, x), x);
    const weight = scaled(turnB ? b : call.fold(() => transpose(b, [1, 0]), b), alpha);
    const whole = c && (c.shape.length === 1 && c.shape[0] === outputs ? c : broadcastTo(c, [1, outputs]));
    const bias = whole && scaled(whole.shape.length === 1 ? whole : reshape(whole, [outputs]), beta);
    return linear(call, a, weight, bias);
  }
  return call.apply({
    kind: 'gemm',
    operands: { x: a, weight: b, bias: c },
    device: (x, w, bias) => {
      const y = ops.matmul(x!, w!, turnA, turnB);
      const product = alpha === 1 ? y : ops.scale(y, alpha);
      return bias ? ops.add(product, ops.scale(bias, beta)) : product;
    },
    attributes: { alpha, beta, transposeA: turnA, transposeB: turnB },
  });
};

/** Along one axis; before opset 13 over everything from `axis` on. */
const softmax =
  (layer: typeof layers.softmax): Builder =>
  (call) => {
    const x = call.input(0);
    const old = call.opset < 13;
    const axis = axisOf(call.int('axis', old ? 1 : -1), x.shape.length);
    const { kind, run, traits } = layer('', '', old ? 1 : axis);
    const flat = (t: Tensor) => ops.reshape(t, [ops.sizeOf(t.shape.slice(0, axis)), -1]);
    const device = (t: Tensor) => {
      const y = run([old ? flat(t) : t], { parameters: {} });
      return old ? ops.reshape(y, t.shape) : y;
    };
    return call.apply({ kind, operands: { x }, device: (t) => device(t!), attributes: { axis }, traits });
  };

export const neural: Readonly<Record<string, Builder>> = {
  Conv: conv,
  Einsum: einsum,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalPool(layers.globalAvgPool, ops.mean),
  GlobalMaxPool: globalPool(layers.globalMaxPool, ops.max),
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  LayerNormalization: layerNorm,
  GroupNormalization: groupNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  LRN: localResponse,
  MatMul: matMul,
  Gemm: gemm,
  Softmax: softmax(layers.softmax),
  LogSoftmax: softmax(layers.logSoftmax),
};
