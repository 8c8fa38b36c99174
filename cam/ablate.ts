// S without one channel of the feature map, for many channels at once.
//
// Removing a channel is linear, and so is the next layer that mixes channels in nearly every network; before it stand at
// most layers that treat each channel alone (ReLU, pooling). So that layer's output without a channel is its output minus
// what the channel contributes to it: no convolution is run again. Only what comes after is run for each channel.

import { affine, gather, indexTensor, mul, sub, type Tensor } from '../engine/index.ts';
import {
  boundary,
  type ChannelRange,
  evaluate,
  type Graph,
  type GraphNode,
  needed,
  nodeOf,
  parametersOf,
} from '../models/graph.ts';
import { oneHotRows } from './numbers.ts';
import { outputsOf } from './outputs.ts';
import { scoreOf, type Target } from './target.ts';
import type { TracedLayer } from './trace.ts';

/** The linear layers that follow a layer through layers of one input that treat each channel alone. */
function nextLinear(graph: Graph, layer: string): GraphNode[] {
  const carriers = new Set([layer]);
  const found: GraphNode[] = [];
  for (const node of graph.nodes) {
    if (node.inputs.length !== 1 || !carriers.has(node.inputs[0]!)) continue;
    if (node.traits.channelwise) carriers.add(node.name);
    else if (node.traits.weighted?.contributions) found.push(node);
  }
  return found;
}

/** Values that ablation asks for: those layers' outputs and inputs. Not where a batch norm could otherwise be fused into them. */
export function ablationKeeps(graph: Graph, layer: string): string[] {
  const isFused = ({ name }: GraphNode) =>
    graph.nodes.some((user) => user.traits.channelAffine && user.inputs.includes(name));
  const kept = nextLinear(graph, layer).filter((node) => !isFused(node));
  return kept.flatMap((node) => [node.inputs[0]!, node.name]);
}

/** A target on the last layer, which is cut down to the rows of its weight that the target needs. */
interface LastLayer {
  readonly node: GraphNode;
  /** The node whose output are the rows' logits. */
  readonly output: string;
  readonly rows: Tensor;
  readonly target: Target;
}

/** The last layer, where the target is a sum of logits and that layer's outputs are the logits. */
function lastLayerOf({ trace, layer }: TracedLayer, target: Target): LastLayer | undefined {
  if (!('logits' in target)) return undefined;
  const { graph, device } = trace.network;
  /** Backwards through nodes with a trait, not beyond the feature map. */
  const back = (from: GraphNode, trait: 'view' | 'channelwise'): GraphNode =>
    from.name !== layer && from.traits[trait] ? back(nodeOf(graph, from.inputs[0]!), trait) : from;
  const last = back(nodeOf(graph, graph.output), 'view');
  const node = back(last, 'channelwise');
  const { weight } = node.parameters;
  const gives = node.traits.weighted?.contributions && node.name !== layer && weight?.shape[0];
  if (gives !== trace.outputs.logits.size) return undefined;
  const indices = target.logits.map(([index]) => index);
  return {
    node,
    output: last.name,
    rows: indexTensor(device, indices, [indices.length]),
    target: { ...target, logits: target.logits.map(([, factor], row) => [row, factor]) },
  };
}

/** Prepares ablating a layer: S [count] without each channel of a range. Call it and what it returns in one scope. */
export function ablation(seen: TracedLayer, target: Target): (range: ChannelRange) => Tensor {
  const { trace, layer, featureMap } = seen;
  const { graph, parameters } = trace.network;
  const last = lastLayerOf(seen, target);
  const outputs = new Map(last ? undefined : graph.outputs).set('logits', last?.output ?? graph.output);
  const ends = [...new Set(outputs.values())];
  // Among tokens a channel is no channel of the graph's: there it is masked.
  const linear = seen.outputFor(featureMap) === featureMap ? nextLinear(graph, layer) : [];
  const around = new Map(boundary(graph, [layer], ends).map((name) => [name, trace.value(name)] as const));
  const given = new Set([...around.keys(), layer, ...linear.map(({ name }) => name)]);
  const masks = needed(graph, given, ends).has(layer);
  const rowsOf = (node: GraphNode, x: Tensor, axis: number) =>
    node === last?.node ? gather(x, last.rows, axis) : x;
  const cut = new Map(
    Object.values(last?.node.parameters ?? {}).map(({ key }) => [
      key,
      gather(parameters.get(key)!, last!.rows, 0),
    ]),
  );
  const all = new Map([...parameters, ...cut]);
  const whole = new Map(linear.map((node) => [node.name, rowsOf(node, trace.value(node.name), 1)] as const));
  return (range) => {
    const versions = new Map(around);
    for (const node of linear) {
      const context = { parameters: parametersOf(node, all) };
      const parts = node.traits.weighted!.contributions!(trace.value(node.inputs[0]!), range, context);
      versions.set(node.name, sub(whole.get(node.name)!, parts));
    }
    if (masks) {
      const keep = affine(oneHotRows(featureMap, range.start, range.count, [range.total, 1, 1]), -1, 1);
      versions.set(layer, seen.outputFor(mul(featureMap, keep)));
    }
    const values = evaluate(graph, all, versions, ends);
    const tensors = [...outputs.values()].map((node) => values.get(node));
    return scoreOf(last?.target ?? target, outputsOf([...outputs.keys()], tensors));
  };
}
