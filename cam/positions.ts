// S of a feature map that has one position alone, or all but one, for every position.
//
// Where S is affine in A, as behind global average pooling and a linear layer, that is S without any position plus what the
// one contributes, or S less it, and a gradient tells both: S(A) = S(0) + sum_xy sum_k g_k A_k. Elsewhere the tail is run
// once for each position.

import { add, concat, mul, reshape, type Steps, scale, sub, type Tensor } from '../engine/index.ts';
import { firstNonlinear } from '../models/dry-run.ts';
import { channelSum } from './map.ts';
import { chunksInSteps, type MethodContext } from './method.ts';
import { oneHotRows } from './numbers.ts';
import { isLinear } from './target.ts';
import type { TracedLayer } from './trace.ts';

/** S [h, w]: for each position, of the feature map with that position alone, or without it. */
export function* scoreByPosition(
  { featureMap, gradient, layer, score, trace }: TracedLayer,
  { target, progress }: MethodContext,
  kept: 'alone' | 'without',
): Steps<Tensor> {
  const [, , h, w] = featureMap.shape as [number, number, number, number];
  if (isLinear(target) && firstNonlinear(trace.dry(), layer) === undefined) {
    const parts = channelSum(mul(gradient(target), featureMap));
    return kept === 'alone'
      ? add(score(target, scale(featureMap, 0)), parts)
      : sub(score(target, featureMap), parts);
  }
  const parts = yield* chunksInSteps(h * w, featureMap.size, progress, (start, count) => {
    const alone = mul(featureMap, oneHotRows(featureMap, start, count, [1, h, w]));
    return score(target, kept === 'alone' ? alone : sub(featureMap, alone));
  });
  return reshape(concat(parts, 0), [h, w]);
}
