// Grad-CAM++ (Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, WACV 2018).
//
//   w_k   = sum_xy alpha_k(x, y) ReLU(g_k(x, y)),   g = dS/dA           equation (5)
//   alpha = Y'' / (2 Y'' + sum_ab A_k(a, b) Y''')                       equation (10)
//   M     = ReLU(sum_k w_k A_k)                                         equation (20)
//
// with Y = exp(S) (12) and Y'', Y''' its second and third derivatives at the same element twice and thrice: the diagonal.
// The common factor exp(S) > 0 cancels when the map is normalised and is never formed; it overflows for S > 88.
//
// Closed form. Where S is piecewise linear in A, Y''/Y = g^2 and Y'''/Y = g^3, and g^2 divides out (equation 19):
//   alpha = 1 / (2 + g sum_ab A_k(a, b))   where g is not 0, else 0
// It needs no epsilon: only elements with g > 0 enter the weight, and for those the denominator is 2 or more where the
// feature map is not negative. Where it is (tokens, linear bottlenecks), the denominator may cross 0; it is then said.
//
// True derivatives. In general Y''/Y = g^2 + S'' and Y'''/Y = g^3 + 3 g S'' + S'''. The diagonal is taken by one
// direction an element: phi_n(t) = S(A + t e_n), all n of a chunk at once as rows of a batch, differentiated three
// times in t. (The gradient of the sum of a gradient would be row sums of the Hessian, not its diagonal.)
//
// They are taken in units in which neither they nor their powers are lost in f32, or beyond it: with a = max |A| and
// G = a max |g|, which is about what S changes by, c = max(1, G), q = min(1, G) and phi_n(t) = S(A + t a e_n / c) / q,
//   Y''/Y = u (q phi'^2 + phi'')   and   Y'''/Y = u (c / a) (q^2 phi'^3 + 3 q phi' phi'' + phi'''),   u = q c^2 / a^2
// and alpha does not depend on u. Where S is curved, Y'' of small gradients is S'', and alpha what S'' and S''' make of it.

