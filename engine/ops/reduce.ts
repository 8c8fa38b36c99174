// Reductions: sums and means, maxima and minima, and choosing along an axis with its adjoint.

import * as layout from '../../kernels/layout/layout.ts';
import * as kernels from '../../kernels/reduce/reduce.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { apply, type Operation } from '../operation.ts';
import { type Shape, sameShape, show, type Tensor } from '../tensor.ts';
import { around, axisOf } from './axes.ts';
import { reshape, sumAxes } from './linear.ts';

const sortedAxes = (name: string, shape: Shape, axes: readonly number[] | undefined): number[] =>
  axes === undefined
    ? shape.map((_, i) => i)
    : [...new Set(axes.map((axis) => axisOf(name, shape, axis)))].sort((a, b) => a - b);

const without = (shape: Shape, axes: readonly number[]): Shape => shape.filter((_, i) => !axes.includes(i));

function scaledSum(
  name: string,
  x: Tensor,
  axes: readonly number[] | undefined,
  keep: boolean,
  mean: boolean,
): Tensor {
  const list = sortedAxes(name, x.shape, axes);
  const count = list.reduce((product, axis) => product * x.shape[axis]!, 1);
  const y = sumAxes(x, list, mean ? 1 / count : 1);
  // Over no axis at all y is x itself; a view of it can be disposed without harm to x.
  return keep && list.length > 0 ? y : reshape(y, without(x.shape, list));
}

/** Sum over `axes` (all when left out), which disappear unless `keepDims`. */
export const sum = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  scaledSum('sum', x, axes, keepDims, false);

/** Mean, likewise. */
export const mean = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  scaledSum('mean', x, axes, keepDims, true);

const argAlong: Operation<{ axis: number; smallest: boolean }> = {
  name: 'argmax',
  type: 'u32',
  shape: ([x], { axis }) => {
    if (x!.shape[axis] === 0) throw new ShapeError(`argmax: axis ${axis} of ${show(x!.shape)} is empty`);
    return x!.shape.filter((_, i) => i !== axis);
  },
  forward: ([x], y, { axis, smallest }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    run(y.device, kernels.argmax(outer, n, inner, smallest), [x!.storage], y.storage);
  },
};

/** Index of the largest element along an axis, u32, the axis removed; the first of equals. */
export const argmax = (x: Tensor, axis: number): Tensor =>
  apply(argAlong, [x], { axis: axisOf('argmax', x.shape, axis), smallest: false });

/** x [.., n, ..] and indices [.., ..] -> the chosen element of each line, the axis removed. */
const selectAlong: Operation<{ axis: number }> = {
  name: 'select',
  indices: 1,
  shape: ([x, indices], { axis }) => {
    const lines = without(x!.shape, [axis]);
    if (!sameShape(indices!.shape, lines)) {
      throw new ShapeError(
        `select: indices ${show(indices!.shape)} for axis ${axis} of ${show(x!.shape)}; they must be ${show(lines)}`,
      );
    }
    return lines;
  },
  forward: ([x, indices], y, { axis }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    run(y.device, layout.selectAlong(outer, n, inner), [x!.storage, indices!.storage], y.storage);
  },
  vjp: (d, { inputs: [x, indices], attributes: { axis } }) => [
    apply(spreadAlong, [d, indices!], { axis, n: x!.shape[axis]! }),
  ],
};

/** Adjoint of `selectAlong`. */
const spreadAlong: Operation<{ axis: number; n: number }> = {
  name: 'spread',
  indices: 1,
  shape: ([d], { axis, n }) => [...d!.shape.slice(0, axis), n, ...d!.shape.slice(axis)],
  forward: ([d, indices], y, { axis }) => {
    const { outer, n, inner } = around(y.shape, axis);
    run(y.device, layout.spreadAlong(outer, n, inner), [d!.storage, indices!.storage], y.storage);
  },
  vjp: (d, { inputs: [, indices], attributes: { axis } }) => [apply(selectAlong, [d, indices!], { axis })],
};

/** The chosen element of each line along `axis`: x [.., n, ..], u32 indices without that axis. */
export const select = (x: Tensor, indices: Tensor, axis: number): Tensor =>
  apply(selectAlong, [x, indices], { axis: axisOf('select', x.shape, axis) });

function extremum(
  name: string,
  x: Tensor,
  axes: readonly number[] | undefined,
  keep: boolean,
  smallest: boolean,
) {
  const list = sortedAxes(name, x.shape, axes);
  let y = x;
  for (const axis of [...list].reverse()) {
    y = apply(selectAlong, [y, apply(argAlong, [y], { axis, smallest })], { axis });
  }
  return reshape(y, keep ? x.shape.map((n, i) => (list.includes(i) ? 1 : n)) : without(x.shape, list));
}

/** Maximum over `axes` (all when left out); of equals the first takes the derivative. */
export const max = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  extremum('max', x, axes, keepDims, false);

/** Minimum, likewise. */
export const min = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  extremum('min', x, axes, keepDims, true);
