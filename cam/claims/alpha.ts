// Grad-CAM++ weighs the elements of a channel by alpha. Where the network sees of a channel its mean alone, all elements have
// one gradient and one alpha: what tells Grad-CAM++ from Grad-CAM is then a factor for each channel, not for each place.

import { largest, least } from '../../engine/extremes.ts';
import { gradCamPlusPlus } from '../methods/grad-cam-plus-plus.ts';
import { type Claim, channelsOf, magnitude, numbersOf, seesPositions } from './claim.ts';

export const alphaIsConstant: Claim = {
  name: 'grad-cam++-alpha',
  sentence: "Grad-CAM++'s alpha is the same at every place of a channel",
  tex: '\\alpha_k(x, y) = \\alpha_k',
  exempt: seesPositions,
  async residual(seen, classIndex) {
    const { alpha_k } = await numbersOf(gradCamPlusPlus, seen, classIndex);
    const ranges = channelsOf(alpha_k!, seen).map((plane) => largest(plane) - least(plane));
    const size = magnitude(alpha_k!);
    return size === 0 ? 0 : magnitude(ranges) / size;
  },
};