import {
  abs,
  add,
  affine,
  broadcastTo,
  concat,
  derivatives,
  div,
  full,
  greater,
  max,
  maximum,
  mul,
  planeDot,
  reciprocal,
  relu,
  reshape,
  type Steps,
  scale,
  step,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { nodeOf } from '../../models/graph.ts';
import { quotient, weightedSum } from '../map.ts';
import { chunksInSteps, type Method, type MethodContext } from '../method.ts';
import { oneHotRows } from '../numbers.ts';
import { notPooled } from '../pooled.ts';
import type { TracedLayer } from '../trace.ts';
import { gradientTerm, weightedMap } from './grad-cam.ts';

/** A denominator below this share of its numerator is as good as 0: alpha, 1/2 for small gradients, is then over 50. */
const NEAR_0 = 0.02;

const elements = (n: number) => `${n} element${n === 1 ? '' : 's'}`;

const terms = {
  g_k: gradientTerm,
  w_k: {
    tex: 'w_k = \\sum_{xy} \\alpha_k(x, y) \\, \\mathrm{ReLU}(g_k(x, y))',
    equation: 'Chattopadhay 2018, (5)',
    is: 'positive gradients of channel k, weighted by alpha [K]',
  },
  M: weightedMap('Chattopadhay 2018, (20)'),
  n: {
    tex: 'n',
    equation: 'not in the paper',
    is: 'elements where the denominator of alpha is negative, and where it is nearly 0 [2]',
    note: ([negative, near]: Float32Array) => {
      const found = [
        ...(negative! > 0 ? [`negative at ${elements(negative!)}`] : []),
        ...(near! > 0 ? [`nearly 0 at ${elements(near!)}`] : []),
      ];
      if (found.length === 0) return undefined;
      return `the denominator of alpha is ${found.join(' and ')}; their alpha is used as it is`;
    },
  },
};

/** How many of the elements that are used have a negative denominator, and how many one that is nearly 0. */
function countDenominators(numerator: Tensor, denominator: Tensor, used: Tensor): Tensor {
  const negative = greater(full(used.device, [1], 0), denominator);
  const near = greater(affine(abs(numerator), NEAR_0, 0), abs(denominator));
  const counts = [negative, near].map((is) => sum(mul(used, is), [1, 2, 3], true));
  return reshape(concat(counts, 1), [-1]);
}

export const gradCamPlusPlus: Method = {
  name: 'grad-cam++',
  title: 'Grad-CAM++',
  paper: 'Chattopadhay 2018',
  relu: true,
  batches: true,
  terms: {
    ...terms,
    alpha_k: {
      tex: '\\alpha_k = \\frac{1}{2 + g_k \\sum_{ab} A_k(a, b)}',
      equation: 'Chattopadhay 2018, (19)',
      is: 'share of each element of positive gradient in the weight, where S is piecewise linear [1, K, h, w]',
    },
  },
  explain({ featureMap, gradient, trace, layer }, { target }) {
    const g_k = gradient(target);
    // ReLU(g) in alpha too: where g < 0 alpha is not asked for, and must not divide by zero.
    const positive = relu(g_k);
    const used = step(positive);
    const denominator = affine(mul(positive, sum(featureMap, [2, 3], true)), 1, 2);
    const alpha_k = mul(used, reciprocal(denominator));
    const w_k = reshape(planeDot(alpha_k, positive), [-1]);
    const found = { g_k, alpha_k, w_k, M: weightedSum(w_k, featureMap) };
    // Then every denominator is 2 or more.
    if (nodeOf(trace.network.graph, layer).traits.nonNegative) return found;
    return { ...found, n: countDenominators(full(g_k.device, [1], 1), denominator, used) };
  },
};

/** Y''/Y and Y'''/Y [N] along each of some elements of the feature map, in units of u (above). */
export function* diagonal(
  { featureMap, gradient, score }: TracedLayer,
  { target, progress }: MethodContext,
  elements: readonly number[],
): Steps<[Y2: Tensor, Y3: Tensor]> {
  const most = max(abs(featureMap));
  const a = add(most, affine(step(most), -1, 1)); // any unit will do where all is 0
  const G = mul(a, max(abs(gradient(target))));
  const c = maximum(G, full(G.device, [], 1));
  const q = div(G, c);
  const unit = div(a, c);
  const parts = yield* chunksInSteps(elements.length, featureMap.size, progress, (start, count) => {
    const directions = concat(
      elements
        .slice(start, start + count)
        .map((element) => oneHotRows(featureMap, element, 1, featureMap.shape.slice(1))),
      0,
    );
    const copies = broadcastTo(featureMap, directions.shape);
    const along = mul(directions, unit);
    const phi = (t: Tensor) => quotient(score(target, add(copies, mul(along, reshape(t, [-1, 1, 1, 1])))), q);
    const [, g, s2, s3] = derivatives(phi, full(featureMap.device, [count], 0), 3) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const qg = mul(q, g);
    const third = add(add(mul(mul(qg, qg), g), scale(mul(qg, s2), 3)), s3);
    return [add(mul(qg, g), s2), div(third, unit)];
  });
  return [0, 1].map((which) =>
    concat(
      parts.map((part) => part[which]!),
      0,
    ),
  ) as [Tensor, Tensor];
}

export const gradCamPlusPlusTrue: Method = {
  name: 'grad-cam++-true',
  title: 'Grad-CAM++ (true derivatives)',
  paper: 'Chattopadhay 2018',
  relu: true,
  terms: {
    ...terms,
    Y2: {
      tex: "Y'' / Y = g^2 + S''",
      equation: 'Chattopadhay 2018, (12)',
      is: 'second derivative along each element, over Y, in a unit that alpha does not depend on [1, K, h, w]',
    },
    Y3: {
      tex: "Y''' / Y = g^3 + 3 g S'' + S'''",
      equation: 'Chattopadhay 2018, (12)',
      is: 'third derivative along each element, over Y, in the same unit [1, K, h, w]',
    },
    alpha_k: {
      tex: "\\alpha_k = \\frac{Y''}{2 Y'' + \\sum_{ab} A_k(a, b) Y'''}",
      equation: 'Chattopadhay 2018, (10)',
      is: 'share of each element of positive gradient in the weight [1, K, h, w]',
    },
  },
  *explain(seen, context) {
    const { featureMap, gradient } = seen;
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const g_k = gradient(context.target);
    const pooled = notPooled(seen) === undefined;
    const elements = Array.from({ length: pooled ? channels : channels * h * w }, (_, i) =>
      pooled ? i * h * w : i,
    );
    const shape = [1, channels, ...(pooled ? [1, 1] : [h, w])];
    const [Y2, Y3] = (yield* diagonal(seen, context, elements)).map((d) =>
      broadcastTo(reshape(d, shape), featureMap.shape),
    ) as [Tensor, Tensor];
    const denominator = add(scale(Y2, 2), mul(sum(featureMap, [2, 3], true), Y3));
    // An element without gradient, or whose denominator vanishes, has no weight.
    const positive = relu(g_k);
    const used = mul(step(positive), step(abs(denominator)));
    const alpha_k = mul(used, div(Y2, add(denominator, affine(used, -1, 1))));
    const w_k = reshape(planeDot(alpha_k, positive), [-1]);
    const n = countDenominators(Y2, denominator, used);
    return { g_k, Y2, Y3, alpha_k, w_k, M: weightedSum(w_k, featureMap), n };
  },
};
