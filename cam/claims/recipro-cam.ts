// Recipro-CAM runs the network with one position at a time. Where S is affine in A each position adds its part to S(0). Of a
// logit that says it is one the method then takes the parts from a gradient; here it is asked of a function, which is run.

import { full } from '../../engine/index.ts';
import { hiresCam } from '../methods/hires-cam.ts';
import { reciproCam } from '../methods/recipro-cam.ts';
import { numberOfEachNew } from '../numbers.ts';
import { scoreOf } from '../target.ts';
import { logit } from '../targets.ts';
import { type Claim, gap, magnitude, notAffine, numbersOf } from './claim.ts';

export const reciproCamIsCam: Claim = {
  name: 'recipro-cam',
  sentence: 'Recipro-CAM is CAM / Z and the bias',
  tex: 'M^{\\text{Recipro}} = S(A \\circ \\delta_{xy}) = \\sum_k g_k A_k + S(0)',
  exempt: notAffine,
  async residual(seen, classIndex, progress) {
    const { featureMap, score } = seen;
    const target = logit(classIndex);
    const { M } = await numbersOf(reciproCam, seen, classIndex, {
      target: (outputs) => scoreOf(target, outputs),
      progress,
    });
    const cam = await numbersOf(hiresCam, seen, classIndex);
    const [bias] = await numberOfEachNew(() => [score(target, full(featureMap.device, featureMap.shape, 0))]);
    const told = cam.M!.map((value) => value + bias!);
    return gap(M!, told, magnitude(M!) + magnitude(cam.M!) + Math.abs(bias!));
  },
};
