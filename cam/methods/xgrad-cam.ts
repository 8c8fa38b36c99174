// XGrad-CAM (Fu, Hu, Dong, Guo, Gao, Li: Axiom-based Grad-CAM, BMVC 2020).
//
//   w_k = sum_xy A_k g_k / sum_xy A_k                  g_k = dS/dA_k
//   M   = ReLU(sum_k w_k A_k)
//
// A mean of the gradient, weighted by the channel. Behind global average pooling g_k is constant, and the weights are
// Grad-CAM's. Where a channel has both signs its sum may come near 0 and the weight means nothing; a sum of 0 gets weight 0.

import { abs, affine, greater, mul, reshape, sum } from '../../engine/index.ts';
import { quotient, weightedSum } from '../map.ts';
import type { Method } from '../method.ts';
import { gradientTerm, weightedMap } from './grad-cam.ts';

/** A sum below this share of the sum of magnitudes is as good as 0. */
const NEAR_0 = 0.02;

export const xgradCam: Method = {
  name: 'xgrad-cam',
  title: 'XGrad-CAM',
  paper: 'Fu 2020',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    w_k: {
      tex: 'w_k = \\frac{\\sum_{xy} A_k(x, y) \\, g_k(x, y)}{\\sum_{xy} A_k(x, y)}',
      equation: 'Fu 2020, the weights',
      is: 'gradient of channel k, its mean weighted by the channel [K]',
    },
    n: {
      tex: 'n',
      equation: 'not in the paper',
      is: 'channels whose values nearly cancel in their sum [1]',
      note: ([n]) =>
        n! > 0
          ? `the values of ${n} channel${n === 1 ? '' : 's'} nearly cancel in the sum by which XGrad-CAM divides: their ` +
            'weights, used as they are, may be far too large'
          : undefined,
    },
    M: weightedMap('Fu 2020, the definition'),
  },
  explain({ featureMap, gradient }, { target }) {
    const g_k = gradient(target);
    const total = sum(featureMap, [2, 3]);
    const w_k = reshape(quotient(sum(mul(featureMap, g_k), [2, 3]), total), [-1]);
    const near = greater(affine(sum(abs(featureMap), [2, 3]), NEAR_0, 0), abs(total));
    return { g_k, w_k, n: sum(near, [1]), M: weightedSum(w_k, featureMap) };
  },
};
