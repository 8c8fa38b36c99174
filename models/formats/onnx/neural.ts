// ONNX's layers: convolution, pooling, matrix products, normalisation, softmax. Over one or two spatial axes; one is
// seen as two, the first of size 1.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import * as layers from '../../layers.ts';
import { FormatError } from '../errors.ts';
import { axisOf, type Builder, type Call, type Computed, choose, isConstant, type Value } from './call.ts';
import { broadcastTo, type Constant, map, reshape, transpose } from './constant.ts';
import { einsum } from './einsum.ts';

type Pair = readonly [y: number, x: number];
type Sides = readonly [top: number, left: number, bottom: number, right: number];

/** How a window moves over a plane. */
interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Padding for an input of some size: SAME depends on it. */
  readonly padding: (size: Pair) => Sides;
  /** For people. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

const spatialRank = (x: Value): number => {
  const rank = x.shape.length - 2;
  if (rank === 1 || rank === 2) return rank;
  throw new FormatError(`it works on [${x.shape.join(', ')}]; one or two spatial axes are supported`);
};

const pairOf = (name: string, given: readonly number[], rank: number): Pair => {
  if (given.length !== rank || !given.every(Number.isInteger)) {
    throw new FormatError(`${name} [${given.join(', ')}] for ${rank} spatial axes`);
  }
  return rank === 1 ? [1, given[0]!] : [given[0]!, given[1]!];
};

const sizeOf = (x: Tensor): Pair => [x.shape[2]!, x.shape[3]!];

function windowOf(call: Call, rank: number, kernelOf: readonly number[] | undefined): Window {
  const list = (name: string, otherwise: number) =>
    pairOf(name, call.ints(name) ?? new Array(rank).fill(otherwise), rank);
  const shape = call.ints('kernel_shape') ?? kernelOf;
  if (shape === undefined) throw new FormatError('it has no kernel_shape');
  const kernel = pairOf('kernel_shape', shape, rank);
  const [stride, dilation] = [list('strides', 1), list('dilations', 1)];
  const automatic = call.text('auto_pad', 'NOTSET');
  const pads = call.ints('pads') ?? new Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank) throw new FormatError(`pads [${pads.join(', ')}] for ${rank} spatial axes`);
  const [top, left] = pairOf('pads', pads.slice(0, rank), rank);
  const [bottom, right] = pairOf('pads', pads.slice(rank), rank);
  // A lone axis gets a leading one, which is never padded.
  const fixed: Sides = rank === 1 ? [0, left, 0, right] : [top, left, bottom, right];
  const same = (size: Pair): Sides => {
    const total = [0, 1].map((i) => {
      const reach = dilation[i]! * (kernel[i]! - 1) + 1;
      return Math.max(0, (Math.ceil(size[i]! / stride[i]!) - 1) * stride[i]! + reach - size[i]!);
    });
    const less = total.map((n) => Math.floor(n / 2));
    const more = total.map((n, i) => n - less[i]!);
    return automatic === 'SAME_UPPER'
      ? [less[0]!, less[1]!, more[0]!, more[1]!]
      : [more[0]!, more[1]!, less[0]!, less[1]!];
  };
  const paddings: Readonly<Record<string, (size: Pair) => Sides>> = {
    NOTSET: () => fixed,
    '': () => fixed,
    VALID: () => [0, 0, 0, 0],
    SAME_UPPER: same,
    SAME_LOWER: same,
  };
  const padding = choose(paddings, 'auto_pad', automatic);
  const shown = automatic.startsWith('SAME') ? automatic : padding([1, 1]);
  return { kernel, stride, dilation, padding, attributes: { kernel, stride, padding: shown, dilation } };
}

/** Runs f on planes: a lone spatial axis gets one of size 1 before it, and loses it again. */
function onPlanes(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  if (x.shape.length !== 3) return f(x);
  const y = f(plane(x));
  return ops.reshape(y, [y.shape[0]!, y.shape[1]!, y.shape[3]!]);
}

/** [a, b, n] as [a, b, 1, n]. */
const plane = (x: Tensor): Tensor =>
  x.shape.length === 3 ? ops.reshape(x, [x.shape[0]!, x.shape[1]!, 1, x.shape[2]!]) : x;

