// CAM (Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative Localization, CVPR 2016).
//
//   S       = b + 1/Z sum_xy M(x, y)                                   equation (3), its mean written out
//   M(x, y) = Z sum_k dS/dA_k(x, y) A_k(x, y)                          equation (2)
//
// Z = h w. The paper has global average pooling and a linear layer after A: then Z dS/dA_k is the class's weight w_k at
// every (x, y), and M = sum_k w_k A_k. Nothing in it but linearity is needed: wherever S is an affine function of A, its
// gradient does not depend on A, and S is the mean of M and a bias b, S at A = 0. No ReLU.
//
// Where the logits are means of channels, as after a convolution with one channel a class, A is that convolution's
// output, after its activation if it has one: M is then the class's own channel, and b = 0.

import { mul, reshape, scale, sum } from '../../engine/index.ts';
import { type DryRun, firstNonlinear } from '../../models/dry-run.ts';
import { featureMapView } from '../../models/feature-map.ts';
import { nodeOf } from '../../models/graph.ts';
import { LayerError } from '../errors.ts';
import { channelSum } from '../map.ts';
import type { Method } from '../method.ts';
import { isLinear } from '../target.ts';
import { logit } from '../targets.ts';

/** The map whose channels' means are the logits, by layers without parameters; undefined where the head is another. */
function pooledScores({ graph, places }: DryRun): string | undefined {
  let node = nodeOf(graph, graph.output);
  while (typeof featureMapView(places.get(node.name)) === 'string') {
    const [input, ...others] = node.inputs;
    const previous = graph.nodes.find(({ name }) => name === input);
    if (others.length > 0 || !previous || Object.keys(node.parameters).length > 0) return undefined;
    node = previous;
  }
  return node.name;
}

/** The layer whose output is A when a target layer is asked for; a LayerError that says why where CAM does not apply. */
export function camLayer(dry: DryRun, named: string): string {
  const layer = nodeOf(dry.graph, named).name;
  const scores = pooledScores(dry);
  const bend = firstNonlinear(dry, layer);
  if (bend === undefined) return scores ?? layer;
  if (scores !== undefined && firstNonlinear(dry, scores) === undefined) {
    if (scores === layer || bend.name === scores) return scores;
  }
  throw new LayerError(
    `CAM needs logits that depend on the layer's output linearly, as by pooling and a linear layer; after "${layer}", ` +
      `"${bend.name}" (${bend.kind}) is not linear. Choose a later layer, or grad-cam.`,
  );
}

/** Why CAM cannot explain a layer; undefined where it can. */
export function camRefusal(dry: DryRun, layer: string): string | undefined {
  try {
    camLayer(dry, layer);
    return undefined;
  } catch (error) {
    if (error instanceof LayerError) return error.message;
    throw error;
  }
}

export const cam = {
  name: 'cam',
  title: 'CAM',
  paper: 'Zhou 2016',
  relu: false,
  batches: true,
  terms: {
    g_k: {
      tex: 'g_k = \\frac{\\partial S}{\\partial A_k}',
      equation: 'Zhou 2016, (2)',
      is: 'gradient of the logit, the same for every A; the weight over Z after pooling [1, K, h, w]',
    },
    w_k: {
      tex: 'w_k = \\sum_{xy} g_k(x, y)',
      equation: 'Zhou 2016, (2)',
      is: 'weight of channel k for the class [K]',
    },
    M: {
      tex: 'M = Z \\sum_k g_k A_k',
      equation: 'Zhou 2016, (2)',
      is: 'sum_k w_k A_k after pooling, the class channel where there is one [h, w]',
    },
  },
  explain({ trace, layer }, { target, classIndex }) {
    const { featureMap, gradient } = trace.at(camLayer(trace.dry(), layer));
    // A target that bends is no affine function of A: CAM explains the class's logit whatever the target makes of it.
    const g_k = gradient(isLinear(target) ? target : logit(classIndex));
    const w_k = reshape(sum(g_k, [2, 3]), [-1]);
    const [, , h, w] = featureMap.shape as [number, number, number, number];
    return { g_k, w_k, M: scale(channelSum(mul(g_k, featureMap)), h * w) };
  },
} satisfies Method;
