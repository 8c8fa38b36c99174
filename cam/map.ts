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

/** sum_k w_k A_k: weights [K], feature map [1, K, h, w] -> [h, w]; a product of a row and a matrix. */
export function weightedSum(weights: Tensor, featureMap: Tensor): Tensor {
  const [, channels, h, w] = featureMap.shape as [number, number, number, number];
  const row = reshape(weights, [1, channels]);
  return reshape(matmul(row, reshape(featureMap, [channels, h * w])), [h, w]);
}

/** The sum over the channels of [1, K, h, w] -> [h, w]. */
export const channelSum = (x: Tensor): Tensor => reshape(sum(x, [1]), x.shape.slice(2));

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

/** A map [h, w] bilinearly at the input's size (corners not aligned). */
export function upsampleMap(map: Tensor, size: readonly [height: number, width: number]): Tensor {
  return reshape(upsample(reshape(map, [1, 1, ...map.shape]), size), size);
}

/**
 * A map divided by its maximum, as the papers do; by its largest magnitude where it has a sign. A map that is zero
 * everywhere stays so.
 */
export const normaliseMap = divideByMaxNorm;
