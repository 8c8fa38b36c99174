// Score-CAM (Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM, CVPR Workshops 2020).
//
//   H_k = (U(A_k) - min) / (max - min)          U: upsampling to the input's size      equations (7), (8)
//   w_k = C_k = f(X * H_k) - f(X_b)             f: the class's probability; X_b = 0    equations (6), (9)
//   M   = ReLU(sum_k w_k A_k)                                                          equation (9)
//
// X is the network's normalised input, so 0 is the mean colour. A channel that is constant has no H_k; its weight is 0.
// Where a network gives no probabilities, f is what is explained.
//
// Algorithm 1 of the same paper ends differently: w = softmax over k of C. There f(X_b), being the same for every k,
// cancels, and as probabilities differ by 1 at most no weight is more than e times another: the map is nearly the mean of
// the channels, whatever the class. score-cam-softmax is that; score-cam-logit is that with f the explained logit, which
// a comment of the algorithm has for f. score-cam-authors is what the authors' published code computes: w_k = f(X * H_k).
//
// score-cam-fast takes the channels of largest standard deviation alone, as Faster-Score-CAM of tf-keras-vis (Kubota 2020)
// does: a tenth of them, ten at least. The others weigh 0.

import {
  add,
  affine,
  concat,
  equal,
  full,
  greater,
  maskImages,
  matmul,
  max,
  mean,
  min,
  mul,
  narrow,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
  upsample,
} from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method, type MethodContext, type Term } from '../method.ts';
import { tensorOf } from '../numbers.ts';
import { type Outputs, outputsOf } from '../outputs.ts';
import { scoreOf, type Target } from '../target.ts';
import { probability } from '../targets.ts';
import type { Trace, TracedLayer } from '../trace.ts';
import { weightedMap } from './grad-cam.ts';

/** f: the probability of a class, or what is explained where a network gives none. */
export const ofClass = (
  { classIndex, target }: { readonly classIndex: number; readonly target: Target },
  kind: Network['probabilities'],
): Target => (kind === 'none' ? target : probability(classIndex, kind));

/** How many of so many channels score-cam-fast takes. */
const fewOf = (channels: number): number => Math.min(channels, Math.max(10, Math.ceil(channels / 10)));

/** The rows of the identity [N, K] for the N channels of largest spread in a feature map [1, K, h, w], largest first. */
function channelsOfLargestSpread(featureMap: Tensor): Tensor {
  const { device, shape } = featureMap;
  const channels = shape[1]!;
  const far = sub(featureMap, mean(featureMap, [2, 3], true));
  const spread = mean(mul(far, far), [2, 3]); // [1, K]
  const others = reshape(spread, [channels, 1]);
  // Among channels of equal spread the earlier ranks first, so that no two have one rank.
  const earlier = tensorOf(device, [channels, channels], (i) =>
    Number(Math.floor(i / channels) < i % channels),
  );
  const ties = mul(equal(others, spread), earlier);
  const rank = sum(add(greater(others, spread), ties), [0], true); // how many come before [1, K]
  const count = fewOf(channels);
  return equal(
    tensorOf(device, [count, 1], (i) => i),
    rank,
  );
}

/**
 * Outputs from X * H_k, and 1 for each channel that has an H_k, else 0 [N], for N channels [N, h, w]. The same for every
 * class; `key` tells channels of a layer apart.
 */
function masked(
  { trace, layer }: TracedLayer,
  { progress }: MethodContext,
  maps: Tensor,
  key: string,
): [Outputs, Tensor] {
  const { picture, outputs, vary, shared } = trace;
  const [channels, h, w] = maps.shape as [number, number, number];
  const size = [picture.shape[2]!, picture.shape[3]!] as const;
  const names = Object.keys(outputs);
  const [varies, ...found] = shared(`masked by ${key} of ${layer}`, () => {
    const planes = reshape(maps, [channels, 1, h, w]);
    const parts = inChunks(channels, picture.size, progress, (start, count) => {
      const u = upsample(narrow(planes, 0, start, count), size); // U(A_k)
      const [low, high] = [min(u, [1, 2, 3]), max(u, [1, 2, 3])];
      const given = vary(new Map([[INPUT, maskImages(picture, u, low, high)]]));
      return [greater(high, low), ...names.map((name) => given[name]!)];
    });
    return parts[0]!.map((_, i) =>
      concat(
        parts.map((part) => part[i]!),
        0,
      ),
    );
  });
  return [outputsOf(names, found), varies!];
}

