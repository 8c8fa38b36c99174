// Whether a network sees of a feature map its channels' means alone, as behind global average pooling. A channel's elements
// are alike then, and so are the derivatives there.

import { sizeOf } from '../engine/index.ts';
import { seesWhole } from '../engine/places.ts';
import { firstNonlinear } from '../models/dry-run.ts';
import { type GraphNode, nodeOf } from '../models/graph.ts';
import type { TracedLayer } from './trace.ts';

/**
 * The first node that sees more of the feature map than means of channels; undefined where there is none. A convolution of
 * one pixel may stand before the means: it gives the same of them as of every pixel.
 */
export function notPooled({ trace: { network, dry }, layer }: TracedLayer): GraphNode | undefined {
  const { graph } = network;
  const { shapes, places } = dry();
  const after = (from: string): GraphNode | undefined => {
    const channels = shapes.get(from)![1]!;
    const seesMeans = (user: GraphNode) =>
      user.traits.channelwise &&
      sizeOf(shapes.get(user.name)!) === channels &&
      seesWhole(places.get(user.name)) &&
      firstNonlinear(dry(), from, user.name) === undefined;
    return graph.nodes
      .filter(({ inputs }) => inputs.includes(from))
      .flatMap((user) => {
        if (user.name !== graph.output && seesMeans(user)) return [];
        const isPixelwise =
          user.name !== graph.output &&
          user.traits.weighted?.pointwise &&
          shapes.get(user.name)!.slice(2).join() === shapes.get(from)!.slice(2).join();
        return (isPixelwise ? after(user.name) : user) ?? [];
      })[0];
  };
  return after(nodeOf(graph, layer).name);
}
