// Normalisation layers.

import * as kernels from '../../kernels/normalise/normalise.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { separately } from '../facts.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { foldedPlaces, placesByElement, reshapedPlaces } from '../places.ts';
import { empty, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { add, div, full, mul, sqrt, sub } from './elementwise.ts';
import { narrow } from './layout.ts';
import { affine, reshape, scale, sumTo } from './linear.ts';
import { mean, sum } from './reduce.ts';

/** x [N, C, ...] as [batch, channels, inner]. */
function planes({ shape }: Tensor): readonly [batch: number, channels: number, inner: number] {
  return [shape[0]!, shape[1]!, sizeOf(shape.slice(2))];
}

/** Every axis but the channels'. */
const beside = (x: Tensor) => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

const channelwise: Operation<undefined> = {
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
  apply(channelwise, [x, scale, shift], undefined);

const dotted: Operation<undefined> = {
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
    const launch = kernels.planeDot(batch * channels, inner, b!.shape[0]! * channels);
    run(y.device, launch, [a!.storage, b!.storage], y.storage);
  },
  vjp: (d, { inputs: [a, b], needs }) => {
    const spread = (x: Tensor) => mul(x, reshape(d, [...d.shape, ...x.shape.slice(2).map(() => 1)]));
    return [needs[0] ? spread(b!) : undefined, needs[1] ? sumTo(spread(a!), b!.shape) : undefined];
  },
  places: (inputs, shape, _, tensors) => {
    const lines = inputs.map((places, i) =>
      foldedPlaces(
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
export const planeDot = (a: Tensor, b: Tensor): Tensor => apply(dotted, [a, b], undefined);

/** sum of a b over every axis but the channels' [C]. */
const channelDot = (a: Tensor, b: Tensor): Tensor => sum(planeDot(a, b), [0]);

/** Means (row 0) and biased variances (row 1) of the channels: x [N, C, ...] -> [2, C]. */
const moments: Operation<undefined> = {
  name: 'moments',
  shape: ([x]) => [2, x!.shape[1]!],
  forward: ([x], y) => {
    const [batch, channels, inner] = planes(x!);
    const partial = empty(y.device, [batch, channels, 2], 'f32', 'moments');
    run(y.device, kernels.moments(batch * channels, inner), [x!.storage], partial.storage);
    run(y.device, kernels.mergeMoments(batch, channels, inner), [partial.storage], y.storage);
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
  const scale = div(p.weight, sqrt(affine(p.variance, 1, epsilon)));
  return scaleShift(x, scale, sub(p.bias, mul(p.mean, scale)));
}

/** Batch normalisation with the batch's own statistics, which are returned (variance biased). */
export function batchNormTraining(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  epsilon = 1e-5,
): { output: Tensor; mean: Tensor; variance: Tensor } {
  const channels = x.shape[1]!;
  if (x.size === 0)
    throw new ShapeError(`batchNormTraining: ${show(x.shape)} has no numbers to take a mean of`);
  const both = apply(moments, [x], undefined);
  const [mean, variance] = [0, 1].map((row) => reshape(narrow(both, 0, row, 1), [channels])) as [
    Tensor,
    Tensor,
  ];
  return { output: batchNorm(x, { weight, bias, mean, variance }, epsilon), mean, variance };
}

/** Layer normalisation in one kernel. It has no derivative: `layerNorm` uses it where none is taken. */
const rowNorm: Operation<{ readonly epsilon: number }> = {
  name: 'layerNorm',
  shape: ([x]) => x!.shape,
  forward: ([x, weight, bias], y, { epsilon }) => {
    const n = weight!.size;
    const rows = n === 0 ? 0 : x!.size / n;
    run(
      y.device,
      kernels.layerNorm(rows, n, epsilon),
      [x!.storage, weight!.storage, bias!.storage],
      y.storage,
    );
  },
};

/** Layer normalisation over the last axis (Ba 2016): x [..., D], weight and bias [D]. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
  const fits = x.shape.length > 0 && [weight, bias].every((t) => sameShape(t.shape, x.shape.slice(-1)));
  if (!fits) {
    throw new ShapeError(
      `layerNorm: ${show(weight.shape)} and ${show(bias.shape)} for the last axis of ${show(x.shape)}`,
    );
  }
  if (weight.size === 0 && sizeOf(x.shape.slice(0, -1)) > 0)
    throw new ShapeError(`layerNorm: ${show(x.shape)} has no numbers to take a mean of`);
  if (!isRecorded([x, weight, bias])) return apply(rowNorm, [x, weight, bias], { epsilon });
  const centred = sub(x, mean(x, [-1], true));
  const deviation = sqrt(affine(mean(mul(centred, centred), [-1], true), 1, epsilon));
  return add(mul(div(centred, deviation), weight), bias);
}
