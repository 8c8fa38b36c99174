// HiResCAM (Draelos, Carin: Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional networks, 2020).
//
//   M = ReLU(sum_k g_k A_k), element by element                  g_k = dS/dA_k
//
// The gradient is not averaged over the positions, so that each keeps its sign and size where it belongs. Behind global
// average pooling M is CAM / Z. Where S is piecewise linear in A and has no bias, the positions of M before ReLU add up to S.

import { mul } from '../../engine/index.ts';
import { channelSum } from '../map.ts';
import type { Method } from '../method.ts';
import { gradientTerm } from './grad-cam.ts';

export const hiresCam: Method = {
  name: 'hires-cam',
  title: 'HiResCAM',
  paper: 'Draelos 2020',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    M: {
      tex: 'M = \\mathrm{ReLU} \\sum_k g_k A_k',
      equation: 'Draelos 2020, the definition',
      is: 'sum over the channels of gradient times value [h, w], before ReLU',
    },
  },
  explain({ featureMap, gradient }, { target }) {
    const g_k = gradient(target);
    return { g_k, M: channelSum(mul(g_k, featureMap)) };
  },
};
