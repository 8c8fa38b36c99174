// Shapley values divide what all channels change together (Shapley 1953, efficiency): exact ones and sampled ones, whose
// every order does.

import { full, scope } from '../../engine/index.ts';
import { shapley } from '../methods/shapley.ts';
import { logit } from '../target.ts';
import { type Claim, gap, numbersOf, rounding, roundingReason, sizeOfProduct, total } from './claim.ts';

export const shapleySum: Claim = {
  name: 'shapley-sum',
  sentence: 'the Shapley values of the channels add up to what they change together',
  tex: '\\sum_k \\varphi_k = S(A) - S(0)',
  exempt: () => undefined,
  async residual(seen, classIndex) {
    const { featureMap, score } = seen;
    const { w_k } = await numbersOf(shapley, seen, classIndex);
    const ends = scope(() =>
      [featureMap, full(featureMap.device, featureMap.shape, 0)].map((a) => score(logit(classIndex), a)),
    );
    const [whole, nothing] = await Promise.all(ends.map(async (x) => (await x.data())[0]!));
    for (const end of ends) end.dispose();
    const size =
      sizeOfProduct(
        w_k!,
        w_k!.map(() => 1),
      ) +
      Math.abs(whole!) +
      Math.abs(nothing!);
    return gap([total(w_k!)], [whole! - nothing!], size);
  },
  bound: (seen) => rounding(seen, seen.layer),
  because: roundingReason,
};
