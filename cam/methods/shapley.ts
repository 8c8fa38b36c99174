// Shapley values of channels as weights (Shapley 1953; as weights of a map: Jung, Oh: LIFT-CAM, ICCV 2021).
//
//   phi_k = mean over all orders of the channels of S(those before k, and k) - S(those before k)
//   w_k   = phi_k
//   M     = ReLU(sum_k w_k A_k)
//
// A channel that has not come yet is 0, so that the values add up to S(A) - S(0). Where the logits are affine in A, as
// behind global average pooling and a linear layer, a sum of logits gives w_k^CAM mean(A_k), and its sigmoid is summed over
// all 2^K sets of channels by an integral (shapley.ts): exact, to the rounding of what goes into it. Elsewhere orders are
// drawn, each with its reverse, whose errors cancel in part, and every channel has its standard error. In an order one
// channel after another is added: the tail runs K times.

import { largest } from '../../engine/extremes.ts';
import { mul, type Steps, sub, sum, type Tensor, tensor } from '../../engine/index.ts';
import { firstNonlinear } from '../../models/dry-run.ts';
import { random } from '../../models/train/data/random.ts';
import { weightedSum } from '../map.ts';
import { chunksInSteps, type Method, type MethodContext } from '../method.ts';
import { tensorOf } from '../numbers.ts';
import { sigmoidShapley } from '../shapley.ts';
import type { TracedLayer } from '../trace.ts';
import { weightedMap } from './grad-cam.ts';

/** Values of the channels, and the standard error of each, in float64. */
interface Found {
  readonly phi: ArrayLike<number>;
  readonly error: ArrayLike<number>;
}

/** Orders drawn, each with its reverse: as many as MOST_PAIRS, or as make about TAILS runs of the tail, but LEAST_PAIRS. */
const [LEAST_PAIRS, MOST_PAIRS, TAILS] = [4, 32, 4096];

/** The values of a target on logits that are affine in A; undefined for any other target. */
function* exact(
  { featureMap, gradient, score, trace, layer }: TracedLayer,
  { target }: MethodContext,
): Steps<Found | undefined> {
  if (!('logits' in target) || firstNonlinear(trace.dry(), layer) !== undefined) return undefined;
  const linear = { logits: target.logits };
  const worths = sum(mul(gradient(linear), featureMap), [2, 3]);
  const [a, z] = yield [worths, score(linear, featureMap)];
  const phi = target.through ? sigmoidShapley(a!, z![0]! - a!.reduce((total, x) => total + x, 0)) : a!;
  return { phi, error: new Float64Array(phi.length) };
}

/** A random order of 0 .. count. */
function shuffled(count: number, next: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** S of the first 0 .. K channels of an order [K + 1]. */
function* alongOrder(
  { featureMap, score }: TracedLayer,
  { target }: MethodContext,
  order: readonly number[],
): Steps<number[]> {
  const { device, shape, size } = featureMap;
  const channels = shape[1]!;
  const rank = new Uint32Array(channels);
  for (const [i, channel] of order.entries()) rank[channel] = i;
  const scores = yield* chunksInSteps(channels + 1, size, undefined, (start, count) => {
    const present = tensorOf(device, [count, channels, 1, 1], (i) =>
      Number(rank[i % channels]! < start + Math.floor(i / channels)),
    );
    return score(target, mul(featureMap, present));
  });
  const read = yield scores;
  return read.flatMap((part) => [...part]);
}

function* sampled(seen: TracedLayer, context: MethodContext): Steps<Found> {
  const channels = seen.featureMap.shape[1]!;
  const pairs = Math.max(LEAST_PAIRS, Math.min(MOST_PAIRS, Math.round(TAILS / (2 * channels))));
  const next = random(1);
  const drawn: Float64Array[] = [];
  while (drawn.length < pairs) {
    const order = shuffled(channels, next);
    const gains = new Float64Array(channels);
    for (const way of [order, [...order].reverse()]) {
      const scores = yield* alongOrder(seen, context, way);
      for (const [i, channel] of way.entries()) gains[channel]! += (scores[i + 1]! - scores[i]!) / 2;
    }
    drawn.push(gains);
    context.progress?.(drawn.length / pairs);
  }
  const mean = (of: (gains: Float64Array, channel: number) => number) =>
    Float64Array.from(
      { length: channels },
      (_, k) => drawn.reduce((sum, one) => sum + of(one, k), 0) / pairs,
    );
  const phi = mean((gains, k) => gains[k]!);
  const variance = mean((gains, k) => (gains[k]! - phi[k]!) ** 2);
  return { phi, error: variance.map((v) => Math.sqrt(v / (pairs - 1))) };
}

export const shapley: Method = {
  name: 'shapley',
  title: 'Shapley values of channels',
  paper: 'Shapley 1953',
  relu: true,
  terms: {
    w_k: {
      tex: 'w_k = \\frac{1}{K!} \\sum_{\\pi} S(A_{\\pi \\leq k}) - S(A_{\\pi < k})',
      equation: 'Shapley 1953, the definition',
      is: 'what channel k adds to the target, on average over all orders of the channels [K]',
    },
    e_k: {
      tex: '\\sigma(w_k)',
      equation: 'not in the paper',
      is: 'standard error of each weight, 0 where it is exact [K]',
      note(errors) {
        const most = largest(errors);
        return most === 0
          ? 'the Shapley values are exact, over all sets of channels'
          : `the Shapley values are estimates from random orders: the largest standard error is ${most.toPrecision(2)}`;
      },
    },
    total: {
      tex: 'S(A) - S(0)',
      equation: 'Shapley 1953, efficiency',
      is: 'what the weights add up to [1]',
      note: ([total]) =>
        `the weights add up to ${total!.toPrecision(4)}, by which all channels change the target`,
    },
    M: weightedMap('Jung 2021, with the Shapley values themselves'),
  },
  *explain(seen, context) {
    const { featureMap, score } = seen;
    const { phi, error } = (yield* exact(seen, context)) ?? (yield* sampled(seen, context));
    const onDevice = (values: ArrayLike<number>): Tensor =>
      tensor(featureMap.device, values, [values.length]);
    const w_k = onDevice(phi);
    const total = sub(
      score(context.target, featureMap),
      score(context.target, mul(featureMap, onDevice([0]))),
    );
    return { w_k, e_k: onDevice(error), total, M: weightedSum(w_k, featureMap) };
  },
};
