// ONNX's reductions.

import { largest, least } from '../../../engine/extremes.ts';
import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import type { Constant } from '../constant.ts';
import * as host from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf } from '../kit.ts';
import { type Builder, type Call, choose, listOf, type Step, type Value } from './call.ts';

type Axes = readonly number[];

interface Reduction {
  /** Over axes that stay with size 1. */
  readonly device: (x: Tensor, axes: Axes) => Tensor;
  readonly fold: (values: readonly number[]) => number;
}

const sum = (values: readonly number[]) => values.reduce((total, n) => total + n, 0);
const total = (x: Tensor, axes: Axes) => ops.sum(x, axes, true);
const square = (x: Tensor) => ops.mul(x, x);

/** The product along an axis, by halves: log2(n) products of tensors. */
function product(x: Tensor, axes: Axes): Tensor {
  return axes.reduce((whole, axis) => {
    let y = whole;
    while (y.shape[axis]! > 1) {
      const n = y.shape[axis]!;
      const half = Math.floor(n / 2);
      const pairs = ops.mul(ops.narrow(y, axis, 0, half), ops.narrow(y, axis, half, half));
      y = n % 2 === 0 ? pairs : ops.concat([pairs, ops.narrow(y, axis, n - 1, 1)], axis);
    }
    return y;
  }, x);
}

/** log sum exp, with the maximum taken out so that exp cannot overflow. */
function logSumExp(x: Tensor, axes: Axes): Tensor {
  const most = ops.max(x, axes, true);
  return ops.add(ops.log(total(ops.exp(ops.sub(x, most)), axes)), most);
}

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  Mean: { device: (x, axes) => ops.mean(x, axes, true), fold: (v) => sum(v) / v.length },
  Sum: { device: total, fold: sum },
  Max: { device: (x, axes) => ops.max(x, axes, true), fold: largest },
  Min: { device: (x, axes) => ops.min(x, axes, true), fold: least },
  Prod: { device: product, fold: (v) => v.reduce((a, b) => a * b, 1) },
  L1: { device: (x, axes) => total(ops.abs(x), axes), fold: (v) => sum(v.map(Math.abs)) },
  L2: {
    device: (x, axes) => ops.sqrt(total(square(x), axes)),
    fold: (v) => Math.sqrt(sum(v.map((n) => n * n))),
  },
  LogSum: { device: (x, axes) => ops.log(total(x, axes)), fold: (v) => Math.log(sum(v)) },
  LogSumExp: {
    device: logSumExp,
    fold: (v) => {
      const most = largest(v);
      return most + Math.log(sum(v.map((n) => Math.exp(n - most))));
    },
  },
  SumSquare: { device: (x, axes) => total(square(x), axes), fold: (v) => sum(v.map((n) => n * n)) },
};

/** A step that reduces its input along axes, which stay with size 1 or go, as the file has it. */
function along(
  call: Call,
  axes: Axes,
  {
    device,
    fold,
    ...step
  }: Pick<Step, 'kind' | 'type' | 'traits'> & {
    readonly device: (x: Tensor) => Tensor;
    readonly fold: (x: Constant) => Constant;
  },
): Value {
  const keep = call.int('keepdims', 1) !== 0;
  const without = (shape: readonly number[]) =>
    keep ? shape : shape.filter((_, axis) => !axes.includes(axis));
  return call.apply({
    ...step,
    operands: { x: call.input(0) },
    device: (t) => {
      const y = device(t!);
      return ops.reshape(y, without(y.shape));
    },
    fold: (v) => {
      const y = fold(v!);
      return host.reshape(y, without(y.shape));
    },
    attributes: { axes, keepdims: keep },
  });
}

/** Axes are an attribute, or an input of ReduceSum from opset 13 and of all from 18. */
function reduction(name: string, { device, fold }: Reduction): Builder {
  return (call) => {
    const { shape } = call.input(0);
    const given = listOf(call, 1, 'axes')?.map((axis) => axisOf(axis, shape.length)) ?? [];
    const all = given.length === 0 && call.int('noop_with_empty_axes', 0) === 0;
    const axes = all ? shape.map((_, axis) => axis) : [...new Set(given)].sort((a, b) => a - b);
    if (['Max', 'Min'].includes(name) && axes.some((axis) => shape[axis] === 0)) {
      throw new FormatError(
        `its input [${shape.join(', ')}] is empty; there is no largest or smallest of it`,
      );
    }
    return along(call, axes, {
      kind: `reduce${name}`,
      device: (t) => (axes.length === 0 ? t : device(t, axes)),
      fold: (v) => (axes.length === 0 ? v : host.reduce(v, axes, fold)),
      ...(name === 'Mean' && { traits: { mean: () => axes } }),
    });
  };
}

/** The index of the largest element, a float32 on the device: the first of equals, or the last. */
const argMax: Builder = (call) => {
  const { shape } = call.input(0);
  const axis = axisOf(call.int('axis', 0), shape.length);
  const last = call.int('select_last_index', 0) !== 0;
  const n = shape[axis]!;
  if (n === 0) throw new FormatError(`its input [${shape.join(', ')}] is empty; there is no largest of it`);
  call.charge(n);
  return along(call, [axis], {
    kind: 'argMax',
    type: 'int',
    device: (t) => {
      const [size, line] = [t.shape[axis]!, t.shape.map((_, i) => (i === axis ? t.shape[axis]! : 1))];
      host.checkedCount([size]);
      // Each place's rank from the end that loses ties, counted from 1: the highest rank among the largest wins.
      const ranks = Float32Array.from({ length: size }, (_, i) => (last ? i + 1 : size - i));
      const isLargest = ops.equal(t, ops.max(t, [axis], true));
      const best = ops.max(ops.mul(isLargest, ops.tensor(t.device, ranks, line)), [axis], true);
      return last ? ops.affine(best, 1, -1) : ops.affine(best, -1, size);
    },
    fold: (v) =>
      host.reduce({ ...v, type: 'int' }, [axis], (values) =>
        last ? values.lastIndexOf(largest(values)) : values.indexOf(largest(values)),
      ),
  });
};

/** x over its norm along an axis; what has none stays 0. */
const lpNormalization: Builder = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.int('axis', -1), x.shape.length);
  const norm = choose(
    { 1: REDUCTIONS.L1!, 2: REDUCTIONS.L2! },
    'normalisation by p =',
    String(call.int('p', 2)),
  );
  return call.apply({
    kind: 'lpNormalization',
    operands: { x },
    device: (t) => {
      const length = norm.device(t!, [axis]);
      return ops.div(t!, ops.add(length, ops.equal(length, ops.full(t!.device, [], 0))));
    },
    attributes: { axis },
  });
};

export const reductions: Readonly<Record<string, Builder>> = {
  ...Object.fromEntries(
    Object.entries(REDUCTIONS).map(([name, one]) => [`Reduce${name}`, reduction(name, one)] as const),
  ),
  ArgMax: argMax,
  LpNormalization: lpNormalization,
};
