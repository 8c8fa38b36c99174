// Algorithm 1 of Score-CAM takes the softmax of probabilities over the channels. Probabilities differ by 1 at most, so that no
// weight is more than e times another: whatever the class, the map is nearly the mean of the channels.

import { largest, least } from '../../engine/extremes.ts';
import { INPUT } from '../../models/graph.ts';
import { scoreCamSoftmax } from '../methods/score-cam.ts';
import { type Claim, numbersOf, rounding } from './claim.ts';

export const softmaxWeights: Claim = {
  name: 'score-cam-softmax',
  sentence: "no weight of Score-CAM's softmax is more than e times another",
  tex: '\\max_k w_k \\leq e \\min_k w_k',
  exempt: ({ trace: { network } }) =>
    network.probabilities === 'none' ? 'the network gives no probabilities' : undefined,
  async residual(seen, classIndex, progress) {
    const { w_k } = await numbersOf(scoreCamSoftmax, seen, classIndex, { progress });
    // A channel without a mask weighs 0.
    const weights = w_k!.filter((weight) => weight > 0);
    if (weights.length === 0) return 0;
    return Math.max(0, Math.log(largest(weights) / least(weights)) - 1);
  },
  bound: (seen) => rounding(seen, INPUT),
};
