// Operators that occur in arithmetic on shapes and in the making of masks: they are computed when the file is read, and
// refused where their inputs depend on the picture.

import { sizeOf } from '../../../engine/index.ts';
import { type Constant, checkedIndices, constant, map, type NumberType, stridesOf } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf } from '../kit.ts';
import type { Builder, Call } from './call.ts';
import { ELEMENT_TYPES } from './tensors.ts';

const needed = (call: Call, index: number): Constant => {
  call.input(index);
  return call.constant(index)!;
};

/** f of each element, or of each pair of broadcast ones. */
const elementwise =
  (arity: 1 | 2, f: (...values: number[]) => number, type?: NumberType): Builder =>
  (call) => {
    const inputs = [0, 1].slice(0, arity).map((index) => needed(call, index));
    return call.fold(() => map(type ?? inputs[0]!.type, f, ...inputs), ...inputs);
  };

/** The remainder has the divisor's sign, or with fmod = 1 the dividend's. */
const mod: Builder = (call) => {
  const fmod = call.int('fmod', 0) !== 0;
  return elementwise(2, (a, b) => (fmod ? a % b : a - b * Math.floor(a / b)))(call);
};

/** A copy in which the slices that `indices` [..., k] name by their first k coordinates are replaced. */
const scatterND: Builder = (call) => {
  if (call.text('reduction', 'none') !== 'none') throw new FormatError('its reduction is not supported');
  const [data, indices, updates] = [0, 1, 2].map((index) => needed(call, index)) as [
    Constant,
    Constant,
    Constant,
  ];
  const depth = indices.shape.at(-1) ?? 0;
  const strides = stridesOf(data.shape).slice(0, depth);
  const size = data.shape.slice(depth).reduce((product, n) => product * n, 1);
  const count = indices.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  if (depth > data.shape.length || updates.data.length !== count * size) {
    throw new FormatError(`updates [${updates.shape.join(', ')}] do not fit [${data.shape.join(', ')}]`);
  }
  const scatter = () => {
    const result = constant(data.type, data.shape, data.data);
    for (let i = 0; i < count; i++) {
      const place = strides.reduce((sum, stride, axis) => {
        const one = indices.data.subarray(i * depth + axis, i * depth + axis + 1);
        const [index] = checkedIndices({ ...indices, data: one }, data.shape[axis]!);
        return sum + stride * index!;
      }, 0);
      result.data.set(updates.data.subarray(i * size, (i + 1) * size), place);
    }
    return result;
  };
  return call.fold(scatter, data, indices, updates);
};

/** Curves by which sizes become embeddings of places; each operator is called as its function, with a capital. */
const { sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh } = Math;
const CURVES = [sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh];

const isInf: Builder = (call) => {
  const [negative, positive] = ['detect_negative', 'detect_positive'].map((name) => call.int(name, 1) !== 0);
  const holds = (x: number) =>
    (positive && x === Number.POSITIVE_INFINITY) || (negative && x === Number.NEGATIVE_INFINITY);
  return elementwise(1, (x) => Number(holds(x)), 'bool')(call);
};

/** Halves go to the even neighbour. */
const roundToEven = (x: number): number => {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2 === 0 ? 0 : 1) : Math.round(x);
};

/** Coordinates of what is not 0, one column each: [rank, count]. */
const nonZero: Builder = (call) => {
  const x = needed(call, 0);
  return call.fold(() => {
    const found = Array.from(x.data.keys()).filter((i) => x.data[i] !== 0);
    const strides = stridesOf(x.shape);
    const coordinates = strides.flatMap((stride, axis) =>
      found.map((i) => Math.floor(i / stride) % x.shape[axis]!),
    );
    return constant('int', [x.shape.length, found.length], coordinates);
  }, x);
};

