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
const beside = (x: Tensor) => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

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
    needs[2] ? sum(d, beside(d)) : undefined,
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

/** Batch normalisation with given statistics (Ioffe 2015): weight (x - mean) / sqrt(variance + epsilon) + bias. */
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
  const centre = mean(x, beside(x), true);
  const deviation = sub(x, centre);
  // Divided before they are added, so that no sum of squares overflows.
  const squares = mul(deviation, scale(deviation, 1 / (batch * inner)));
  return [reshape(centre, [channels]), sum(squares, beside(x))];
}

/** Batch normalisation with the batch's own statistics, which are returned (variance biased). */
export function batchNormTraining(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  epsilon = 1e-5,
): { output: Tensor; mean: Tensor; variance: Tensor } {
  checkDevices('batchNormTraining', [x, weight, bias]);
  if (x.size === 0)
    throw new ShapeError(`batchNormTraining: ${show(x.shape)} has no numbers to take a mean of`);
  const { first, rest } = shifted(x, beside(x));
  const [mean, variance] = momentsOf(rest);
  const output = batchNorm(rest, { weight, bias, mean, variance }, epsilon);
  return { output, mean: add(mean, reshape(first, mean.shape)), variance };
}

interface Epsilon {
  readonly epsilon: number;
}

/** x [..., n] as rows of n. */
function rowsOf({ shape, size }: Tensor): readonly [rows: number, n: number] {
  const n = shape.at(-1)!;
  return [n === 0 ? 0 : size / n, n];
}

const runRows =
  (result: kernels.StandardiseResult): NonNullable<Operation<Epsilon>['forward']> =>
  ([x, weight, bias], y, { epsilon }) => {
    const inputs = [x!, weight ?? x!, bias ?? x!].map((t) => t.storage);
    run(y.device, kernels.standardise(...rowsOf(x!), epsilon, result, y.device.profile), inputs, y.storage);
  };

const standardised: Operation<Epsilon> = {
  name: 'standardise',
  shape: ([x]) => x!.shape,
  forward: runRows('standardised'),
  // dx = (d - mean(d) - y mean(d y)) / deviation
  vjp: (d, { inputs: [x], output: y, attributes }) => {
    const across = mul(y, mean(mul(d, y), [-1], true));
    return [mul(sub(sub(d, mean(d, [-1], true)), across), apply(inverse, [x!], attributes))];
  },
};

const inverse: Operation<Epsilon> = {
  name: 'inverse deviation',
  shape: ([x]) => [...x!.shape.slice(0, -1), 1],
  forward: runRows('inverse'),
  // With y the standardised x: d (1 / deviation) / dx = -y / (n deviation^2)
  vjp: (d, { inputs: [x], output: r, attributes }) => {
    const slope = scale(mul(d, mul(r, r)), -1 / x!.shape.at(-1)!);
    return [mul(slope, apply(standardised, [x!], attributes))];
  },
  places: ([x], shape) => reducedPlaces(x, [shape.length - 1]),
};

/** Whether one thread can go along a row; else operations do, whose sums are made in parts. */
const isShortRow = (x: Tensor): boolean =>
  isShort(kernels.standardise(...rowsOf(x), 0, 'layerNorm', x.device.profile));

/** Both of long rows, as standardise.wgsl makes them. */
function longRows(x: Tensor, epsilon: number): { output: Tensor; inverse: Tensor } {
  const { rest } = shifted(x, [x.shape.length - 1]);
  const centred = sub(rest, mean(rest, [-1], true));
  const unit = maximum(maxNorm(alias(centred), [-1], true), full(x.device, [], 1));
  const small = div(centred, unit);
  const variance = add(
    mean(mul(small, small), [-1], true),
    div(full(x.device, [], epsilon), mul(unit, unit)),
  );
  const inverse = reciprocal(sqrt(variance));
  return { output: mul(small, inverse), inverse: div(inverse, unit) };
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

/** (x - mean) / sqrt(variance + epsilon), both taken over all axes from `axis` on; variance biased. */
export const standardise = (x: Tensor, axis: number, epsilon = 1e-5): Tensor =>
  alongRows('standardise', x, axis, (rows) =>
    isShortRow(rows) ? apply(standardised, [rows], { epsilon }) : longRows(rows, epsilon).output,
  );

/** 1 / sqrt(variance + epsilon), likewise; the axes are kept with size 1. */
export const inverseDeviation = (x: Tensor, axis: number, epsilon = 1e-5): Tensor =>
  alongRows('inverseDeviation', x, axis, (rows) =>
    isShortRow(rows) ? apply(inverse, [rows], { epsilon }) : longRows(rows, epsilon).inverse,
  );

/** Layer normalisation in one kernel. It has no derivative: `layerNorm` uses it where none is taken. */
const rowNorm: Operation<Epsilon> = {
  name: 'layerNorm',
  shape: ([x]) => x!.shape,
  forward: runRows('layerNorm'),
};

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
  if (isFused) return apply(rowNorm, [x, weight, bias], { epsilon });
  return add(mul(standardise(x, -1, epsilon), weight), bias);
}
