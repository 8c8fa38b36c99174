// Which layer of a network to explain when nobody says: the last one that still knows where things are.

import type { Shape } from '../engine/index.ts';
import { type Graph, type GraphNode, INPUT } from './graph.ts';

/** Nodes that move values about or thin them out: the map before them says as much, or more. */
const PLUMBING = new Set(
  [
    'maxPool',
    'avgPool',
    'adaptiveAvgPool',
    'dropout',
    'reshape',
    'transpose',
    'slice',
    'split',
    'pad',
  ].concat([
    'gather',
    'flatten',
    'squeeze',
    'unsqueeze',
    'expand',
    'upsample',
    'resize',
    'toTokens',
    'prependToken',
  ]),
);

/**
 * The nodes whose outputs are feature maps [N, K, h, w] of several pixels: made from the input, or from such a map, with
 * the two axes of space kept. Attention between tokens, though of four axes, is none.
 */
export function featureMaps(graph: Graph, shapes: ReadonlyMap<string, Shape>): Set<string> {
  const spatial = new Set([INPUT]);
  for (const { name, inputs } of graph.nodes) {
    const shape = shapes.get(name)!;
    const several = shape.length >= 4 && shape.at(-1)! * shape.at(-2)! > 1;
    if (several && inputs.some((input) => spatial.has(input))) spatial.add(name);
  }
  return new Set([...spatial].filter((name) => shapes.get(name)?.length === 4));
}

/**
 * The last feature map before the head: before pooling, and before a convolution that gives the classes themselves. In a
 * vision transformer the last tokens of which each still reaches the output, those that enter the last attention.
 * Undefined where there is neither.
 */
export function defaultTargetLayer(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  return tokensBeforeLastAttention(graph, shapes) ?? lastFeatureMap(graph, shapes);
}

function lastFeatureMap(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const maps = featureMaps(graph, shapes);
  const classes = shapes.get(graph.output)!.at(-1)!;
  const wanted = (node: GraphNode) => maps.has(node.name) && !PLUMBING.has(node.kind);
  const last = graph.nodes.findLast(wanted);
  if (last === undefined) return undefined;
  // A classifier that is a convolution, perhaps with a ReLU, then pooling: what it reads is explained.
  const classifier = last.kind === 'relu' ? nodes.get(last.inputs[0]!) : last;
  if (classifier?.kind !== 'conv' || shapes.get(classifier.name)![1] !== classes) return last.name;
  let before = nodes.get(classifier.inputs[0]!);
  while (before !== undefined && !wanted(before)) before = nodes.get(before.inputs[0]!);
  return before?.name ?? last.name;
}

const ATTENTION = new Set(['softmax', 'attentionProbabilities']);

/** Tokens [N, T, D] that the last attention reads, normalised if they are on the way there. */
function tokensBeforeLastAttention(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  const attention = graph.nodes.findLast(
    ({ kind, name }) => ATTENTION.has(kind) && shapes.get(name)!.length > 2 && name !== graph.output,
  );
  if (attention === undefined) return undefined;
  const users = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) users.set(input, [...(users.get(input) ?? []), node]);
  }
  const before = new Set(attention.inputs);
  for (const node of [...graph.nodes].reverse()) {
    if (before.has(node.name)) for (const input of node.inputs) before.add(input);
  }
  // The residual stream is what goes on beside the attention too.
  const stream = graph.nodes.findLast(
    ({ name, kind }) =>
      before.has(name) && kind === 'add' && shapes.get(name)!.length === 3 && users.get(name)!.length > 1,
  );
  const norm = stream && users.get(stream.name)!.find(({ kind }) => kind === 'layerNorm');
  return norm?.name ?? stream?.name;
}
