// Reductions along axes, and softmax.

import {
  type Array64,
  build,
  check,
  filled,
  forEachIndex,
  normaliseAxis,
  offsetOf,
  stridesOf,
} from './array.ts';
import { binary, unary } from './elementwise.ts';

/** Which axes a list names; undefined names all. */
function reducedAxes(x: Array64, axes: readonly number[] | undefined): boolean[] {
  const named = axes?.map((axis) => normaliseAxis(axis, x.shape.length));
  return x.shape.map((_, axis) => named === undefined || named.includes(axis));
}

/** Folds the elements along `axes` in row-major order, starting from `initial`. */
function reduce(
  x: Array64,
  axes: readonly number[] | undefined,
  keepDims: boolean,
  initial: number,
  combine: (accumulated: number, value: number) => number,
): Array64 {
  const reduced = reducedAxes(x, axes);
  const kept = x.shape.map((length, axis) => (reduced[axis] ? 1 : length));
  const strides = stridesOf(kept).map((stride, axis) => (reduced[axis] ? 0 : stride));
  const result = filled(kept, initial);
  forEachIndex(x.shape, (index, position) => {
    const target = offsetOf(strides, index);
    result.data[target] = combine(result.data[target], x.data[position]);
  });
  return keepDims ? result : { shape: x.shape.filter((_, axis) => !reduced[axis]), data: result.data };
}

/** The number of elements folded into each element of a reduction. */
function reducedCount(x: Array64, axes: readonly number[] | undefined): number {
  const reduced = reducedAxes(x, axes);
  return x.shape.reduce((count, length, axis) => (reduced[axis] ? count * length : count), 1);
}

export function sum(x: Array64, axes?: readonly number[], keepDims = false): Array64 {
  return reduce(x, axes, keepDims, 0, (a, b) => a + b);
}

/** NaN over no elements, as in NumPy. */
export function mean(x: Array64, axes?: readonly number[], keepDims = false): Array64 {
  const count = reducedCount(x, axes);
  const total = sum(x, axes, keepDims);
  return { shape: total.shape, data: total.data.map((value) => value / count) };
}

/** NaN where an element is NaN. Undefined over no elements. */
export function max(x: Array64, axes?: readonly number[], keepDims = false): Array64 {
  check(reducedCount(x, axes) > 0, `max of [${x.shape}] over no elements`);
  return reduce(x, axes, keepDims, -Infinity, Math.max);
}

/** NaN where an element is NaN. Undefined over no elements. */
export function min(x: Array64, axes?: readonly number[], keepDims = false): Array64 {
  check(reducedCount(x, axes) > 0, `min of [${x.shape}] over no elements`);
  return reduce(x, axes, keepDims, Infinity, Math.min);
}

/** The largest magnitude. NaN where an element is NaN. Undefined over no elements. */
export const maxNorm = (x: Array64, axes?: readonly number[], keepDims = false): Array64 =>
  max(unary.abs(x), axes, keepDims);

/** The index of the largest element along one axis; the first of equals, and of NaNs where there are any. */
export function argmax(x: Array64, axis: number, keepDims = false): Array64 {
  const along = normaliseAxis(axis, x.shape.length);
  const length = x.shape[along];
  check(length > 0, `argmax of [${x.shape}] along axis ${axis}`);
  const strides = stridesOf(x.shape);
  const kept = x.shape.map((n, a) => (a === along ? 1 : n));
  const result = build(kept, (index) => {
    const start = offsetOf(strides, index);
    let best = 0;
    for (let i = 0; i < length; i++) {
      const candidate = x.data[start + i * strides[along]];
      const held = x.data[start + best * strides[along]];
      if (Number.isNaN(held)) break;
      if (candidate > held || Number.isNaN(candidate)) best = i;
    }
    return best;
  });
  return keepDims ? result : { shape: x.shape.filter((_, a) => a !== along), data: result.data };
}

/** exp(x - max) / sum exp(x - max) along an axis. */
export function softmax(x: Array64, axis: number): Array64 {
  const exponentials = unary.exp(binary.sub(x, max(x, [axis], true)));
  return binary.div(exponentials, sum(exponentials, [axis], true));
}

/** x - max - log sum exp(x - max) along an axis. */
export function logSoftmax(x: Array64, axis: number): Array64 {
  const shifted = binary.sub(x, max(x, [axis], true));
  return binary.sub(shifted, unary.log(sum(unary.exp(shifted), [axis], true)));
}
