// What several architectures have in common.

import { type Graph, type GraphNode, INPUT } from '../graph.ts';
import { batchNorm, type ConvSpec, conv, relu } from '../layers.ts';

/** A convolution padded by half its (odd) kernel, so that stride alone changes the size. */
export interface Centred {
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** A centred convolution without bias, and batch normalisation; the second node is the output. */
export const convNorm = (
  names: readonly [conv: string, norm: string],
  input: string,
  spec: Centred,
  epsilon?: number,
): [GraphNode, GraphNode] => [
  conv(names[0], input, { ...spec, padding: (spec.kernel - 1) / 2, bias: false }),
  batchNorm(names[1], names[0], spec.out, epsilon),
];

/** conv 3x3, batch norm, ReLU; the last has the block's name. */
export const block = (
  name: string,
  input: string,
  channels: readonly [from: number, to: number],
  stride = 1,
): GraphNode[] => [
  conv(`${name}.conv`, input, {
    in: channels[0],
    out: channels[1],
    kernel: 3,
    stride,
    padding: 1,
    bias: false,
  }),
  batchNorm(`${name}.norm`, `${name}.conv`, channels[1]),
  relu(name, `${name}.norm`),
];

/** Name of a chain's output: its last node. */
export const lastOf = (nodes: readonly GraphNode[]): string => nodes.at(-1)!.name;

/** A graph whose first convolutions take so many channels of input; one that begins otherwise is left as it is. */
export function withChannels(graph: Graph, channels: number): Graph {
  const nodes = graph.nodes.map((node) => {
    const { weight, bias } = node.parameters;
    const isFirst = node.traits.weighted && node.inputs[0] === INPUT && node.attributes.groups === 1;
    if (!isFirst || weight!.shape[1] === channels) return node;
    const spec = { in: channels, out: weight!.shape[0]!, bias: bias !== undefined };
    return conv(node.name, INPUT, { ...(node.attributes as Pick<ConvSpec, 'kernel'>), ...spec });
  });
  return { ...graph, nodes };
}
