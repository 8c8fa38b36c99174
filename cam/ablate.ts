// The network without one channel of the feature map, for many channels at once: N versions of the logits.
//
// Removing a channel is linear, and so is the first layer behind the feature map in nearly every network; in between
// stand at most layers that treat each channel alone (ReLU, pooling). So the N versions of that layer's output are its
// one output minus what each channel contributes to it: no N convolutions. Only what comes after is run N times.

import { affine, mul, narrow, reshape, sub, type Tensor } from '../engine/index.ts';
import {
  type ChannelRange,
  evaluate,
  type GraphNode,
  nodeOf,
  parametersOf,
  type Runnable,
  read,
} from '../models/graph.ts';
import { linearBehind } from './behind.ts';
import { type Observation, oneHotRows } from './observe.ts';

/** What of a network is run: up to a node, with these parameters, and with these values that are known already. */
type Part = Pick<Runnable, 'parameters'> & Pick<Observation, 'behind'> & { readonly output: string };

/** The last layer cut down to one class, where that layer's outputs are the classes. */
function oneClass({ network, layer, logits, behind }: Observation, index: number): Part | undefined {
  const { graph, parameters } = network;
  /** Backwards through nodes with a trait, not beyond the feature map. */
  const back = (from: GraphNode, trait: 'view' | 'channelwise'): GraphNode =>
    from.name !== layer && from.traits[trait] ? back(nodeOf(graph, from.inputs[0]!), trait) : from;
  const last = back(nodeOf(graph, graph.output), 'view');
  const node = back(last, 'channelwise');
  const gives =
    node.traits.weighted?.contributions && node.name !== layer ? node.parameters.weight!.shape[0] : undefined;
  if (gives !== logits.size) return undefined;
  const known = behind.get(node.name);
  // Where its value is known the layer is not run, and only what its channels contribute is asked for.
  const own = Object.entries(node.parameters)
    .filter(([short]) => known === undefined || short === 'weight')
    .map(([, { key }]) => [key, narrow(parameters.get(key)!, 0, index, 1)] as const);
  return {
    parameters: new Map([...parameters, ...own]),
    output: last.name,
    behind: known ? new Map([...behind, [node.name, narrow(known, 1, index, 1)]]) : behind,
  };
}

/** Logits [count, classes], or [count, 1] of one class, perhaps as an image of one pixel, of the network without each channel of a range. */
export type AblatedLogits = (range: ChannelRange) => Tensor;

/**
 * Prepares the ablations of an observed feature map; call it and what it returns inside one scope. With `index`, of
 * that class's logit alone, so that a classifier of a thousand classes is not computed for one; undefined where the
 * network's last layer does not allow that.
 */
export function ablation(observation: Observation, index?: number): AblatedLogits | undefined {
  const { network, layer, featureMap, values, view, behind } = observation;
  const { graph } = network;
  const whole: Part = { parameters: network.parameters, output: graph.output, behind };
  const part = index === undefined ? whole : oneClass(observation, index);
  if (part === undefined) return undefined;
  const { parameters, output } = part;
  // Among tokens a channel is no channel of the graph's: those are masked.
  const linear = featureMap === values.get(layer) ? linearBehind(graph, layer) : [];
  const names = linear.flatMap((node) => [node.inputs[0]!, node.name]);
  const before = evaluate(graph, parameters, new Map([...values, ...part.behind]), names);
  const known = new Set([...values.keys(), ...linear.map((node) => node.name)]);
  const masks = read(graph, known, [output]).has(layer);
  return (range) => {
    const versions = new Map(values);
    for (const node of linear) {
      const context = { parameters: parametersOf(node, parameters) };
      const parts = node.traits.weighted!.contributions!(before.get(node.inputs[0]!)!, range, context);
      versions.set(node.name, sub(before.get(node.name)!, parts));
    }
    if (masks) {
      const keep = affine(oneHotRows(featureMap, range.start, range.count, [range.total, 1, 1]), -1, 1);
      versions.set(layer, view.fromMap(mul(featureMap, keep), values.get(layer)!));
    } else versions.delete(layer);
    return evaluate(graph, parameters, versions, [output]).get(output)!;
  };
}

/** The scalar of one class's logits [count, 1] or [count, 1, 1, 1]. */
export const onlyLogit = (logits: Tensor): Tensor => reshape(logits, [-1]);
