// ShapleyCAM (Cai: CAMs as Shapley Value-based Explainers, The Visual Computer 2025), and the interactions that it is made of.
//
//   w_k = 1/Z sum_xy (g - 1/2 H A)_k           g = dS/dA, H: the second derivatives of S at A
//   M   = ReLU(sum_k w_k A_k)
//
// The Shapley value of an element of A, were S its Taylor expansion of second order at A. H A is the derivative of the
// gradient in the direction of A: exact, and as cheap as two gradients. It is 0 where S is piecewise linear, and the
// weights are then Grad-CAM's. The paper explains a logit and the logarithm of its softmax (targets.residualSoftmax).
// Behind global average pooling and a linear layer H A of a class's sigmoid is in the direction of g, and the map is
// Grad-CAM's but for its size.
//
//   M = sum_k A_k (H A)_k                      the interaction map
//
// says how much of what a position contributes depends on the others: g A changes by so much as all of A grows.

import { affine, grad, mean, mul, reshape, sub, sum, type Tensor } from '../../engine/index.ts';
import { channelSum, weightedSum } from '../map.ts';
import type { Method } from '../method.ts';
import type { Target } from '../target.ts';
import type { TracedLayer } from '../trace.ts';
import { gradientTerm, weightedMap } from './grad-cam.ts';

const curvatureTerm = {
  tex: 'HA = \\sum_j \\frac{\\partial^2 S}{\\partial A \\partial A_j} A_j',
  equation: 'Cai 2025, the Hessian-vector product',
  is: 'change of the gradient as the feature map grows [1, K, h, w]',
};

/** H A [1, K, h, w]. */
function curvature({ featureMap, score }: TracedLayer, target: Target): Tensor {
  const gradient = grad((a: Tensor) => sum(score(target, a)));
  return grad((a: Tensor) => sum(mul(gradient(a), featureMap)))(featureMap);
}

export const shapleyCam: Method = {
  name: 'shapley-cam',
  title: 'ShapleyCAM',
  paper: 'Cai 2025',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    HA: curvatureTerm,
    w_k: {
      tex: 'w_k = \\frac{1}{Z} \\sum_{xy} (g - \\tfrac{1}{2} H A)_k(x, y)',
      equation: 'Cai 2025, the definition',
      is: 'mean gradient of channel k, less half its curvature [K]',
    },
    M: weightedMap('Cai 2025, the definition'),
  },
  explain(seen, { target }) {
    const g_k = seen.gradient(target);
    const HA = curvature(seen, target);
    const w_k = reshape(mean(sub(g_k, affine(HA, 0.5, 0)), [2, 3]), [-1]);
    return { g_k, HA, w_k, M: weightedSum(w_k, seen.featureMap) };
  },
};

export const interactionMap: Method = {
  name: 'interaction-map',
  title: 'Interaction map',
  paper: 'Limelight',
  relu: false,
  batches: true,
  terms: {
    HA: curvatureTerm,
    M: {
      tex: 'M = \\sum_k A_k (H A)_k',
      equation: 'not in the paper',
      is: 'how much of the contribution of each position depends on the others [h, w]',
    },
  },
  explain(seen, { target }) {
    const HA = curvature(seen, target);
    return { HA, M: channelSum(mul(seen.featureMap, HA)) };
  },
};
