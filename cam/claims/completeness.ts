// The mean of CAM plus the bias is the logit (Zhou 2016, equation 3). With M = Z sum_k g_k A_k the mean of M is sum g A, and
// the bias is S at A = 0: the gradient tells all of the score.

import { abs, full, mul, sum } from '../../engine/index.ts';
import { numberOfEachNew } from '../numbers.ts';
import { logit } from '../targets.ts';
import { type Claim, gap, notAffine } from './claim.ts';

export const completeness: Claim = {
  name: 'completeness',
  sentence: 'the mean of CAM plus the bias is the logit',
  tex: '\\frac 1 Z \\sum_{xy} M(x, y) + S(0) = \\sum_{kxy} g_k A_k + S(0) = S',
  exempt: notAffine,
  async residual({ featureMap, gradient, score }, classIndex) {
    const target = logit(classIndex);
    const [total, sizes, bias, whole] = await numberOfEachNew(() => {
      const parts = mul(gradient(target), featureMap);
      const zeros = full(featureMap.device, featureMap.shape, 0);
      return [sum(parts), sum(abs(parts)), score(target, zeros), score(target, featureMap)];
    });
    return gap([total! + bias!], [whole!], sizes! + Math.abs(bias!) + Math.abs(whole!));
  },
};
