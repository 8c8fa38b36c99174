// Normalisation layers.

import { isShort } from '../../kernels/kernel.ts';
import * as kernels from '../../kernels/normalise/normalise.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { separately } from '../facts.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { runParts } from '../parts.ts';
import { placesByElement, reducedPlaces, reshapedPlaces } from '../places.ts';
import { alias, checkDevices, empty, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { axisOf } from './axes.ts';
import { add, div, full, maximum, mul, reciprocal, sqrt, sub } from './elementwise.ts';
import { narrow, stridedWindow } from './layout.ts';
import { affine, reshape, scale, sumTo } from './linear.ts';
import { maxNorm, mean, sum } from './reduce.ts';

/** x [N, C, ...] as [batch, channels, inner]. */
function planes({ shape }: Tensor): readonly [batch: number, channels: number, inner: number] {
  return [shape[0]!, shape[1]!, sizeOf(shape.slice(2))];
}

/** Every axis but the channels'. */
const otherAxes = (x: Tensor) => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

const channelScaling: Operation<undefined> = {
  name: 'scale and shift',
  shape: ([x, scale, shift]) => {
    const fits = [scale!, shift!].every((t) => t.shape.length === 1 && t.shape[0] === x!.shape[1]);
    if (!fits) {
      throw new ShapeError(
        `scale and shift: ${show(scale!.shape)} and ${show(shift!.shape)} for the channels of ${show(x!.shape)}`,
      );
    }
    return x!.shape;
  },
  forward: ([x, scale, shift], y) => {
    run(y.device, kernels.scaleShift(...planes(x!)), [x!.storage, scale!.storage, shift!.storage], y.storage);
  },
  vjp: (d, { inputs: [x, scale], needs }) => [
    needs[0] ? scaleShift(d, scale!, full(d.device, scale!.shape, 0)) : undefined,
    needs[1] ? channelDot(d, x!) : undefined,
    needs[2] ? sum(d, otherAxes(d)) : undefined,
  ],
  places: ([x, scale, shift], shape) => {
    const channels = [1, shape[1]!, ...shape.slice(2).map(() => 1)];
    return placesByElement([x, reshapedPlaces(scale, channels), reshapedPlaces(shift, channels)], shape);
  },
  affine: ([x, scale]) => separately([x!, scale!]),
};

/** x scale[c] + shift[c] for every channel c of x [N, C, ...]. */
export const scaleShift = (x: Tensor, scale: Tensor, shift: Tensor): Tensor =>
  apply(channelScaling, [x, scale, shift], undefined);

const planeDotProduct: Operation<undefined> = {
  name: 'dot product of planes',
  shape: ([a, b]) => {
    const [batch, ...rest] = b!.shape;
    if (!sameShape(a!.shape.slice(1), rest) || (batch !== 1 && batch !== a!.shape[0])) {
      throw new ShapeError(`dot product of planes: ${show(a!.shape)} and ${show(b!.shape)} differ`);
    }
    return a!.shape.slice(0, 2);
  },
  forward: ([a, b], y) => {
    const [batch, channels, inner] = planes(a!);
    const launch = kernels.planeDot(batch * channels, inner, b!.shape[0]! * channels, y.device.profile);
    runParts(y.device, launch, [a!.storage, b!.storage], y.storage);
  },
  vjp: (d, { inputs: [a, b], needs }) => {
    const spread = (x: Tensor) => mul(x, reshape(d, [...d.shape, ...x.shape.slice(2).map(() => 1)]));
    return [needs[0] ? spread(b!) : undefined, needs[1] ? sumTo(spread(a!), b!.shape) : undefined];
  },
  places: (inputs, shape, _, tensors) => {
    const lines = inputs.map((places, i) =>
      reducedPlaces(
        places,
        tensors[i]!.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis])),
      ),
    );
    return placesByElement(
      lines.map((places) => reshapedPlaces(places, places?.shape.slice(0, 2) ?? [])),
      shape,
    );
  },
  affine: separately,
};

