// Ablation-CAM's weights times |S| are drops of the score. Where S is affine in A, the drop without channel k is what the
// gradient says of the channel: sum_xy g_k A_k, behind global average pooling w_k mean A_k.

import { abs, mul, scope, scopeInSteps, sum } from '../../engine/index.ts';
import { stepsOf } from '../method.ts';
import { ablationCam } from '../methods/ablation-cam.ts';
import { logit } from '../target.ts';
import { type Claim, gap, notAffine, rounding, roundingReason } from './claim.ts';

export const ablation: Claim = {
  name: 'ablation',
  sentence:
    "Ablation-CAM's weights times |S| are the sums of g A of each channel, w_k mean A_k behind pooling",
  tex: '|S| w_k^{\\text{Ablation}} = S - S^k = \\sum_{xy} g_k A_k',
  exempt: notAffine,
  async residual(seen, classIndex) {
    const target = logit(classIndex);
    const found = await scopeInSteps(stepsOf(ablationCam, seen, { target, classIndex }));
    const sums = scope(() => {
      const parts = mul(seen.gradient(target), seen.featureMap);
      return [sum(parts, [2, 3]), sum(abs(parts))];
    });
    const made = [found.S!, found.S_k!, ...sums];
    const [S, without, told, sizes] = await Promise.all(made.map((x) => x.data()));
    for (const one of [...Object.values(found), ...sums]) one.dispose();
    const drops = without!.map((value) => S![0]! - value);
    return gap(drops, told!, Math.abs(S![0]!) + sizes![0]!);
  },
  bound: (seen) => rounding(seen, seen.layer),
  because: roundingReason,
};
