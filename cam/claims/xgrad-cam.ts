// XGrad-CAM's weight is the mean of the gradient weighted by the channel, Grad-CAM's the plain mean: alike where the gradient
// is the same everywhere. Both are compared times sum A, by which XGrad-CAM divides and which may be next to 0.

import { gradCam } from '../methods/grad-cam.ts';
import { xgradCam } from '../methods/xgrad-cam.ts';
import { type Claim, channelsOf, gap, numbersOf, seesPositions, sizeOfProduct, total } from './claim.ts';

export const xgradWeights: Claim = {
  name: 'xgrad-cam-weights',
  sentence: "XGrad-CAM's weights are Grad-CAM's",
  tex: 'w_k^{\\text{XGrad}} = \\frac{\\sum_{xy} A_k g_k}{\\sum_{xy} A_k} = w_k^{\\text{Grad-CAM}}',
  exempt: seesPositions,
  async residual(seen, classIndex) {
    const x = await numbersOf(xgradCam, seen, classIndex);
    const { w_k } = await numbersOf(gradCam, seen, classIndex);
    const A = channelsOf(await seen.featureMap.data(), seen);
    const g = channelsOf(x.g_k!, seen);
    const times = (weights: Float32Array) => A.map((plane, k) => weights[k]! * total(plane));
    const sizes = A.map((plane, k) => sizeOfProduct(plane, g[k]!));
    return gap(times(x.w_k!), times(w_k!), Math.max(...sizes));
  },
};
