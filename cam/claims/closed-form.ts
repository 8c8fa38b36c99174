// Grad-CAM++'s closed form of alpha (equation 19) takes the second and third derivatives of S for 0. They are where S is
// affine between kinks; elsewhere equation 10 with the true derivatives says something else. Compared are the denominators
// 1 / alpha = 2 + sum A Y''' / Y'', for some elements of large gradient.

import { largest } from '../../engine/extremes.ts';
import { scopeInSteps } from '../../engine/index.ts';
import { diagonal, gradCamPlusPlus } from '../methods/grad-cam-plus-plus.ts';
import { logit } from '../targets.ts';
import { type Claim, channelsOf, gap, magnitude, notPiecewise, numbersOf, total } from './claim.ts';

/** Elements whose derivatives are taken. */
const ELEMENTS = 16;
/** They have a gradient of this share of the largest, or more: powers of small ones are lost in f32. */
const LARGE = 0.01;

export const closedForm: Claim = {
  name: 'grad-cam++-closed-form',
  sentence: "Grad-CAM++'s alpha by its closed form is that of the true derivatives",
  tex: "\\frac{1}{2 + g_k \\sum_{ab} A_k} = \\frac{Y''}{2 Y'' + \\sum_{ab} A_k Y'''}",
  exempt: notPiecewise,
  async residual(seen, classIndex, progress) {
    const { g_k, alpha_k } = await numbersOf(gradCamPlusPlus, seen, classIndex);
    const top = Math.max(0, largest(g_k!));
    const large = [...g_k!.keys()].filter((i) => g_k![i]! > 0 && g_k![i]! >= LARGE * top);
    const elements = large.filter((_, i) => i % Math.ceil(large.length / ELEMENTS) === 0);
    if (elements.length === 0) return 0;
    const context = { target: logit(classIndex), classIndex, progress };
    const derivatives = await scopeInSteps(diagonal(seen, context, elements));
    const [Y2, Y3] = await Promise.all(derivatives.map((d) => d.data()));
    for (const d of derivatives) d.dispose();
    const A = channelsOf(await seen.featureMap.data(), seen);
    const channelOf = (element: number) => A[Math.floor((element * A.length) / g_k!.length)]!;
    const denominators = elements.map((element, i) => 2 + (total(channelOf(element)) * Y3![i]!) / Y2![i]!);
    const sizes = elements.map((element) => 2 + g_k![element]! * total(channelOf(element).map(Math.abs)));
    return gap(
      denominators,
      elements.map((element) => 1 / alpha_k![element]!),
      magnitude(sizes),
    );
  },
};
