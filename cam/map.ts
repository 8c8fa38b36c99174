// What all methods share after their weights: the weighted sum, ReLU, upsampling, normalisation.

import {
  add,
  affine,
  div,
  max,
  mul,
  relu,
  reshape,
  step,
  sum,
  type Tensor,
  upsample,
} from '../engine/index.ts';

/** sum_k w_k A_k: weights [K], feature map [1, K, h, w] -> [h, w]. */
export function weightedSum(weights: Tensor, featureMap: Tensor): Tensor {
  const [, , h, w] = featureMap.shape as [number, number, number, number];
  return reshape(sum(mul(featureMap, reshape(weights, [1, -1, 1, 1])), [1]), [h, w]);
}

/** A map [h, w] bilinearly at the input's size (corners not aligned). */
export function upsampleMap(map: Tensor, size: readonly [height: number, width: number]): Tensor {
  return reshape(upsample(reshape(map, [1, 1, ...map.shape]), size), size);
}

/**
 * A map divided by its maximum, as the papers do; by its largest magnitude where it has a sign. A map that is zero
 * everywhere stays so.
 */
export function normaliseMap(map: Tensor): Tensor {
  const largest = max(add(relu(map), relu(affine(map, -1, 0))));
  // + 1 where the largest is 0, so that 0 / 0 does not arise.
  return div(map, add(largest, affine(step(largest), -1, 1)));
}