const conv: Builder = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  const rank = spatialRank(x);
  if (weight.shape.length !== rank + 2) {
    throw new FormatError(`weights [${weight.shape.join(', ')}] for ${rank} spatial axes`);
  }
  const window = windowOf(call, rank, weight.shape.slice(2));
  const groups = call.int('group', 1);
  const { kernel, stride, dilation } = window;
  if (rank === 2 && !isConstant(x) && isConstant(weight) && isKnownOrAbsent(bias)) {
    const [out, inOfGroup] = weight.shape as [number, number];
    const padding = window.padding([x.shape[2]!, x.shape[3]!]);
    const spec = { in: inOfGroup * groups, out, kernel, stride, padding, dilation, groups };
    return call.layer([x], { weight, bias }, (name, input) => layers.conv(name, input, spec));
  }
  return call.apply({
    kind: `conv${rank}d`,
    operands: { x, weight, bias },
    device: (t, w, b) =>
      onPlanes(t!, (p) => {
        const options = { stride, dilation, groups, padding: window.padding(sizeOf(p)) };
        return ops.conv2d(p, plane(w!), options, { bias: b });
      }),
    attributes: { ...window.attributes, groups },
  });
};

const isKnownOrAbsent = (value: Value | undefined): value is Constant | undefined =>
  value === undefined || isConstant(value);

const convTranspose: Builder = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  const rank = spatialRank(x);
  const window = windowOf(call, rank, weight.shape.slice(2));
  const groups = call.int('group', 1);
  const { kernel, stride, dilation } = window;
  const list = (name: string, otherwise: number) =>
    pairOf(name, call.ints(name) ?? new Array(rank).fill(otherwise), rank);
  const extra: Pair = call.ints('output_padding') ? list('output_padding', 0) : [0, 0];
  const wanted = call.ints('output_shape')?.slice(-rank);
  const automatic = call.text('auto_pad', 'NOTSET');
  const same = automatic.startsWith('SAME');
  const geometry = (size: Pair): { output: Pair; padding: Sides } => {
    const whole = [0, 1].map(
      (i) => stride[i]! * (size[i]! - 1) + extra[i]! + dilation[i]! * (kernel[i]! - 1) + 1,
    ) as [number, number];
    if (wanted === undefined && !same) {
      const padding = window.padding(size);
      return { output: [whole[0] - padding[0] - padding[2], whole[1] - padding[1] - padding[3]], padding };
    }
    const output: Pair = wanted
      ? pairOf('output_shape', wanted, rank)
      : [size[0] * stride[0], size[1] * stride[1]];
    const total = [0, 1].map((i) => whole[i]! - output[i]!);
    const less = total.map((n) => Math.trunc(n / 2));
    const more = total.map((n, i) => n - less[i]!);
    const padding: Sides =
      automatic === 'SAME_UPPER' || total.some((n) => n < 0)
        ? [less[0]!, less[1]!, more[0]!, more[1]!]
        : [more[0]!, more[1]!, less[0]!, less[1]!];
    return { output, padding };
  };
  return call.apply({
    kind: 'convTranspose',
    operands: { x, weight, bias },
    device: (t, w, b) =>
      onPlanes(t!, (p) => {
        const { output, padding } = geometry(sizeOf(p));
        if (output.some((n) => !(n > 0))) throw new FormatError(`its result would be [${output.join(', ')}]`);
        const y = ops.convTranspose2d(p, plane(w!), output, { stride, dilation, groups, padding });
        return b ? ops.addBias(y, b) : y;
      }),
    attributes: { ...window.attributes, groups },
  });
};

/** Each element's index in the whole tensor, as ONNX counts indices of a max pooling. */
function places(x: Tensor, columnMajor: boolean): Tensor {
  const [, , height, width] = x.shape as [number, number, number, number];
  // Indices are float32 on the device.
  if (x.size > 2 ** 24) throw new FormatError(`indices into ${x.size} elements are not supported`);
  const area = height * width;
  const numbers = Float32Array.from({ length: x.device.commands ? x.size : 0 }, (_, i) => {
    const at = i % area;
    return columnMajor ? i - at + (at % width) * height + Math.floor(at / width) : i;
  });
  return x.device.commands ? ops.tensor(x.device, numbers, x.shape) : ops.placeholder(x.device, x.shape);
}

