// Grad-CAM (Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, ICCV 2017).
//
//   w_k = 1/Z sum_xy dS/dA_k(x, y)                                     equation (1)
//   M   = ReLU(sum_k w_k A_k)                                          equation (2)
//
// Z = h w. Behind global average pooling Z w_k is CAM's weight, so the maps agree up to Z.

import { mean, reshape } from '../../engine/index.ts';
import { weightedSum } from '../map.ts';
import type { Method } from '../method.ts';
import { gradientOf } from '../observe.ts';

export const gradCam: Method = {
  name: 'grad-cam',
  title: 'Grad-CAM',
  relu: true,
  explain(observation, { target }) {
    const g = gradientOf(observation, target);
    const weights = reshape(mean(g, [2, 3]), [-1]);
    return { weights, map: weightedSum(weights, observation.featureMap) };
  },
};
