// Normalisation layers: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, over different sets of
// elements. Variances are biased: divided by the count, not by the count less one.

import { type Array64, build, check, offsetOf, stridesOf } from './array.ts';
import { binary, unary } from './elementwise.ts';
import { mean } from './reduction.ts';

function scalar(value: number): Array64 {
  return { shape: [], data: Float64Array.of(value) };
}

function variance(x: Array64, axes: readonly number[]): Array64 {
  const deviation = binary.sub(x, mean(x, axes, true));
  return mean(binary.mul(deviation, deviation), axes, true);
}

function normalise(
  x: Array64,
  average: Array64,
  spread: Array64,
  weight: Array64,
  bias: Array64,
  epsilon: number,
): Array64 {
  const deviation = unary.sqrt(binary.add(spread, scalar(epsilon)));
  return binary.add(binary.mul(binary.div(binary.sub(x, average), deviation), weight), bias);
}

/** A vector [C] as [C, 1, ..., 1], to broadcast along axis 1 of an array of the given shape. */
function perChannel(v: Array64, shape: readonly number[]): Array64 {
  check(v.data.length === shape[1], `[${v.shape}] for the channels of [${shape}]`);
  return { shape: [shape[1], ...shape.slice(2).map(() => 1)], data: v.data };
}

/** Inference: x [N, C, ...] with running statistics; mean, variance, weight and bias [C]. */
export function batchNorm(
  x: Array64,
  runningMean: Array64,
  runningVariance: Array64,
  weight: Array64,
  bias: Array64,
  epsilon = 1e-5,
): Array64 {
  const [m, v, w, b] = [runningMean, runningVariance, weight, bias].map((a) => perChannel(a, x.shape));
  return normalise(x, m, v, w, b, epsilon);
}

/** Training: x [N, C, ...] with the statistics of the batch, which are given back as [C]. */
export function batchNormTraining(
  x: Array64,
  weight: Array64,
  bias: Array64,
  epsilon = 1e-5,
): { output: Array64; mean: Array64; variance: Array64 } {
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const channels = [x.shape[1]];
  const m = { shape: channels, data: mean(x, axes).data };
  const v = { shape: channels, data: variance(x, axes).data };
  return { output: batchNorm(x, m, v, weight, bias, epsilon), mean: m, variance: v };
}

/** Over the last axes, those of `weight` and `bias`. */
export function layerNorm(x: Array64, weight: Array64, bias: Array64, epsilon = 1e-5): Array64 {
  const first = x.shape.length - weight.shape.length;
  check(String(x.shape.slice(first)) === String(weight.shape), `[${weight.shape}] does not end [${x.shape}]`);
  const axes = weight.shape.map((_, axis) => first + axis);
  return normalise(x, mean(x, axes, true), variance(x, axes), weight, bias, epsilon);
}

/** Over the pixels of each channel of each image: x [N, C, ...], weight and bias [C]. */
export function instanceNorm(x: Array64, weight: Array64, bias: Array64, epsilon = 1e-5): Array64 {
  const axes = x.shape.map((_, axis) => axis).slice(2);
  const [w, b] = [weight, bias].map((a) => perChannel(a, x.shape));
  return normalise(x, mean(x, axes, true), variance(x, axes), w, b, epsilon);
}

/**
 * Local response normalisation across channels (Krizhevsky et al. 2012, as ONNX's LRN defines it):
 * x / (bias + alpha / size * sum of squares)^beta, over floor((size - 1) / 2) channels before and
 * ceil((size - 1) / 2) after.
 */
export function lrn(
  x: Array64,
  {
    size,
    alpha = 1e-4,
    beta = 0.75,
    bias = 1,
  }: { size: number; alpha?: number; beta?: number; bias?: number },
): Array64 {
  const strides = stridesOf(x.shape);
  return build(x.shape, (index) => {
    const here = offsetOf(strides, index);
    const channel = index[1];
    const first = Math.max(0, channel - Math.floor((size - 1) / 2));
    const last = Math.min(x.shape[1] - 1, channel + Math.ceil((size - 1) / 2));
    let squares = 0;
    for (let c = first; c <= last; c++) squares += x.data[here + (c - channel) * strides[1]] ** 2;
    return x.data[here] / (bias + (alpha / size) * squares) ** beta;
  });
}
