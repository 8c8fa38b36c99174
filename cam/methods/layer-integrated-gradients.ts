// Integrated gradients at a layer (Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017).
//
//   I_k = A_k integral from 0 to 1 of dS/dA_k (t A) dt                   equation (1), the baseline 0
//   M   = sum_k I_k
//
// The positions of M add up to S(A) - S(0): completeness. The integral is a sum over the middles of STEPS parts of
// [0, 1]; what it misses of that is the residual, which is said. No ReLU.

import {
  affine,
  broadcastTo,
  concat,
  grad,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { channelSum } from '../map.ts';
import { chunksInSteps, type Method } from '../method.ts';
import { tensorOf } from '../numbers.ts';

/** Parts of the path from 0 to the feature map. */
const STEPS = 32;

export const layerIntegratedGradients: Method = {
  name: 'layer-integrated-gradients',
  title: 'Integrated gradients at a layer',
  paper: 'Sundararajan 2017',
  relu: false,
  terms: {
    I_k: {
      tex: 'I_k = A_k \\int_0^1 \\frac{\\partial S}{\\partial A_k}(t A) \\, dt',
      equation: 'Sundararajan 2017, (1)',
      is: 'contribution of each element of the feature map [1, K, h, w]',
    },
    M: {
      tex: 'M = \\sum_k I_k',
      equation: 'Sundararajan 2017, (1)',
      is: 'contribution of each position [h, w]',
    },
    r: {
      tex: 'S(A) - S(0), \\quad S(A) - S(0) - \\sum_{xy} M',
      equation: 'Sundararajan 2017, completeness',
      is: 'what the contributions should add up to, and what is missing [2]',
      note: ([change, residual]) =>
        `the contributions add up to ${(change! - residual!).toPrecision(4)}, where the target changes by ` +
        `${change!.toPrecision(4)} from no feature map to this one`,
    },
  },
  *explain({ featureMap, score }, { target, progress }) {
    const { device, shape, size } = featureMap;
    const slope = grad((versions: Tensor) => sum(score(target, versions)));
    const parts = yield* chunksInSteps(STEPS, size, progress, (start, count) => {
      const t = tensorOf(device, [count, 1, 1, 1], (i) => (start + i + 0.5) / STEPS);
      const at = mul(broadcastTo(featureMap, [count, ...shape.slice(1)]), t);
      return sum(slope(at), [0], true);
    });
    const total = sum(concat(parts, 0), [0], true);
    const I_k = affine(mul(featureMap, total), 1 / STEPS, 0);
    const M = channelSum(I_k);
    const change = sub(score(target, featureMap), score(target, affine(featureMap, 0, 0)));
    const residual = sub(change, reshape(sum(M), [1]));
    return { I_k, M, r: concat([change, residual], 0) };
  },
};
