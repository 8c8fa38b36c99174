// Ablation-CAM's weights times |S| are drops of the score. Where S is affine in A, the drop without channel k is what the
// gradient says of the channel: sum_xy g_k A_k, behind global average pooling w_k mean A_k.

import { ablationCam } from '../methods/ablation-cam.ts';
import { logit } from '../targets.ts';
import { type Claim, channelsOf, gap, notAffine, numbersOf, sizeOfProduct, total } from './claim.ts';

export const ablation: Claim = {
  name: 'ablation',
  sentence:
    "Ablation-CAM's weights times |S| are the sums of g A of each channel, w_k mean A_k behind pooling",
  tex: '|S| w_k^{\\text{Ablation}} = S - S^k = \\sum_{xy} g_k A_k',
  exempt: notAffine,
  async residual(seen, classIndex) {
    const { S, S_k } = await numbersOf(ablationCam, seen, classIndex);
    const g = channelsOf(await seen.gradient(logit(classIndex)).data(), seen);
    const A = channelsOf(await seen.featureMap.data(), seen);
    const drops = S_k!.map((without) => S![0]! - without);
    const told = A.map((plane, k) => total(plane.map((value, i) => value * g[k]![i]!)));
    const sizes = A.map((plane, k) => sizeOfProduct(plane, g[k]!));
    return gap(drops, told, Math.abs(S![0]!) + total(sizes));
  },
};
