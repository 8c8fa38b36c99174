// What all methods share after their weights: the weighted sum, upsampling, normalisation.

import {
  abs,
  add,
  affine,
  div,
  divideByMaxNorm,
  matmul,
  mul,
  reshape,
  sqrt,
  step,
  sum,
  type Tensor,
  upsample,
} from '../engine/index.ts';

// Of N pictures each of these has the pictures one after another along its first axis.

/** sum_k w_k A_k: weights [N K], feature map [N, K, h, w] -> [N h, w]; a product of a row and a matrix. */
export function weightedSum(weights: Tensor, featureMap: Tensor): Tensor {
  const [pictures, channels, h, w] = featureMap.shape as [number, number, number, number];
  const rows = reshape(weights, [pictures, 1, channels]);
  return reshape(matmul(rows, reshape(featureMap, [pictures, channels, h * w])), [pictures * h, w]);
}

/** The sum over the channels of [N, K, h, w] -> [N h, w]. */
export const channelSum = (x: Tensor): Tensor =>
  reshape(sum(x, [1]), [x.shape[0]! * x.shape[2]!, x.shape[3]!]);

/** a / b, and 0 where b is 0. */
export function quotient(a: Tensor, b: Tensor): Tensor {
  const used = step(abs(b));
  return mul(used, div(a, add(b, affine(used, -1, 1))));
}

/** x over its length; zeros stay so. */
export function unit(x: Tensor): Tensor {
  const scaled = divideByMaxNorm(x); // so that no square is lost
  return quotient(scaled, sqrt(sum(mul(scaled, scaled))));
}

/** A map [N h, w] bilinearly at the input's size [N H, W] (corners not aligned). */
export function upsampleMap(
  map: Tensor,
  [height, width]: readonly [height: number, width: number],
  pictures = 1,
): Tensor {
  const [rows, w] = map.shape as [number, number];
  const planes = reshape(map, [pictures, 1, rows / pictures, w]);
  return reshape(upsample(planes, [height, width]), [pictures * height, width]);
}

/**
 * A map divided by its maximum, as the papers do; by its largest magnitude where it has a sign. A map that is zero
 * everywhere stays so.
 */
export const normaliseMap = (map: Tensor, pictures = 1): Tensor =>
  pictures === 1
    ? divideByMaxNorm(map)
    : reshape(divideByMaxNorm(reshape(map, [pictures, map.size / pictures]), [1]), map.shape);
