// Score-CAM (Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM, CVPR Workshops 2020), algorithm 1.
//
//   H_k = (U(A_k) - min) / (max - min)          U: upsampling to the input's size      equations (4), (5)
//   C_k = f(X * H_k) - f(X_b)                   f: the class's probability; X_b = 0    equation (3)
//   w   = softmax over k of C                                                          algorithm 1, line 13
//   M   = ReLU(sum_k w_k A_k)                                                          equation (6)
//
// X is the network's normalised input, so 0 is the mean colour. A channel that is constant has no H_k; its weight is 0.

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
  reshape,
  softmax,
  sub,
  type Tensor,
  upsample,
} from '../../engine/index.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method } from '../method.ts';
import { probabilities } from '../observe.ts';

export const scoreCam: Method = {
  name: 'score-cam',
  title: 'Score-CAM',
  relu: true,
  explain({ network, input, featureMap, forward }, { classIndex, progress }) {
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const size = [input.shape[2]!, input.shape[3]!] as const;
    const planes = reshape(featureMap, [channels, 1, h, w]);
    const f = (x: Tensor) => reshape(narrow(probabilities(network, forward(x)), 1, classIndex, 1), [-1]);
    const parts = inChunks(channels, progress, (start, count) => {
      const u = upsample(narrow(planes, 0, start, count), size);
      const [low, high] = [min(u, [1, 2, 3]), max(u, [1, 2, 3])];
      return { score: f(maskImages(input, u, low, high)), varies: greater(high, low) };
    });
    const baseline = f(affine(input, 0, 0)); // f(X_b)
    const varies = concat(
      parts.map((part) => part.varies), // 1 where channel k is not constant
      0,
    );
    const scores = concat(
      parts.map((part) => part.score), // f(X * H_k)
      0,
    );
    // A large negative number, not -infinity: software adapters do not compute with infinities.
    const shut = affine(varies, 1e30, -1e30);
    const c = sub(scores, baseline);
    const weights = mul(softmax(add(mul(c, varies), shut), 0), varies);
    return { weights, map: weightedSum(weights, featureMap) };
  },
};
