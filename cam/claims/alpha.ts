// Grad-CAM++ weighs the elements of a channel by alpha. Where the network sees of a channel its mean alone, all elements have
// one gradient and one alpha: what tells Grad-CAM++ from Grad-CAM is then a factor for each channel, not for each place.

import { gradCamPlusPlus } from '../methods/grad-cam-plus-plus.ts';
import {
  type Claim,
  channelsOf,
  largest,
  numbersOf,
  rounding,
  roundingReason,
  seesPositions,
} from './claim.ts';

export const alphaIsConstant: Claim = {
  name: 'grad-cam++-alpha',
  sentence: "Grad-CAM++'s alpha is the same at every place of a channel",
  tex: '\\alpha_k(x, y) = \\alpha_k',
  exempt: seesPositions,
  async residual(seen, classIndex) {
    const { alpha_k } = await numbersOf(gradCamPlusPlus, seen, classIndex);
    const ranges = channelsOf(alpha_k!, seen).map(
      (plane) => plane.reduce((a, b) => Math.max(a, b)) - plane.reduce((a, b) => Math.min(a, b)),
    );
    const size = largest(alpha_k!);
    return size === 0 ? 0 : largest(ranges) / size;
  },
  bound: (seen) => rounding(seen, seen.layer),
  because: roundingReason,
};