/** f(X_b) [1]. */
function baseline({ picture, outputs, vary, shared }: Trace, f: Target): Tensor {
  const names = Object.keys(outputs);
  const found = shared('black', () => {
    const given = vary(new Map([[INPUT, full(picture.device, picture.shape, 0)]]));
    return names.map((name) => given[name]!);
  });
  return scoreOf(f, outputsOf(names, found));
}

/** softmax over the channels that have an H_k; 0 for the others. */
function softmaxOf(f: Tensor, varies: Tensor): Tensor {
  // A large negative number, not -infinity: software adapters do not compute with infinities.
  const shut = affine(varies, 1e30, -1e30);
  return mul(softmax(add(f, shut), 0), varies);
}

/** A variant: what f is, and the weights [K] from f of the masked pictures [K]. */
function scoreCamBy(
  { name, title }: Pick<Method, 'name' | 'title'>,
  score: (context: MethodContext, probabilities: 'softmax' | 'sigmoid' | 'none') => Target,
  w_k: Term,
  weigh: (f: Tensor, varies: Tensor, black: () => Tensor) => Tensor,
  few = false,
): Method {
  return {
    name,
    title,
    paper: 'Wang 2020',
    relu: true,
    terms: {
      f_k: {
        tex: 'f(X \\circ H_k)',
        equation: 'Wang 2020, (6)',
        is: `f of the picture seen through channel k${few ? ', 0 for those left out' : ''} [K]`,
        note: ({ length }, { network: { probabilities } }) => {
          const said = [
            ...(few
              ? [`the ${fewOf(length)} channels of largest spread alone, of ${length}, have weights`]
              : []),
            ...(probabilities === 'none'
              ? ['the network gives no probabilities: f of Score-CAM is the explained value itself']
              : []),
          ];
          return said.length > 0 ? said.join('; ') : undefined;
        },
      },
      w_k,
      M: weightedMap('Wang 2020, (9)'),
    },
    explain(seen, context) {
      const { trace, featureMap } = seen;
      const [, channels, h, w] = featureMap.shape as [number, number, number, number];
      const maps = reshape(featureMap, [channels, h * w]);
      const chosen = few ? channelsOfLargestSpread(featureMap) : undefined;
      const count = chosen ? chosen.shape[0]! : channels;
      const taken = reshape(chosen ? matmul(chosen, maps) : maps, [count, h, w]);
      const [outputs, varies] = masked(
        seen,
        context,
        taken,
        chosen ? 'the channels of largest spread' : 'channels',
      );
      const f = score(context, trace.network.probabilities);
      const found = scoreOf(f, outputs);
      /** From the channels that were taken to all of them. */
      const spread = (x: Tensor) => (chosen ? reshape(matmul(reshape(x, [1, count]), chosen), [-1]) : x);
      const w_k = spread(weigh(found, varies, () => baseline(trace, f)));
      return { f_k: spread(found), w_k, M: weightedSum(w_k, featureMap) };
    },
  };
}

const softmaxTerm = {
  tex: 'w_k = \\frac{\\exp f(X \\circ H_k)}{\\sum_j \\exp f(X \\circ H_j)}',
  equation: 'Wang 2020, algorithm 1',
  is: 'softmax over the channels [K]',
};

const gainTerm = {
  tex: 'w_k = f(X \\circ H_k) - f(X_b)',
  equation: 'Wang 2020, (6)',
  is: 'what the class gains when channel k lights the black picture [K]',
};

const gain = (f: Tensor, varies: Tensor, black: () => Tensor) => mul(sub(f, black()), varies);

export const scoreCam = scoreCamBy({ name: 'score-cam', title: 'Score-CAM' }, ofClass, gainTerm, gain);

export const scoreCamFast = scoreCamBy(
  { name: 'score-cam-fast', title: 'Score-CAM (channels of largest spread)' },
  ofClass,
  gainTerm,
  gain,
  true,
);

export const scoreCamSoftmax = scoreCamBy(
  { name: 'score-cam-softmax', title: 'Score-CAM (algorithm 1)' },
  ofClass,
  softmaxTerm,
  softmaxOf,
);

export const scoreCamLogit = scoreCamBy(
  { name: 'score-cam-logit', title: 'Score-CAM (logits)' },
  ({ target }) => target,
  softmaxTerm,
  softmaxOf,
);

export const scoreCamAuthors = scoreCamBy(
  { name: 'score-cam-authors', title: "Score-CAM (authors' code)" },
  ofClass,
  {
    tex: 'w_k = f(X \\circ H_k)',
    equation: "Wang 2020, the authors' code",
    is: 'the class under the mask of channel k [K]',
  },
  mul,
);
