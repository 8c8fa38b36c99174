// Reductions: sums and means, maxima and minima, and choosing along an axis with its adjoint.

import * as layout from '../../kernels/layout/layout.ts';
import * as kernels from '../../kernels/reduce/reduce.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { inFirst } from '../facts.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { runChoices } from '../parts.ts';
import { reducedPlaces, reshapedPlaces } from '../places.ts';
import { empty, type Shape, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { around, axisOf } from './axes.ts';
import { abs, clamp, div } from './elementwise.ts';
import { reduceAxes, reduceRange, reshape, sumAxes } from './linear.ts';

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
  const lines = without(x.shape, list);
  if (mean && count === 0 && sizeOf(lines) > 0) {
    throw new ShapeError(`mean: there is nothing over axes [${list.join(', ')}] of ${show(x.shape)}`);
  }
  const y = sumAxes(x, list, mean ? 1 / count : 1);
  // y may be x itself; a view of it can be disposed without harm to x.
  return reshape(y, keep ? y.shape : lines);
}

/** Sum over `axes` (all when left out), which disappear unless `keepDims`. */
export const sum = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  scaledSum('sum', x, axes, keepDims, false);

/** Mean, likewise; over nothing there is none. */
export const mean = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  scaledSum('mean', x, axes, keepDims, true);

const argAlong: Operation<{ axis: number; smallest: boolean }> = {
  name: 'argmax',
  below: ([x], { axis }) => x!.shape[axis]!,
  shape: ([x], { axis }) => {
    if (x!.shape[axis] === 0) throw new ShapeError(`argmax: axis ${axis} of ${show(x!.shape)} is empty`);
    return x!.shape.filter((_, i) => i !== axis);
  },
  forward: ([x], y, { axis, smallest }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    const choice = { outer, n, inner, m: 1, smallest };
    runChoices(
      y.device,
      kernels.argmax(outer, n, inner, smallest, y.device.profile),
      choice,
      x!.storage,
      y.storage,
    );
  },
  places: ([x], shape, { axis }) => reshapedPlaces(reducedPlaces(x, [axis]), shape),
};

/** Index of the largest element along an axis, u32, the axis removed; the first of equals. */
export const argmax = (x: Tensor, axis: number): Tensor =>
  apply(argAlong, [x], { axis: axisOf('argmax', x.shape, axis), smallest: false });

/** x [.., n, ..] and indices [.., ..] -> the chosen element of each line, the axis removed. */
const selectAlong: Operation<{ axis: number }> = {
  name: 'select',
  indices: { input: 1, of: ([x], { axis }) => x!.shape[axis]! },
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
  places: ([x], shape, { axis }) => reshapedPlaces(reducedPlaces(x, [axis]), shape),
  affine: inFirst,
};

/** Adjoint of `selectAlong`. */
const spreadAlong: Operation<{ axis: number; n: number }> = {
  name: 'spread',
  indices: { input: 1, of: (_, { n }) => n },
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

/** Extrema alone, without the indices that their derivative needs. */
const extremeRanges = { max: reduceRange('max'), min: reduceRange('min'), norm: reduceRange('norm') };

function extremum(
  name: 'max' | 'min' | 'norm',
  x: Tensor,
  axes: readonly number[] | undefined,
  keep: boolean,
) {
  const list = sortedAxes(name, x.shape, axes);
  const shape = keep ? x.shape.map((n, i) => (list.includes(i) ? 1 : n)) : without(x.shape, list);
  for (const axis of list) {
    if (x.shape[axis] === 0) throw new ShapeError(`${name}: axis ${axis} of ${show(x.shape)} is empty`);
  }
  if (list.length > 0 && !isRecorded([x])) return reshape(reduceAxes(extremeRanges[name], x, list, 1), shape);
  let y = name === 'norm' ? abs(x) : x;
  for (const axis of [...list].reverse()) {
    y = apply(selectAlong, [y, apply(argAlong, [y], { axis, smallest: name === 'min' })], { axis });
  }
  return reshape(y, shape);
}

/** Maximum over `axes` (all when left out); of equals the first takes the derivative. */
export const max = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  extremum('max', x, axes, keepDims);

/** Minimum, likewise. */
export const min = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  extremum('min', x, axes, keepDims);

/** Largest magnitude over `axes` (all when left out), the maximum norm; derivative as of max. */
export const maxNorm = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  extremum('norm', x, axes, keepDims);

/** The normal numbers of f32. A divisor that is kept among them makes 0 / 0 nothing but 0. */
const NORMAL = [2 ** -126, (2 - 2 ** -23) * 2 ** 127] as const;

const dividedByNorm: Operation<undefined> = {
  name: 'divideByMaxNorm',
  shape: ([x]) => {
    if (x!.size === 0) throw new ShapeError(`divideByMaxNorm: there is no largest of ${show(x!.shape)}`);
    return x!.shape;
  },
  forward: ([x], y) => {
    const { device } = y;
    let norms = reshape(x!, [x!.size]);
    while (norms.size > kernels.FEW_NORMS) {
      const { launch, parts } = kernels.reduce('norm', 1, norms.size, 1, 1, device.profile);
      const next = empty(device, [parts], 'f32', 'divideByMaxNorm');
      run(device, launch, [norms.storage], next.storage);
      norms.dispose();
      norms = next;
    }
    run(device, kernels.overNorm(y.size, norms.size, NORMAL), [x!.storage, norms.storage], y.storage);
    norms.dispose();
  },
};

/** x over its largest magnitude, along `axes` (all when left out); zeros everywhere stay so. */
export const divideByMaxNorm = (x: Tensor, axes?: readonly number[]): Tensor =>
  axes || isRecorded([x])
    ? div(x, clamp(maxNorm(x, axes, true), ...NORMAL))
    : apply(dividedByNorm, [x], undefined);
