// FullGrad (Srinivas, Fleuret: Full-Gradient Representation for Neural Network Visualization, NeurIPS 2019).
//
//   S = sum X dS/dX + sum_l sum b_l dS/dz_l                      completeness, of a piecewise linear network
//   M = psi(X dS/dX) + sum_l sum_c psi(b_lc dS/dz_lc)            psi: magnitude, upsampled to the input's size
//
// z_l: the output of a layer, to which it adds the bias b_l: a convolution's, a linear layer's, what a batch norm shifts by.
// Biases behind the last feature map count in the sum and are nowhere in the picture. What the sum lacks of S is said: it
// is 0 but for rounding where the network is piecewise linear. The paper also scales each psi to 0..1, after which nothing
// adds up; here it does not.

import { abs, add, concat, mul, reshape, scope, sub, sum, type Tensor } from '../../engine/index.ts';
import { featureMapView } from '../../models/feature-map.ts';
import { type GraphNode, INPUT, nodesBetween, parametersOf } from '../../models/graph.ts';
import { channelSum, upsampleMap } from '../map.ts';
import type { Method } from '../method.ts';
import { scoreOf } from '../target.ts';
import type { Trace } from '../trace.ts';

/** The bias that a layer adds to its output, in a shape that broadcasts; undefined where it adds none. */
function biasOf(node: GraphNode, { network, dry }: Trace): Tensor | undefined {
  const parameters = parametersOf(node, network.parameters);
  const { channelAffine, weighted } = node.traits;
  const bias = channelAffine ? channelAffine(parameters).shift : weighted && parameters.bias;
  const ofLast = !channelAffine && parameters.weight?.shape.length === 2;
  const after = ofLast ? 0 : dry().shapes.get(node.name)!.length - 2;
  return bias && reshape(bias, [-1, ...Array<number>(after).fill(1)]);
}

export const fullGrad: Method = {
  name: 'full-grad',
  title: 'FullGrad',
  paper: 'Srinivas 2019',
  relu: false,
  terms: {
    r: {
      tex: 'S, \\quad S - \\sum X \\frac{\\partial S}{\\partial X} - \\sum_l \\sum b_l \\frac{\\partial S}{\\partial z_l}',
      equation: 'Srinivas 2019, completeness',
      is: 'the target, and what the gradients of picture and biases lack of it [2]',
      note: ([score, missing]) =>
        `gradients of picture and biases add up to ${(score! - missing!).toPrecision(4)}, and the target is ` +
        score!.toPrecision(4),
    },
    M: {
      tex: 'M = \\psi(X \\circ \\tfrac{\\partial S}{\\partial X}) + \\sum_l \\sum_c \\psi(b_{lc} \\tfrac{\\partial S}{\\partial z_{lc}})',
      equation: 'Srinivas 2019, the definition',
      is: 'magnitudes of what the picture and the biases contribute [H, W]',
    },
  },
  explain({ trace }, { target }) {
    const { picture, network, outputs } = trace;
    const { graph } = network;
    const size = picture.shape.slice(2) as [number, number];
    const path = nodesBetween(graph, new Set(graph.inputs ?? [INPUT]), [graph.output]);
    const biased = path.flatMap((node) => {
      const bias = biasOf(node, trace);
      return bias ? [{ node: node.name, bias }] : [];
    });
    const slopes = trace.gradients(target, [INPUT, ...biased.map(({ node }) => node)]);
    const ofPicture = mul(picture, slopes[0]!);
    const start = { M: channelSum(abs(ofPicture)), total: sum(ofPicture) };
    const { M, total } = biased.reduce(
      (before, { node, bias }, i) =>
        scope(() => {
          const part = mul(slopes[i + 1]!, bias);
          const view = featureMapView(trace.dry().places.get(node));
          const map = typeof view === 'string' ? undefined : channelSum(view.toMap(abs(part)));
          return {
            M: map ? add(before.M, upsampleMap(map, size)) : before.M,
            total: add(before.total, sum(part)),
          };
        }),
      start,
    );
    const S = scoreOf(target, outputs);
    return { r: concat([S, sub(S, reshape(total, [1]))], 0), M };
  },
};