const maxPool: Builder = (call) => {
  const x = call.input(0);
  const window = windowOf(call, spatialRank(x), undefined);
  const { kernel, stride, dilation } = window;
  const ceilMode = call.int('ceil_mode', 0) !== 0;
  const columnMajor = call.int('storage_order', 0) !== 0;
  const padding = (p: Tensor) => (ceilMode ? window.padding(sizeOf(p)) : reached(window, sizeOf(p)));
  const options = (p: Tensor) => ({ kernel, stride, dilation, ceilMode, padding: padding(p) });
  const attributes = { ...window.attributes, ceilMode };
  const y = call.apply({
    kind: 'maxPool',
    operands: { x },
    device: (t) => onPlanes(t!, (p) => ops.maxPool2d(p, options(p))),
    attributes,
  });
  if (!call.wants(1)) return y;
  const indices = call.apply({
    kind: 'maxPoolIndices',
    operands: { x },
    device: (t) => onPlanes(t!, (p) => ops.maxPoolSelect(p, places(p, columnMajor), options(p))),
    type: 'int',
    attributes,
    part: 'indices',
  });
  return [y, indices];
};

/** Sides without the end that no window reaches, which some exporters pad for the sake of rounding up. */
function reached({ kernel, stride, dilation, padding }: Window, size: Pair): Sides {
  const sides = padding(size);
  const after = [0, 1].map((i) => {
    const free = size[i]! + sides[i]! + sides[2 + i]! - dilation[i]! * (kernel[i]! - 1) - 1;
    return Math.max(0, sides[2 + i]! - (free > 0 ? free % stride[i]! : 0));
  });
  return [sides[0], sides[1], after[0]!, after[1]!];
}

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
  const rank = spatialRank(x);
  const window = windowOf(call, rank, undefined);
  const { kernel, stride, dilation } = window;
  if (dilation.some((n) => n !== 1)) throw new FormatError('dilated average pooling is not supported');
  const ceilMode = call.int('ceil_mode', 0) !== 0;
  const countIncludePad = call.int('count_include_pad', 0) !== 0;
  const size = x.shape.slice(2);
  const padding = window.padding(rank === 1 ? [1, size[0]!] : [size[0]!, size[1]!]);
  const coversAll = kernel.slice(2 - rank).every((n, i) => n === size[i]) && padding.every((n) => n === 0);
  if (coversAll) return globalPool('globalAvgPool', ops.mean)(call);
  return call.apply({
    kind: 'avgPool',
    operands: { x },
    device: (t) =>
      onPlanes(t!, (p) =>
        ops.avgPool2d(p, {
          kernel,
          stride,
          ceilMode,
          countIncludePad,
          padding: ceilMode ? window.padding(sizeOf(p)) : reached(window, sizeOf(p)),
        }),
      ),
    attributes: { ...window.attributes, ceilMode, countIncludePad },
  });
};

/** Over every spatial axis, which stay with size 1. */
const globalPool =
  (kind: string, device: (x: Tensor, axes: readonly number[], keep: boolean) => Tensor): Builder =>
  (call) =>
    call.apply({
      kind,
      operands: { x: call.input(0) },
      device: (x) => device(x!, spatialAxes(x!), true),
    });

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

/** x minus its mean over some axes, and 1 / its deviation there. */
function standardise(x: Tensor, axes: readonly number[], epsilon: number) {
  const mean = ops.mean(x, axes, true);
  const centred = ops.sub(x, mean);
  const variance = ops.mean(ops.mul(centred, centred), axes, true);
  const inverse = ops.reciprocal(ops.sqrt(ops.affine(variance, 1, epsilon)));
  return { mean, inverse, output: ops.mul(centred, inverse) };
}

const instanceNorm: Builder = (call) => {
  const epsilon = call.float('epsilon', 1e-5);
  return call.apply({
    kind: 'instanceNorm',
    operands: { x: call.input(0), weight: call.input(1), bias: call.input(2) },
    device: (x, weight, bias) =>
      ops.scaleShift(standardise(x!, spatialAxes(x!), epsilon).output, weight!, bias!),
    attributes: { epsilon },
  });
};

