// Grad-CAM (Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, ICCV 2017).
//
//   w_k = 1/Z sum_xy dS/dA_k(x, y)                                     equation (1)
//   M   = ReLU(sum_k w_k A_k)                                          equation (2)
//
// Z = h w. Behind global average pooling Z w_k is CAM's weight, so the maps agree up to Z.

import { mean, reshape } from '../../engine/index.ts';
import type { DryRun } from '../../models/dry-run.ts';
import { isRecurrent, tokenLayer } from '../../models/target-layer.ts';
import { weightedSum } from '../map.ts';
import type { Method } from '../method.ts';

/** The gradient, as every method that takes it has it. */
export const gradientTerm = {
  tex: 'g_k = \\frac{\\partial S}{\\partial A_k}',
  equation: 'Selvaraju 2017, (1)',
  is: 'gradient of the target at each element of the feature map [1, K, h, w]',
};

/** The map, as every method with a ReLU and one weight a channel has it. */
export const weightedMap = (equation: string) => ({
  tex: 'M = \\mathrm{ReLU} \\sum_k w_k A_k',
  equation,
  is: 'sum of the channels by their weights [h, w], before ReLU',
});

const AMONG_TOKENS =
  'on a transformer Grad-CAM averages the gradient over tokens and loses where it came from: on digit-vit half of its ' +
  'peaks miss the object; attn-lrp, gae and hires-cam miss fewer';

const BEHIND_GATES =
  'the network reads words through gates, and the gradient at one picture says little of what opened them: on digit-caption ' +
  'a third of the peaks of Grad-CAM miss the digit of the word, and one in twenty of layer-integrated-gradients';

/** What is known of averages of the gradient in networks such as this. */
function known(dry: DryRun): string | undefined {
  if (isRecurrent(dry)) return BEHIND_GATES;
  return tokenLayer(dry) === undefined ? undefined : AMONG_TOKENS;
}

export const gradCam: Method = {
  name: 'grad-cam',
  title: 'Grad-CAM',
  paper: 'Selvaraju 2017',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    w_k: {
      tex: 'w_k = \\frac{1}{Z} \\sum_{xy} g_k(x, y)',
      equation: 'Selvaraju 2017, (1)',
      is: 'mean gradient of channel k [K]',
      note: (_, trace) => known(trace.dry()),
    },
    M: weightedMap('Selvaraju 2017, (2)'),
  },
  explain({ featureMap, gradient }, { target }) {
    const g_k = gradient(target);
    const w_k = reshape(mean(g_k, [2, 3]), [-1]);
    return { g_k, w_k, M: weightedSum(w_k, featureMap) };
  },
};
