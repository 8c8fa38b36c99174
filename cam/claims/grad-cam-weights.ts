// Z w_k(Grad-CAM) = w_k(CAM), of Selvaraju 2017, section 3.1. CAM's weight is found without a gradient: it is what S gains
// from a channel that is 1 at every place, all others being 0.

import { broadcastTo, full } from '../../engine/index.ts';
import { inChunks } from '../method.ts';
import { gradCam } from '../methods/grad-cam.ts';
import { numbersOfNew, oneHotRows } from '../numbers.ts';
import { logit } from '../targets.ts';
import type { TracedLayer } from '../trace.ts';
import { type Claim, gap, magnitude, notAffine, numbersOf } from './claim.ts';

/** What the logit gains from a channel of ones, S(1_k) - S(0), for each channel, and S(0). */
export async function gainsOfOnes(
  { featureMap, score }: TracedLayer,
  classIndex: number,
): Promise<{ gains: Float32Array; zero: number }> {
  const [, channels, h, w] = featureMap.shape as [number, number, number, number];
  const target = logit(classIndex);
  const [nothing, ...parts] = await numbersOfNew(() => [
    score(target, full(featureMap.device, featureMap.shape, 0)),
    ...inChunks(channels, featureMap.size, undefined, (start, count) => {
      const planes = oneHotRows(featureMap, start, count, [channels, 1, 1]);
      return score(target, broadcastTo(planes, [count, channels, h, w]));
    }),
  ]);
  const zero = nothing![0]!;
  return { gains: Float32Array.from(parts.flatMap((part) => [...part].map((value) => value - zero))), zero };
}

export const gradCamWeights: Claim = {
  name: 'grad-cam-weights',
  sentence: "Z times Grad-CAM's weights are CAM's: what the logit gains from a channel of ones",
  tex: 'Z w_k^{\\text{Grad-CAM}} = w_k^{\\text{CAM}} = S(\\mathbf 1_k) - S(0)',
  exempt: notAffine,
  async residual(seen, classIndex) {
    const { gains, zero } = await gainsOfOnes(seen, classIndex);
    const { w_k, M } = await numbersOf(gradCam, seen, classIndex);
    const found = w_k!.map((weight) => M!.length * weight);
    return gap(found, gains, Math.abs(zero) + Math.max(magnitude(found), magnitude(gains)));
  },
};