/** Over the axes from `axis` on (Ba 2016); mean and inverse deviation are further outputs. */
const layerNorm: Builder = (call) => {
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
      if ([weight!, bias ?? weight!].some((own) => own.shape.length > tail.length)) {
        const scaled = ops.mul(standardise(t!, axes, epsilon).output, weight!);
        return bias ? ops.add(scaled, bias) : scaled;
      }
      const row = (own: Tensor) => ops.reshape(ops.broadcastTo(own, tail), [ops.sizeOf(tail)]);
      const rows = ops.reshape(t!, [...t!.shape.slice(0, axis), ops.sizeOf(tail)]);
      const shift = bias ?? ops.full(t!.device, [1], 0);
      return ops.reshape(ops.layerNorm(rows, row(weight!), row(shift), epsilon), t!.shape);
    },
    attributes: { axis, epsilon },
  });
  const statistic = (part: 'mean' | 'inverse') =>
    call.apply({
      kind: 'statistic',
      operands: { x },
      device: (t) => standardise(t!, axes, epsilon)[part],
      part,
    });
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
function matmul(a: Tensor, b: Tensor): Tensor {
  const left = a.shape.length === 1 ? ops.reshape(a, [1, -1]) : a;
  const right = b.shape.length === 1 ? ops.reshape(b, [-1, 1]) : b;
  const [p, q] = [left.shape.slice(0, -2), right.shape.slice(0, -2)];
  const batch = ops.broadcastShape('matmul', p, q);
  // The engine shares a factor with the whole batch or with none of it.
  const wide = (x: Tensor, own: readonly number[]) =>
    ops.sizeOf(own) === 1 || ops.sizeOf(own) === ops.sizeOf(batch)
      ? x
      : ops.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
  const y = ops.matmul(wide(left, p), wide(right, q));
  const shape = [...y.shape.slice(0, -2)];
  if (a.shape.length > 1) shape.push(y.shape.at(-2)!);
  if (b.shape.length > 1) shape.push(y.shape.at(-1)!);
  return ops.reshape(y, shape);
}

/** x [N, I] weight [O, I]^T (+ bias [O]): the layer that CAM's head is made of. */
function linear(call: Call, x: Computed, weight: Constant, bias: Constant | undefined): Value {
  const [out, inputs] = weight.shape as [number, number];
  const spec = { in: inputs, out, bias: bias !== undefined };
  return call.layer([x], { weight, bias }, (name, input) => layers.linear(name, input, spec));
}

const matMul: Builder = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  if (!isConstant(a) && isConstant(b) && a.shape.length === 2 && b.shape.length === 2) {
    return linear(
      call,
      a,
      call.fold(() => transpose(b, [1, 0]), b),
      undefined,
    );
  }
  return call.apply({ kind: 'matmul', operands: { x: a, weight: b }, device: (x, w) => matmul(x!, w!) });
};

/** alpha A B + beta C, A and B perhaps transposed. */
const gemm: Builder = (call) => {
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
function softmax(kind: string, device: (x: Tensor, axis: number) => Tensor): Builder {
  return (call) => {
    const x = call.input(0);
    const old = call.opset < 13;
    const axis = axisOf(call.int('axis', old ? 1 : -1), x.shape.length);
    const along = (t: Tensor) => {
      if (!old || axis === t.shape.length - 1) return device(t, axis);
      const flat = ops.reshape(t, [ops.sizeOf(t.shape.slice(0, axis)), -1]);
      return ops.reshape(device(flat, 1), t.shape);
    };
    return call.apply({ kind, operands: { x }, device: (t) => along(t!), attributes: { axis } });
  };
}

export const neural: Readonly<Record<string, Builder>> = {
  Conv: conv,
  Einsum: einsum,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalPool('globalAvgPool', ops.mean),
  GlobalMaxPool: globalPool('globalMaxPool', ops.max),
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  LayerNormalization: layerNorm,
  LRN: localResponse,
  MatMul: matMul,
  Gemm: gemm,
  Softmax: softmax('softmax', ops.softmax),
  LogSoftmax: softmax('logSoftmax', ops.logSoftmax),
};
