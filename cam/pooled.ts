// Whether a network sees of a feature map its channels' means alone, as behind global average pooling. A channel's elements
// are alike then, and so are the derivatives there.

import { sizeOf } from '../engine/index.ts';
import { seesWhole } from '../engine/places.ts';
import { firstNonlinear } from '../models/dry-run.ts';
import type { GraphNode } from '../models/graph.ts';
import type { TracedLayer } from './trace.ts';

/** The first node that sees more of the feature map than means of channels; undefined where there is none. */
export function notPooled({
  trace: { network, dry },
  layer,
  featureMap,
}: TracedLayer): GraphNode | undefined {
  const { graph } = network;
  const users = graph.nodes.filter(({ inputs }) => inputs.includes(layer));
  return users.find((user) => {
    const isMean =
      user.traits.channelwise &&
      user.name !== graph.output &&
      sizeOf(dry().shapes.get(user.name)!) === featureMap.shape[1] &&
      seesWhole(dry().places.get(user.name)) &&
      firstNonlinear(dry(), layer, user.name) === undefined;
    return !isMean;
  });
}
