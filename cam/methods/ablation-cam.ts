// Ablation-CAM (Desai, Ramaswamy: Ablation-CAM, WACV 2020).
//
//   w_k = (S - S^k) / |S|
//   M   = ReLU(sum_k w_k A_k)
//
// S^k is the target with channel k of the feature map set to zero. The paper divides by S; where S < 0 that turns every
// sign, so that channels that speak for the class count against it: divided by |S| the weight is the drop.
// Behind global average pooling and a linear layer, S - S^k = w_k^CAM mean(A_k).

import { abs, concat, div, reshape, sub } from '../../engine/index.ts';
import { ablation, onlyLogit } from '../ablate.ts';
import { weightedSum } from '../map.ts';
import { inChunks, type Method } from '../method.ts';

export const ablationCam: Method = {
  name: 'ablation-cam',
  title: 'Ablation-CAM',
  relu: true,
  explain(observation, { target, progress }) {
    const { featureMap, logits } = observation;
    const total = featureMap.shape[1]!;
    const { logitOf } = target;
    const single = logitOf === undefined ? undefined : ablation(observation, logitOf);
    const ablated = single ?? ablation(observation)!;
    const scoreOf = single ? onlyLogit : target;
    const without = inChunks(total, featureMap.size, progress, (start, count) =>
      scoreOf(ablated({ total, start, count })),
    ); // S^k
    const score = target(logits); // S, [1]
    const weights = reshape(div(sub(score, concat(without, 0)), abs(score)), [-1]);
    return { weights, map: weightedSum(weights, featureMap) };
  },
};