/** The triangle above a diagonal, or below it, of each matrix; the rest is 0. */
const trilu: Builder = (call) => {
  const x = needed(call, 0);
  const upper = call.int('upper', 1) !== 0;
  const k = call.constant(1)?.data[0] ?? 0;
  const [rows = 0, columns = 0] = x.shape.slice(-2);
  if (x.shape.length < 2)
    throw new FormatError(`its input [${x.shape.join(', ')}] is no matrix; expected two axes or more`);
  const isKept = (i: number) => {
    const [row, column] = [Math.floor(i / columns) % rows, i % columns];
    return upper ? column - row >= k : column - row <= k;
  };
  return call.fold(() => constant(x.type, x.shape, (i) => (isKept(i) ? x.data[i]! : 0)), x);
};

const eyeLike: Builder = (call) => {
  const { shape, type } = call.input(0);
  const [, columns = 0] = shape;
  const k = call.int('k', 0);
  if (shape.length !== 2)
    throw new FormatError(`its shape [${shape.join(', ')}] is no matrix's; expected two axes`);
  const to = call.attribute('dtype') ? ELEMENT_TYPES.get(call.int('dtype', 1))?.type : type;
  return call.fold(() =>
    constant(to ?? type, shape, (i) => Number((i % columns) - Math.floor(i / columns) === k)),
  );
};

/** Running sums along an axis, from its start or its end, with each place's own number or without. */
const cumSum: Builder = (call) => {
  const x = needed(call, 0);
  const axis = axisOf(needed(call, 1).data[0]!, x.shape.length);
  const [exclusive, reverse] = ['exclusive', 'reverse'].map((name) => call.int(name, 0) !== 0);
  const step = stridesOf(x.shape)[axis]!;
  const n = x.shape[axis]!;
  return call.fold(() => {
    const sums = Float64Array.from(x.data);
    for (let i = 0; i < sums.length; i++) {
      const at = reverse ? sums.length - 1 - i : i;
      const place = Math.floor(at / step) % n;
      const before = reverse ? at + step : at - step;
      if (place !== (reverse ? n - 1 : 0)) sums[at]! += sums[before]!;
    }
    return constant(x.type, x.shape, (i) => sums[i]! - (exclusive ? x.data[i]! : 0));
  }, x);
};

/** 1 at the places of an axis that indices name, else 0, or two other numbers. */
const oneHot: Builder = (call) => {
  const [indices, depth, values] = [0, 1, 2].map((i) => needed(call, i)) as [Constant, Constant, Constant];
  const n = depth.data[0]!;
  const axis = axisOf(call.int('axis', -1), indices.shape.length + 1);
  const shape = [...indices.shape.slice(0, axis), n, ...indices.shape.slice(axis)];
  const inner = stridesOf(shape)[axis]!;
  const made = () =>
    constant(values.type, shape, (i) => {
      const place = Math.floor(i / inner) % n;
      const index = indices.data[Math.floor(i / (inner * n)) * inner + (i % inner)]!;
      return values.data[place === (index < 0 ? index + n : index) ? 1 : 0]!;
    });
  return call.fold(made, indices, values);
};

/** The branch that a known condition takes, as if it stood in the file in place of the choice. */
const branch: Builder = (call) => {
  const taken = needed(call, 0).data[0] !== 0 ? 'then_branch' : 'else_branch';
  const graph = call.attribute(taken)?.graph;
  if (graph === undefined) throw new FormatError(`it has no ${taken}`);
  return call.walk(graph);
};

export const folded: Readonly<Record<string, Builder>> = {
  Floor: elementwise(1, Math.floor),
  Ceil: elementwise(1, Math.ceil),
  Round: elementwise(1, roundToEven),
  Mod: mod,
  NonZero: nonZero,
  Trilu: trilu,
  EyeLike: eyeLike,
  CumSum: cumSum,
  OneHot: oneHot,
  IsInf: isInf,
  Size: (call) => constant('int', [], [sizeOf(call.input(0).shape)]),
  ...Object.fromEntries(CURVES.map((f) => [f.name.replace(/^./, (c) => c.toUpperCase()), elementwise(1, f)])),
  ScatterND: scatterND,
  If: branch,
};