/** Dot product of each plane of a with that of b: [N, C, ...], and [N, C, ...] or [1, C, ...] -> [N, C]. */
export const planeDot = (a: Tensor, b: Tensor): Tensor => apply(planeDotProduct, [a, b], undefined);

/** sum of a b over every axis but the channels' [C]. */
const channelDot = (a: Tensor, b: Tensor): Tensor => sum(planeDot(a, b), [0]);

/** Means (row 0) and biased variances (row 1) of the channels: x [N, C, ...] -> [2, C]. */
const moments: Operation<undefined> = {
  name: 'moments',
  shape: ([x]) => [2, x!.shape[1]!],
  forward: ([x], y) => {
    const [batch, channels, inner] = planes(x!);
    const partial = empty(y.device, [batch, channels, 2], 'f32', 'moments');
    run(y.device, kernels.moments(batch * channels, inner, y.device.profile), [x!.storage], partial.storage);
    run(y.device, kernels.mergeMoments(batch, channels), [partial.storage], y.storage);
    partial.dispose();
  },
  // With M elements a channel: d mean / dx = 1 / M, d variance / dx = 2 (x - mean) / M.
  vjp: (d, { inputs: [x], output }) => {
    const channels = x!.shape[1]!;
    const share = channels / Math.max(1, x!.size);
    const row = (t: Tensor, i: number) => reshape(narrow(t, 0, i, 1), [channels]);
    const slope = scale(row(d, 1), 2 * share);
    return [scaleShift(x!, slope, sub(scale(row(d, 0), share), mul(slope, row(output, 0))))];
  },
};

