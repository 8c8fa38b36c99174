// HiResCAM multiplies gradients and values before it adds, CAM adds gradients first. Behind pooling g_k is the same
// everywhere, w_k^CAM / Z, and the order does not matter.

import { hiresCam } from '../methods/hires-cam.ts';
import { type Claim, channelsOf, either, gap, notAffine, numbersOf, seesPositions } from './claim.ts';
import { gainsOfOnes } from './grad-cam-weights.ts';

export const hiresCamIsCam: Claim = {
  name: 'hires-cam',
  sentence: 'HiResCAM is CAM / Z',
  tex: 'M^{\\text{HiResCAM}} = \\sum_k g_k A_k = \\frac 1 Z \\sum_k w_k^{\\text{CAM}} A_k',
  exempt: either(notAffine, seesPositions),
  async residual(seen, classIndex) {
    const { M } = await numbersOf(hiresCam, seen, classIndex);
    const { gains, zero } = await gainsOfOnes(seen, classIndex);
    const A = channelsOf(await seen.featureMap.data(), seen);
    const cam = new Float64Array(M!.length);
    const sizes = new Float64Array(M!.length);
    A.forEach((plane, k) => {
      plane.forEach((value, i) => {
        cam[i]! += (gains[k]! * value) / M!.length;
        sizes[i]! += ((Math.abs(gains[k]!) + Math.abs(zero)) * Math.abs(value)) / M!.length;
      });
    });
    return gap(M!, cam, Math.max(...sizes));
  },
};
