// Shapley values divide what all channels change together (Shapley 1953, efficiency): exact ones and sampled ones, whose
// every order does.

import { full } from '../../engine/index.ts';
import { shapley } from '../methods/shapley.ts';
import { numberOfEachNew } from '../numbers.ts';
import { logit } from '../targets.ts';
import { type Claim, gap, numbersOf, total } from './claim.ts';

export const shapleySum: Claim = {
  name: 'shapley-sum',
  sentence: 'the Shapley values of the channels add up to what they change together',
  tex: '\\sum_k \\varphi_k = S(A) - S(0)',
  async residual(seen, classIndex, progress) {
    const { featureMap, score } = seen;
    const { w_k } = await numbersOf(shapley, seen, classIndex, { progress });
    const [whole, nothing] = await numberOfEachNew(() =>
      [featureMap, full(featureMap.device, featureMap.shape, 0)].map((a) => score(logit(classIndex), a)),
    );
    const size = total(w_k!.map(Math.abs)) + Math.abs(whole!) + Math.abs(nothing!);
    return gap([total(w_k!)], [whole! - nothing!], size);
  },
};
