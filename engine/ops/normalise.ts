// Normalisation layers.

import { scaleShift as kernel } from '../../kernels/elementwise/elementwise.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { apply, type Operation } from '../operation.ts';
import { show, sizeOf, type Tensor } from '../tensor.ts';
import { add, affine, div, mul, sqrt, sub } from './elementwise.ts';
import { reshape } from './layout.ts';
import { mean, sum } from './reduce.ts';

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
    const [batch, channels, ...rest] = x!.shape as [number, number, ...number[]];
    const launch = kernel(batch, channels, sizeOf(rest));
    run(y.device, launch, [x!.storage, scale!.storage, shift!.storage], y.storage);
  },
  vjp: (d, { inputs: [x, scale], needs }) => [
    needs[0] ? mul(d, perChannel(scale!, d)) : undefined,
    needs[1] ? sum(mul(d, x!), beside(d)) : undefined,
    needs[2] ? sum(d, beside(d)) : undefined,
  ],
};

const perChannel = (t: Tensor, like: Tensor) =>
  reshape(
    t,
    like.shape.map((_, i) => (i === 1 ? t.size : 1)),
  );
/** Every axis but the channels'. */
const beside = (x: Tensor) => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

/** x scale[c] + shift[c] for every channel c of x [N, C, ...]. */
export const scaleShift = (x: Tensor, scale: Tensor, shift: Tensor): Tensor =>
  apply(channelwise, [x, scale, shift], undefined);

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
  const axes = beside(x);
  const average = mean(x, axes);
  const centred = sub(x, perChannel(average, x));
  const variance = mean(mul(centred, centred), axes);
  const scale = div(weight, sqrt(affine(variance, 1, epsilon)));
  return { output: scaleShift(centred, scale, bias), mean: average, variance };
}

/** Layer normalisation over the last axis (Ba 2016). */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
  const centred = sub(x, mean(x, [-1], true));
  const deviation = sqrt(affine(mean(mul(centred, centred), [-1], true), 1, epsilon));
  return add(mul(div(centred, deviation), weight), bias);
}
