// Ablation-CAM (Desai, Ramaswamy: Ablation-CAM, WACV 2020).
//
//   w_k = (S - S^k) / |S|
//   M   = ReLU(sum_k w_k A_k)
//
// S^k is the target with channel k of the feature map set to zero. The paper divides by S; where S < 0 that turns every
// sign, so that channels that speak for the class count against it: divided by |S| the weight is the drop. Where S = 0 it
// is the drop itself, which is said.
// Behind global average pooling and a linear layer, S - S^k = w_k^CAM mean(A_k).

import { abs, add, affine, concat, div, reshape, step, sub } from '../../engine/index.ts';
import { ablation, ablationKeeps } from '../ablate.ts';
import { weightedSum } from '../map.ts';
import { chunksInSteps, type Method } from '../method.ts';
import { scoreOf } from '../target.ts';
import { weightedMap } from './grad-cam.ts';

export const ablationCam: Method = {
  name: 'ablation-cam',
  title: 'Ablation-CAM',
  paper: 'Desai 2020',
  relu: true,
  terms: {
    S: {
      tex: 'S',
      equation: 'Desai 2020',
      is: 'the target [1]',
      note: ([score]) =>
        score === 0
          ? 'S is 0, and nothing can be divided by it: the weights are drops of S itself'
          : undefined,
    },
    S_k: { tex: 'S^k', equation: 'Desai 2020', is: 'the target without channel k [K]' },
    w_k: {
      tex: 'w_k = \\frac{S - S^k}{\\lvert S \\rvert}',
      equation: 'Desai 2020',
      is: 'what the target loses without channel k, as a share of it [K]',
    },
    M: weightedMap('Desai 2020'),
  },
  keeps: ablationKeeps,
  *explain(seen, { target, progress }) {
    const { featureMap, trace } = seen;
    const total = featureMap.shape[1]!;
    const without = ablation(seen, target);
    const S = scoreOf(target, trace.outputs);
    const S_k = concat(
      yield* chunksInSteps(total, featureMap.size, progress, (start, count) =>
        without({ total, start, count }),
      ),
      0,
    );
    const size = abs(S);
    const isZero = affine(step(size), -1, 1);
    const w_k = reshape(div(sub(S, S_k), add(size, isZero)), [-1]);
    return { S, S_k, w_k, M: weightedSum(w_k, featureMap) };
  },
};
