// Z w_k(Grad-CAM) = w_k(CAM), of Selvaraju 2017, section 3.1. CAM's weight is found without a gradient: it is what S gains
// from a channel that is 1 at every place, all others being 0.

import { broadcastTo, full, scope, sum } from '../../engine/index.ts';
import { inChunks } from '../method.ts';
import { logit } from '../target.ts';
import { oneHotRows } from '../trace.ts';
import { type Claim, gap, largest, notAffine, rounding, roundingReason } from './claim.ts';

export const gradCamWeights: Claim = {
  name: 'grad-cam-weights',
  sentence: "Z times Grad-CAM's weights are CAM's: what the logit gains from a channel of ones",
  tex: 'Z w_k^{\\text{Grad-CAM}} = w_k^{\\text{CAM}} = S(\\mathbf 1_k) - S(0)',
  exempt: notAffine,
  async residual(seen, classIndex) {
    const { featureMap, gradient, score } = seen;
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const target = logit(classIndex);
    const { gained, zero, weights } = scope(() => ({
      gained: inChunks(channels, featureMap.size, undefined, (start, count) => {
        const planes = oneHotRows(featureMap, start, count, [channels, 1, 1]);
        return score(target, broadcastTo(planes, [count, channels, h, w]));
      }),
      zero: score(target, full(featureMap.device, featureMap.shape, 0)),
      weights: sum(gradient(target), [2, 3]),
    }));
    const [nothing] = await zero.data();
    const parts = await Promise.all(gained.map((part) => part.data()));
    const direct = Float32Array.from(
      parts.flatMap((part) => [...part]),
      (value) => value - nothing!,
    );
    const found = await weights.data();
    for (const made of [...gained, zero, weights]) made.dispose();
    return gap(found, direct, Math.abs(nothing!) + Math.max(largest(found), largest(direct)));
  },
  bound: (seen) => rounding(seen, seen.layer),
  because: roundingReason,
};