/** Per-channel numbers of a batch normalisation, each [C]. */
export interface BatchNormParameters {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Batch normalisation of x [N, C, ...] with given statistics (Ioffe 2015): weight (x - mean) / sqrt(variance + epsilon) + bias. */
export function batchNorm(x: Tensor, p: BatchNormParameters, epsilon = 1e-5): Tensor {
  checkDevices('batchNorm', [x, p.weight, p.bias, p.mean, p.variance]);
  const scale = div(p.weight, sqrt(affine(p.variance, 1, epsilon)));
  return scaleShift(x, scale, sub(p.bias, mul(p.mean, scale)));
}

/**
 * x less its first element along some axes. Of that no derivative is taken, since what is made of the difference depends on
 * differences alone; and a large number that all elements share costs them no digits.
 */
function shifted(x: Tensor, axes: readonly number[]): { first: Tensor; rest: Tensor } {
  const zeros = x.shape.map(() => 0);
  const ones = x.shape.map(() => 1);
  const counts = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const first = stridedWindow(alias(x), zeros, ones, counts);
  return { first, rest: sub(x, first) };
}

/** Means and biased variances over every axis but the channels', [C] each. */
function momentsOf(x: Tensor): readonly [mean: Tensor, variance: Tensor] {
  const [batch, channels, inner] = planes(x);
  const isFused = [
    kernels.moments(batch * channels, inner, x.device.profile),
    kernels.mergeMoments(batch, channels),
  ].every(isShort);
  if (isFused) {
    const both = apply(moments, [x], undefined);
    const row = (i: number) => reshape(narrow(both, 0, i, 1), [channels]);
    return [row(0), row(1)];
  }
  const centre = mean(x, otherAxes(x), true);
  const deviation = sub(x, centre);
  // Divided before they are added, so that no sum of squares overflows.
  const squares = mul(deviation, scale(deviation, 1 / (batch * inner)));
  return [reshape(centre, [channels]), sum(squares, otherAxes(x))];
}

/**
 * (y, r, x) -> y [N, C, ...]: what was made of x, in whatever way and without a derivative, as y = (x - mean) / deviation and
 * r [C] = 1 / deviation of each channel, is given the derivative in x. The rule is written in y, which is near 1 whatever
 * the size of x, so that no power of a large deviation is needed.
 */
const standardised: Operation<undefined> = {
  name: 'standardise',
  shape: ([y]) => y!.shape,
  // dx = (d - mean(d) - y mean(d y)) / deviation
  vjp: (d, { inputs: [, r, x], output: y }) => {
    const inverse = apply(inverseDeviations, [r!, y, x!], undefined);
    const share = inverse.size / Math.max(1, y.size);
    const [offset, slope] = [sum(d, otherAxes(d)), channelDot(d, y)].map((t) =>
      mul(inverse, scale(t, share)),
    );
    const straight = scaleShift(d, inverse, full(d.device, inverse.shape, 0));
    return [undefined, undefined, sub(straight, scaleShift(y, slope!, offset!))];
  },
};

/** (r, y, x) -> r, likewise. */
const inverseDeviations: Operation<undefined> = {
  name: 'inverse deviation',
  shape: ([r]) => r!.shape,
  // d (1 / deviation) / dx = -y / (n deviation^2), with n elements a channel
  vjp: (d, { inputs: [, y, x], output: r }) => {
    const slope = scale(mul(d, mul(r, r)), -r.size / Math.max(1, y!.size));
    const again = apply(standardised, [y!, r, x!], undefined);
    return [undefined, undefined, scaleShift(again, slope, full(d.device, r.shape, 0))];
  },
};

/**
 * Batch normalisation of x [N, C, ...] with the statistics of its channels, which are returned: mean and biased variance [C].
 * Weight and bias [C].
 */
export function batchNormTraining(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  epsilon = 1e-5,
): { output: Tensor; mean: Tensor; variance: Tensor } {
  checkDevices('batchNormTraining', [x, weight, bias]);
  if (x.size === 0)
    throw new ShapeError(`batchNormTraining: ${show(x.shape)} has no numbers to take a mean of`);
  const { first, rest } = shifted(x, otherAxes(x));
  const [mean, variance] = momentsOf(rest);
  const r = reciprocal(sqrt(affine(alias(variance), 1, epsilon)));
  const y = scaleShift(alias(rest), r, scale(mul(alias(mean), r), -1));
  const output = scaleShift(apply(standardised, [y, r, rest], undefined), weight, bias);
  return { output, mean: add(mean, reshape(first, mean.shape)), variance };
}

interface RowAttributes {
  readonly epsilon: number;
  readonly result: kernels.StandardiseResult;
}

/** x [..., n] as rows of n. */
function rowsOf({ shape, size }: Tensor): readonly [rows: number, n: number] {
  const n = shape.at(-1)!;
  return [n === 0 ? 0 : size / n, n];
}

/** What standardise.wgsl makes of rows. It has no derivative: `layerNorm` uses it where none is taken, or a rule is added. */
const rowKernel: Operation<RowAttributes> = {
  name: 'standardise',
  shape: ([x], { result }) => (result === 'inverse' ? [...x!.shape.slice(0, -1), 1] : x!.shape),
  forward: ([x, weight, bias], y, { epsilon, result }) => {
    const inputs = [x!, weight ?? x!, bias ?? x!].map((t) => t.storage);
    run(y.device, kernels.standardise(...rowsOf(x!), epsilon, result, y.device.profile), inputs, y.storage);
  },
  places: ([x, ...further], shape, { result }) =>
    result === 'inverse' ? reducedPlaces(x, [shape.length - 1]) : placesByElement([x, ...further], shape),
};

/** Whether one thread can go along a row; else operations do, whose sums are made in parts. */
const isShortRow = (x: Tensor): boolean =>
  isShort(kernels.standardise(...rowsOf(x), 0, 'layerNorm', x.device.profile));

/** Both of long rows, as standardise.wgsl makes them. */
function longRows(x: Tensor, epsilon: number): { standardised: Tensor; inverse: Tensor } {
  const { rest } = shifted(x, [x.shape.length - 1]);
  const centred = sub(rest, mean(rest, [-1], true));
  const unit = maximum(maxNorm(centred, [-1], true), full(x.device, [], 1));
  const small = div(centred, unit);
  const variance = add(
    mean(mul(small, small), [-1], true),
    div(full(x.device, [], epsilon), mul(unit, unit)),
  );
  const inverse = reciprocal(sqrt(variance));
  return { standardised: mul(small, inverse), inverse: div(inverse, unit) };
}

/** Rows with mean 0 and variance 1, or the inverse of their deviations, [..., n] -> [..., n] or [..., 1]. */
function standardRows(x: Tensor, epsilon: number, result: 'standardised' | 'inverse'): Tensor {
  const isTaken = isRecorded([x]);
  const values = isTaken ? alias(x) : x;
  const long = isShortRow(x) ? undefined : longRows(values, epsilon);
  const of = (name: typeof result) => long?.[name] ?? apply(rowKernel, [values], { epsilon, result: name });
  if (!isTaken) return of(result);
  // Rows are the channels of one image.
  const [rows, n] = rowsOf(x);
  const [y, r] = [reshape(of('standardised'), [1, rows, n]), reshape(of('inverse'), [rows])];
  const planes = reshape(x, [1, rows, n]);
  return result === 'inverse'
    ? reshape(apply(inverseDeviations, [r, y, planes], undefined), [...x.shape.slice(0, -1), 1])
    : reshape(apply(standardised, [y, r, planes], undefined), x.shape);
}

/** x [..., from `axis` on] as [..., n], and its result again as x. */
function alongRows(name: string, x: Tensor, axis: number, of: (rows: Tensor) => Tensor): Tensor {
  const at = axisOf(name, x.shape, axis);
  const [lead, tail] = [x.shape.slice(0, at), x.shape.slice(at)];
  if (sizeOf(tail) === 0 && sizeOf(lead) > 0)
    throw new ShapeError(`${name}: ${show(x.shape)} has no numbers to take a mean of`);
  const y = of(reshape(x, [...lead, sizeOf(tail)]));
  return reshape(y, y.shape.at(-1) === 1 ? [...lead, ...tail.map(() => 1)] : x.shape);
}

/** (x - mean) / sqrt(variance + epsilon), both taken over all axes from `axis` on; variance biased. In x's shape. */
export const standardise = (x: Tensor, axis: number, epsilon = 1e-5): Tensor =>
  alongRows('standardise', x, axis, (rows) => standardRows(rows, epsilon, 'standardised'));

/** 1 / sqrt(variance + epsilon), likewise; the axes are kept with size 1. */
export const inverseDeviation = (x: Tensor, axis: number, epsilon = 1e-5): Tensor =>
  alongRows('inverseDeviation', x, axis, (rows) => standardRows(rows, epsilon, 'inverse'));

/** Layer normalisation over the last axis (Ba 2016): x [..., D], weight and bias [D]. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
  checkDevices('layerNorm', [x, weight, bias]);
  const fits = x.shape.length > 0 && [weight, bias].every((t) => sameShape(t.shape, x.shape.slice(-1)));
  if (!fits) {
    throw new ShapeError(
      `layerNorm: ${show(weight.shape)} and ${show(bias.shape)} for the last axis of ${show(x.shape)}`,
    );
  }
  if (weight.size === 0 && sizeOf(x.shape.slice(0, -1)) > 0)
    throw new ShapeError(`layerNorm: ${show(x.shape)} has no numbers to take a mean of`);
  const isFused = !isRecorded([x, weight, bias]) && isShortRow(x);
  if (isFused) return apply(rowKernel, [x, weight, bias], { epsilon, result: 'layerNorm' });
  return add(mul(standardise(x, -1, epsilon), weight), bias);
}
