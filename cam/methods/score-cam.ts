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

import {
  add,
  affine,
  concat,
  full,
  greater,
  maskImages,
  max,
  min,
  mul,
  narrow,
  reshape,
  softmax,
  sub,
  type Tensor,
  upsample,
} from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method, type MethodContext, type Term } from '../method.ts';
import { type Outputs, probability, scoreOf, type Target } from '../target.ts';
import type { Trace, TracedLayer } from '../trace.ts';
import { weightedMap } from './grad-cam.ts';

/** Outputs from X * H_k, and 1 for each channel that has an H_k, else 0 [K]. The same for every class. */
function masked({ trace, layer, featureMap }: TracedLayer, { progress }: MethodContext): [Outputs, Tensor] {
  const { picture, outputs, vary, shared } = trace;
  const [, channels, h, w] = featureMap.shape as [number, number, number, number];
  const size = [picture.shape[2]!, picture.shape[3]!] as const;
  const names = Object.keys(outputs);
  const [varies, ...found] = shared(`masked by ${layer}`, () => {
    const planes = reshape(featureMap, [channels, 1, h, w]);
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
  const named = names.map((name, i) => [name, found[i]!] as const);
  return [Object.fromEntries(named) as unknown as Outputs, varies!];
}

/** f(X_b) [1]. */
function baseline({ picture, outputs, vary, shared }: Trace, f: Target): Tensor {
  const names = Object.keys(outputs);
  const found = shared('black', () => {
    const given = vary(new Map([[INPUT, full(picture.device, picture.shape, 0)]]));
    return names.map((name) => given[name]!);
  });
  return scoreOf(f, Object.fromEntries(names.map((name, i) => [name, found[i]!])) as unknown as Outputs);
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
        is: 'f of the picture seen through channel k [K]',
        note: (_, { probabilities }) =>
          probabilities === 'none'
            ? 'the network gives no probabilities: f of Score-CAM is the explained value itself'
            : undefined,
      },
      w_k,
      M: weightedMap('Wang 2020, (9)'),
    },
    explain(seen, context) {
      const { trace, featureMap } = seen;
      const [outputs, varies] = masked(seen, context);
      const f = score(context, trace.network.probabilities);
      const f_k = scoreOf(f, outputs);
      const weights = weigh(f_k, varies, () => baseline(trace, f));
      return { f_k, w_k: weights, M: weightedSum(weights, featureMap) };
    },
  };
}

const ofClass = ({ classIndex, target }: MethodContext, kind: 'softmax' | 'sigmoid' | 'none') =>
  kind === 'none' ? target : probability(classIndex, kind);

const softmaxTerm = {
  tex: 'w_k = \\frac{\\exp f(X \\circ H_k)}{\\sum_j \\exp f(X \\circ H_j)}',
  equation: 'Wang 2020, algorithm 1',
  is: 'softmax over the channels [K]',
};

export const scoreCam = scoreCamBy(
  { name: 'score-cam', title: 'Score-CAM' },
  ofClass,
  {
    tex: 'w_k = f(X \\circ H_k) - f(X_b)',
    equation: 'Wang 2020, (6)',
    is: 'what the class gains when channel k lights the black picture [K]',
  },
  (f, varies, black) => mul(sub(f, black()), varies),
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
