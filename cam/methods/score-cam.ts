// Score-CAM (Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM, CVPR Workshops 2020), algorithm 1.
//
//   H_k = (U(A_k) - min) / (max - min)          U: upsampling to the input's size      equations (7), (8)
//   C_k = f(X * H_k) - f(X_b)                   f: the class's probability; X_b = 0    equation (6)
//   w   = softmax over k of C                                                          end of algorithm 1
//   M   = ReLU(sum_k w_k A_k)                                                          equation (9)
//
// X is the network's normalised input, so 0 is the mean colour. A channel that is constant has no H_k; its weight is 0.
//
// The paper says both what f is: probabilities where it defines the network and in its experiments (sections 2, 3.2), the
// logit in a comment of algorithm 1. score-cam-logit is the latter: what is explained, the class's logit unless told
// otherwise. score-cam-authors is what the authors' published code computes: w_k = f(X * H_k), without baseline and
// softmax.

import {
  add,
  affine,
  concat,
  greater,
  maskImages,
  max,
  min,
  mul,
  narrow,
  pad,
  reshape,
  softmax,
  sub,
  type Tensor,
  upsample,
} from '../../engine/index.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method, type MethodContext } from '../method.ts';
import { type Observation, probabilities } from '../observe.ts';

/** f from logits [N, classes] -> [N]. */
type Scorer = (observation: Observation, context: MethodContext) => (logits: Tensor) => Tensor;

const probability: Scorer =
  ({ network }, { classIndex }) =>
  (logits) =>
    reshape(narrow(probabilities(network, logits), 1, classIndex, 1), [-1]);

const targetItself: Scorer =
  (_, { target }) =>
  (logits) =>
    target(logits);

/**
 * Logits of X * H_k, and of X_b in a last row [K + 1, classes]; 1 for each that has an H_k, else 0 [K + 1]. The same for
 * every class.
 */
function maskedLogits(observation: Observation, { progress }: MethodContext): readonly Tensor[] {
  const { input, featureMap, forward } = observation;
  const [, channels, h, w] = featureMap.shape as [number, number, number, number];
  const size = [input.shape[2]!, input.shape[3]!] as const;
  return observation.once('masked logits', () => {
    // A plane of zeros behind those of the channels: having no H, it masks everything, which leaves X_b.
    const planes = reshape(pad(featureMap, [0, 0, 0, 0], [0, 1, 0, 0]), [channels + 1, 1, h, w]);
    const parts = inChunks(channels + 1, input.size, progress, (start, count) => {
      const u = upsample(narrow(planes, 0, start, count), size); // U(A_k)
      const [low, high] = [min(u, [1, 2, 3]), max(u, [1, 2, 3])];
      return [forward(maskImages(input, u, low, high)), greater(high, low)] as const;
    });
    return [0, 1].map((i) =>
      concat(
        parts.map((part) => part[i]!),
        0,
      ),
    );
  });
}

const scoreCamBy = (name: string, title: string, scorer: Scorer): Method => ({
  name,
  title,
  relu: true,
  explain(observation, context) {
    const [logits, varies] = maskedLogits(observation, context) as [Tensor, Tensor];
    const f = scorer(observation, context)(logits);
    const channels = f.size - 1;
    const c = sub(f, narrow(f, 0, channels, 1)); // C_k = f(X * H_k) - f(X_b)
    // A large negative number, not -infinity: software adapters do not compute with infinities.
    const shut = affine(varies, 1e30, -1e30);
    const weights = narrow(mul(softmax(add(c, shut), 0), varies), 0, 0, channels);
    return { weights, map: weightedSum(weights, observation.featureMap) };
  },
});

export const scoreCam = scoreCamBy('score-cam', 'Score-CAM', probability);
export const scoreCamLogit = scoreCamBy('score-cam-logit', 'Score-CAM (logits)', targetItself);

export const scoreCamAuthors: Method = {
  name: 'score-cam-authors',
  title: "Score-CAM (authors' code)",
  relu: true,
  explain(observation, context) {
    const [logits, varies] = maskedLogits(observation, context) as [Tensor, Tensor];
    const f = probability(observation, context)(logits);
    const weights = narrow(mul(f, varies), 0, 0, f.size - 1);
    return { weights, map: weightedSum(weights, observation.featureMap) };
  },
};
