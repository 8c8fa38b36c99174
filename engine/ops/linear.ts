// The operations that derivatives of every family are made of: a x + b, views, index maps, and sum and broadcast, each
// the other's adjoint. Their own derivatives are among themselves, so this file needs no other family.

import { unary } from '../../kernels/elementwise/elementwise.ts';
import * as layout from '../../kernels/layout/layout.ts';
import * as kernels from '../../kernels/reduce/reduce.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { jointly } from '../facts.ts';
import { apply, type Operation } from '../operation.ts';
import { runParts } from '../parts.ts';
import { movedPlaces, reducedPlaces, reshapedPlaces } from '../places.ts';
import { type Shape, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { around } from './axes.ts';

const affineMap: Operation<{ readonly a: number; readonly b: number }> = {
  name: 'affine',
  shape: ([x]) => x!.shape,
  forward: ([x], y, { a, b }) =>
    run(y.device, unary({ wgsl: 'p.a * v + p.b' }, y.size, a, b), [x!.storage], y.storage),
  vjp: (d, { attributes }) => [scale(d, attributes.a)],
  affine: jointly,
};

/** a x + b, with numbers a and b. */
export const affine = (x: Tensor, a: number, b: number): Tensor => apply(affineMap, [x], { a, b });

/** k x. */
export const scale = (x: Tensor, k: number): Tensor => affine(x, k, 0);

const view: Operation<{ shape: Shape }> = {
  name: 'reshape',
  shape: ([x], { shape }) => {
    if (sizeOf(shape) !== x!.size || !shape.every((n) => Number.isInteger(n) && n >= 0)) {
      throw new ShapeError(
        `reshape: ${show(x!.shape)} has ${x!.size} elements, ${show(shape)} ${sizeOf(shape)}`,
      );
    }
    return shape;
  },
  vjp: (d, { inputs }) => [reshape(d, inputs[0]!.shape)],
  places: ([x], shape) => reshapedPlaces(x, shape),
  affine: jointly,
};

/** The same elements in another shape, without a copy; one size may be -1. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const others = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  return apply(view, [x], { shape: shape.map((n) => (n === -1 ? x.size / others : n)) });
}

/** The rule by which a cotangent goes through. */
type CotangentRule = (cotangent: Tensor) => Tensor;

const ruled: Operation<{ readonly rule: CotangentRule }> = {
  name: 'substituted rule',
  shape: ([x]) => x!.shape,
  vjp: (d, { attributes }) => [attributes.rule(d)],
  places: ([x], shape) => reshapedPlaces(x, shape),
  affine: jointly,
};

/**
 * The same numbers, of which a gradient takes another way: what `rule` makes of their cotangent, in its shape, takes its place. So
 * gradients through them are no derivatives.
 */
export const withRule = (x: Tensor, rule: CotangentRule): Tensor => apply(ruled, [x], { rule });

/** Output axis k is a window onto input axis `axis`: coordinate (o * mul + add) / div. */
export interface AxisMap {
  readonly axis: number;
  readonly size: number;
  readonly mul: number;
  readonly add: number;
  readonly div: number;
}

interface StridedAttributes {
  readonly maps: readonly AxisMap[];
  readonly fill: number;
  /** What numbers are multiplied by on the way. */
  readonly scale?: number;
  readonly vjp: (d: Tensor, x: Tensor) => Tensor;
}

export const whole = (axis: number, size: number): AxisMap => ({ axis, size, mul: 1, add: 0, div: 1 });

/** One operation for every index map; the caller supplies the adjoint, which is another. */
export const strided: Operation<StridedAttributes> = {
  name: 'strided copy',
  shape: (_, { maps }) => maps.map((map) => map.size),
  forward: ([x], y, { maps, fill, scale }) => {
    const strides = x!.shape.map((_, i) => sizeOf(x!.shape.slice(i + 1)));
    const dims = maps
      .filter(({ size, axis, add }) => size !== 1 || x!.shape[axis] !== 1 || add !== 0)
      .map(({ axis, size, mul, add, div }) => ({
        outputSize: size,
        inputSize: x!.shape[axis]!,
        inputStride: strides[axis]!,
        mul,
        add,
        div,
      }));
    if (dims.length > 8) throw new ShapeError(`${y.shape.length} axes are more than an index map takes (8)`);
    run(y.device, layout.strided(dims, fill, scale), [x!.storage], y.storage);
  },
  vjp: (d, { inputs, attributes }) => [attributes.vjp(d, inputs[0]!)],
  places: ([places], shape, { maps }, [x]) =>
    movedPlaces(
      places,
      shape,
      maps.map(({ axis, mul, add, div }) => ({
        axis,
        at: (o) => {
          const from = (o * mul + add) / div;
          return Number.isInteger(from) && from >= 0 && from < x!.shape[axis]! ? from : undefined;
        },
      })),
    ),
  affine: jointly,
};

/** Repeats axes of size 1, and adds leading ones, up to `shape`; `factor` multiplies on the way. */
export function broadcastTo(x: Tensor, shape: Shape, factor = 1): Tensor {
  const lead = shape.length - x.shape.length;
  const fits = lead >= 0 && x.shape.every((n, i) => n === 1 || n === shape[i + lead]);
  if (!fits) throw new ShapeError(`broadcast: ${show(x.shape)} does not broadcast to ${show(shape)}`);
  if (sizeOf(shape) === x.size) return reshape(factor === 1 ? x : scale(x, factor), shape);
  const wide = lead > 0 ? reshape(x, [...Array<number>(lead).fill(1), ...x.shape]) : x;
  const maps = shape.map((size, axis) => ({ ...whole(axis, size), mul: wide.shape[axis] === 1 ? 0 : 1 }));
  return apply(strided, [wide], {
    maps,
    fill: 0,
    scale: factor,
    vjp: (d, input) => sumTo(d, input.shape, factor),
  });
}

/** A range of neighbouring axes that are reduced, and what the result is multiplied by. */
interface RangeAttributes {
  readonly axis: number;
  readonly axes: number;
  readonly scale: number;
}

/** scale * reduction over a range of neighbouring axes, kept with size 1; without derivative. */
export const reduceRange = (of: kernels.Reduction): Operation<RangeAttributes> => ({
  name: of,
  shape: ([x], { axis, axes }) => x!.shape.map((n, i) => (i >= axis && i < axis + axes ? 1 : n)),
  forward: ([x], y, { axis, axes, scale }) => {
    const { outer, n, inner } = around(x!.shape, axis, axes);
    runParts(
      y.device,
      kernels.reduce(of, outer, n, inner, scale, y.device.profile),
      [x!.storage],
      y.storage,
      of,
    );
  },
  places: ([x], _, { axis, axes }) =>
    reducedPlaces(
      x,
      Array.from({ length: axes }, (_, i) => axis + i),
    ),
  piecewise: jointly,
});

const sumRange: Operation<RangeAttributes> = {
  ...reduceRange('sum'),
  vjp: (d, { inputs, attributes }) => [broadcastTo(d, inputs[0]!.shape, attributes.scale)],
  affine: jointly,
};

/** scale * reduction over `axes`, kept with size 1: one pass for each range of neighbouring axes. */
export function reduceAxes(
  operation: Operation<RangeAttributes>,
  x: Tensor,
  axes: readonly number[],
  scale: number,
): Tensor {
  let y = x;
  let factor = scale;
  for (let i = 0; i < axes.length; ) {
    let run = 1;
    while (axes[i + run] === axes[i]! + run) run++;
    y = apply(operation, [y], { axis: axes[i]!, axes: run, scale: factor });
    factor = 1;
    i += run;
  }
  return y;
}

/** scale * sum over `axes`, kept with size 1. Along axes of one element there is nothing to sum. */
export function sumAxes(x: Tensor, axes: readonly number[], scale: number): Tensor {
  const long = scale === 1 ? axes.filter((axis) => x.shape[axis] !== 1) : axes;
  return reduceAxes(sumRange, x, long, scale);
}

/** Adjoint of broadcasting: `factor` times the sums of `x` down to `shape`. */
export function sumTo(x: Tensor, shape: Shape, factor = 1): Tensor {
  if (sameShape(x.shape, shape)) return factor === 1 ? x : scale(x, factor);
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, i) => (i < lead || (shape[i - lead] === 1 && n !== 1) ? [i] : []));
  return reshape(sumAxes(x, axes, factor), shape);
}
