// What lies right behind a layer: layers that treat each channel alone, and the first ones that do not.

import type { Graph, GraphNode } from '../models/graph.ts';

/** The linear layers behind a layer, through layers of one input that treat each channel alone. */
export function linearBehind(graph: Graph, layer: string): GraphNode[] {
  const carriers = new Set([layer]);
  const ends: GraphNode[] = [];
  for (const node of graph.nodes) {
    if (node.inputs.length !== 1 || !carriers.has(node.inputs[0]!)) continue;
    if (node.traits.channelwise) carriers.add(node.name);
    else if (node.traits.weighted?.contributions) ends.push(node);
  }
  return ends;
}

/**
 * The nodes whose values a forward pass may as well keep for ablation: those linear layers and what they read. Not where
 * a batch norm follows, which is otherwise folded into the layer.
 */
export function worthKeeping(graph: Graph, layer: string): string[] {
  const isFolded = ({ name }: GraphNode) =>
    graph.nodes.some((user) => user.traits.channelAffine && user.inputs.includes(name));
  const kept = linearBehind(graph, layer).filter((node) => !isFolded(node));
  return [...new Set(kept.flatMap((node) => [node.inputs[0]!, node.name]))].filter((name) => name !== layer);
}
