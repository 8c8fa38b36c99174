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
// times in t. Rows do not interact, so the gradient of the sum of phi is the vector of phi'. (The gradient of the sum
// of a gradient would be row sums of the Hessian, not its diagonal.)

import {
  abs,
  add,
  affine,
  broadcastTo,
  concat,
  div,
  full,
  grad,
  greater,
  mul,
  planeDot,
  reciprocal,
  relu,
  reshape,
  scope,
  step,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { nodeOf } from '../../models/graph.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method, type MethodContext } from '../method.ts';
import { gradientOf, type Observation, oneHotRows } from '../observe.ts';

/** 2 + g sum_ab A_ab, [1, K, h, w]; the sums over a and b are [1, K, 1, 1]. */
const denominatorOf = (featureMap: Tensor, g: Tensor): Tensor =>
  affine(mul(g, sum(featureMap, [2, 3], true)), 1, 2);

/** alpha [1, K, h, w] in closed form. */
export const closedFormAlpha = (featureMap: Tensor, g: Tensor): Tensor =>
  mul(step(abs(g)), reciprocal(denominatorOf(featureMap, g)));

const sayCrossed = (n: number) =>
  `the denominator of alpha is negative at ${n} elements; their alpha is used as it is`;

/** w_k = sum_xy alpha ReLU(g), [K]. */
const weightsOf = (alpha: Tensor, positive: Tensor) => reshape(planeDot(alpha, positive), [-1]);

export const gradCamPlusPlus: Method = {
  name: 'grad-cam++',
  title: 'Grad-CAM++',
  relu: true,
  explain(observation, { target }) {
    const { featureMap, network, layer } = observation;
    // ReLU(g) in alpha too: where g < 0 alpha is not asked for, and must not divide by zero.
    const positive = relu(gradientOf(observation, target));
    const denominator = denominatorOf(featureMap, positive);
    const weights = weightsOf(reciprocal(denominator), positive);
    const answer = { weights, map: weightedSum(weights, featureMap) };
    // Then no denominator is negative.
    if (nodeOf(network.graph, layer).traits.nonNegative) return answer;
    const count = sum(greater(full(featureMap.device, [1], 0), denominator));
    return { ...answer, caveat: { count, say: sayCrossed } };
  },
};

/** S', S'' and S''' along each element of the feature map, or of one element a channel: each [N]. */
interface Diagonal {
  readonly first: Tensor;
  readonly second: Tensor;
  readonly third: Tensor;
}

function diagonal(
  observation: Observation,
  { target, progress }: MethodContext,
  elements: readonly number[],
): Diagonal {
  const { featureMap, tail } = observation;
  const parts = inChunks(elements.length, featureMap.size, progress, (start, count): Diagonal => {
    const directions = concat(
      elements
        .slice(start, start + count)
        .map((element) => oneHotRows(featureMap, element, 1, featureMap.shape.slice(1))),
      0,
    );
    const copies = broadcastTo(featureMap, directions.shape);
    const phi = (t: Tensor) => sum(target(tail(add(copies, mul(directions, reshape(t, [-1, 1, 1, 1]))))));
    const zero = full(featureMap.device, [count], 0);
    const d1 = grad(phi);
    const d2 = grad((t) => sum(d1(t)));
    const d3 = grad((t) => sum(d2(t)));
    return { first: d1(zero), second: d2(zero), third: d3(zero) };
  });
  const joined = (part: keyof Diagonal) =>
    concat(
      parts.map((p) => p[part]),
      0,
    );
  return { first: joined('first'), second: joined('second'), third: joined('third') };
}

/** Whether the tail sees the feature map through global average pooling alone: then a channel's elements are alike. */
function isBehindPooling({ network, layer }: Observation): boolean {
  const users = network.graph.nodes.filter((node) => node.inputs.includes(layer));
  return users.length === 1 && users[0]!.kind === 'globalAvgPool';
}

export const gradCamPlusPlusTrue: Method = {
  name: 'grad-cam++-true',
  title: 'Grad-CAM++ (true derivatives)',
  relu: true,
  explain(observation, context) {
    const { featureMap } = observation;
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const pooled = isBehindPooling(observation);
    const elements = Array.from({ length: pooled ? channels : channels * h * w }, (_, i) =>
      pooled ? i * h * w : i,
    );
    const [weights, count] = scope(() => {
      const d = diagonal(observation, context, elements);
      const shape = [1, channels, ...(pooled ? [1, 1] : [h, w])];
      const [g, s2, s3] = [d.first, d.second, d.third].map((part) => reshape(part, shape)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const second = add(mul(g, g), s2);
      const third = add(add(mul(mul(g, g), g), affine(mul(g, s2), 3, 0)), s3);
      const denominator = add(affine(second, 2, 0), mul(sum(featureMap, [2, 3], true), third));
      // An element without gradient, or whose denominator vanishes, has no weight.
      const positive = relu(g);
      const zero = full(g.device, [1], 0);
      const usable = mul(greater(positive, zero), greater(mul(denominator, denominator), zero));
      const safe = add(mul(denominator, usable), affine(usable, -1, 1));
      const alpha = broadcastTo(mul(div(second, safe), usable), featureMap.shape);
      const crossed = broadcastTo(mul(usable, greater(zero, denominator)), featureMap.shape);
      return [weightsOf(alpha, broadcastTo(positive, featureMap.shape)), sum(crossed)] as const;
    });
    return { weights, map: weightedSum(weights, featureMap), caveat: { count, say: sayCrossed } };
  },
};
