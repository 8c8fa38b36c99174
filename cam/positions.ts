// S at versions of a feature map that differ from position to position.

import { concat, reshape, type Steps, type Tensor } from '../engine/index.ts';
import { chunksInSteps, type MethodContext } from './method.ts';
import { oneHotRows, type TracedLayer } from './trace.ts';

/**
 * S [h, w]: for each position, of the version that `versions` makes of masks [n, 1, h, w], 1 at one position each and 0
 * elsewhere.
 */
export function* scoreByPosition(
  { featureMap, score }: TracedLayer,
  { target, progress }: MethodContext,
  versions: (at: Tensor) => Tensor,
): Steps<Tensor> {
  const [, , h, w] = featureMap.shape as [number, number, number, number];
  const parts = yield* chunksInSteps(h * w, featureMap.size, progress, (start, count) =>
    score(target, versions(oneHotRows(featureMap, start, count, [1, h, w]))),
  );
  return reshape(concat(parts, 0), [h, w]);
}
