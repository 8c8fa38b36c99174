// Recipro-CAM runs the network with one position at a time. Where S is affine in A each position adds its part to S(0). Of a
// logit that says it is one the method then takes the parts from a gradient; here it is asked of a function, which is run.

import { full, scope } from '../../engine/index.ts';
import { hiresCam } from '../methods/hires-cam.ts';
import { reciproCam } from '../methods/recipro-cam.ts';
import { logit, scoreOf } from '../target.ts';
import { type Claim, gap, largest, notAffine, numbersOf, rounding, roundingReason } from './claim.ts';

export const reciproCamIsCam: Claim = {
  name: 'recipro-cam',
  sentence: 'Recipro-CAM is CAM / Z and the bias',
  tex: 'M^{\\text{Recipro}} = S(A \\circ \\delta_{xy}) = \\sum_k g_k A_k + S(0)',
  exempt: notAffine,
  async residual(seen, classIndex) {
    const { featureMap, score } = seen;
    const target = logit(classIndex);
    const { M } = await numbersOf(reciproCam, seen, classIndex, (outputs) => scoreOf(target, outputs));
    const cam = await numbersOf(hiresCam, seen, classIndex);
    const nothing = scope(() => score(target, full(featureMap.device, featureMap.shape, 0)));
    const [bias] = await nothing.data();
    nothing.dispose();
    const told = cam.M!.map((value) => value + bias!);
    return gap(M!, told, largest(M!) + largest(cam.M!) + Math.abs(bias!));
  },
  bound: (seen) => rounding(seen, seen.layer),
  because: roundingReason,
};
