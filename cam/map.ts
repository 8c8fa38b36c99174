// What all methods share after their weights: the weighted sum, ReLU, upsampling, normalisation.

import { clamp, div, matmul, maxNorm, reshape, type Tensor, upsample } from '../engine/index.ts';

/** sum_k w_k A_k: weights [K], feature map [1, K, h, w] -> [h, w]; a product of a row and a matrix. */
export function weightedSum(weights: Tensor, featureMap: Tensor): Tensor {
  const [, channels, h, w] = featureMap.shape as [number, number, number, number];
  const row = reshape(weights, [1, channels]);
  return reshape(matmul(row, reshape(featureMap, [channels, h * w])), [h, w]);
}

/** A map [h, w] bilinearly at the input's size (corners not aligned). */
export function upsampleMap(map: Tensor, size: readonly [height: number, width: number]): Tensor {
  return reshape(upsample(reshape(map, [1, 1, ...map.shape]), size), size);
}

/** Normal numbers of f32: what a map is divided by lies between them, so that 0 / 0 does not arise. */
const [SMALLEST, LARGEST] = [2 ** -126, (2 - 2 ** -23) * 2 ** 127];

/**
 * A map divided by its maximum, as the papers do; by its largest magnitude where it has a sign. A map that is zero
 * everywhere stays so.
 */
export function normaliseMap(map: Tensor): Tensor {
  return div(map, clamp(maxNorm(map), SMALLEST, LARGEST));
}
