// FullGrad's completeness: where the whole network is affine between kinks, the gradients of the picture and of all biases,
// each times what it is the gradient of, add up to the logit (Srinivas, Fleuret 2019).

import { INPUT } from '../../models/graph.ts';
import { fullGrad } from '../methods/full-grad.ts';
import { logit } from '../targets.ts';
import { type Claim, curvedAfter, gap, numbersOf, rounding, sizeOfProduct } from './claim.ts';

export const fullGradCompleteness: Claim = {
  name: 'full-grad',
  sentence: 'the gradients of the picture and of the biases add up to the logit',
  tex: '\\sum X \\frac{\\partial S}{\\partial X} + \\sum_l \\sum b_l \\frac{\\partial S}{\\partial z_l} = S',
  exempt: (seen) => curvedAfter(seen, INPUT),
  async residual(seen, classIndex) {
    const { trace } = seen;
    const { r } = await numbersOf(fullGrad, seen, classIndex);
    const [slopes] = trace.gradients(logit(classIndex), [INPUT]);
    const size = sizeOfProduct(await trace.picture.data(), await slopes!.data());
    return gap([r![1]!], [0], Math.abs(r![0]!) + size);
  },
  bound: (seen) => rounding(seen, INPUT),
};
