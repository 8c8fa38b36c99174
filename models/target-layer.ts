// Which layer of a network to explain when nobody says: the last one that still knows where things are.

import type { Shape } from '../engine/index.ts';
import { type Graph, type GraphNode, INPUT, shapesOf } from './graph.ts';

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

/** Which axes of four hold space, rows first: as in [N, C, H, W], or as in TensorFlow's [N, H, W, C]. */
type Axes = '2,3' | '1,2';

/** Where the axes of space of each node's output lie, for those that are made from the input or another such. */
function spatialAxes(graph: Graph, shapes: ReadonlyMap<string, Shape>): Map<string, Axes> {
  const axes = new Map<string, Axes>([[INPUT, '2,3']]);
  for (const { name, kind, inputs, attributes } of graph.nodes) {
    const rank = shapes.get(name)!.length;
    const from = inputs.map((input) => axes.get(input)).find((found) => found !== undefined);
    // Views of more axes, as a shuffle of channels makes them, come back to four as they were.
    if (from === undefined || rank < 4) continue;
    const order = kind === 'transpose' && rank === 4 ? (attributes.order as readonly number[]) : undefined;
    const now = order ? order.flatMap((axis, i) => (from.includes(String(axis)) ? [i] : [])).join() : from;
    if (now === '2,3' || now === '1,2') axes.set(name, now);
  }
  return axes;
}

/**
 * The nodes whose outputs are feature maps [N, K, h, w] of several pixels, or with space in the axes '1,2' [N, h, w, K]:
 * made from the input, or from such a map, with the two axes of space kept. Attention between tokens, though of four
 * axes, is none.
 */
export function featureMaps(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  space: Axes = '2,3',
): Set<string> {
  const axes = spatialAxes(graph, shapes);
  const isMap = (name: string) => {
    const shape = shapes.get(name)!;
    const [y, x] = space.split(',').map(Number) as [number, number];
    return shape.length === 4 && axes.get(name) === space && shape[y]! * shape[x]! > 1;
  };
  return new Set(graph.nodes.map(({ name }) => name).filter(isMap));
}

/** Whether a node's output is a feature map as [N, h, w, K], for an input [N, C, H, W]. */
export function isChannelsLast(graph: Graph, node: string, input: Shape): boolean {
  // Nothing else turns axes, and shapes take a while to find out.
  if (!graph.nodes.some(({ kind }) => kind === 'transpose')) return false;
  return spatialAxes(graph, shapesOf(graph, input)).get(node) === '1,2';
}

/**
 * The last feature map before the head: before pooling, and before a convolution that gives the classes themselves. In a
 * vision transformer the last tokens of which each still reaches the output: those that are averaged, or else those that
 * enter the last attention. Undefined where there is neither.
 */
export function defaultTargetLayer(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  return (
    averagedTokens(graph, shapes) ?? tokensBeforeLastAttention(graph, shapes) ?? lastFeatureMap(graph, shapes)
  );
}

function lastFeatureMap(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const maps = featureMaps(graph, shapes);
  const classes = shapes.get(graph.output)!.at(-1)!;
  // A turn to [N, K, h, w] is where the map before it can be seen.
  const wanted = (node: GraphNode) =>
    maps.has(node.name) &&
    (!PLUMBING.has(node.kind) || (node.kind === 'transpose' && !maps.has(node.inputs[0]!)));
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

/** Several tokens [N, T, D]. */
const areTokens = (shape: Shape | undefined): shape is Shape => shape?.length === 3 && shape[1]! > 1;

/** Tokens whose mean is all that the head sees of them. */
function averagedTokens(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const [, ...passed] = gateways(graph, graph.output);
  const pooled = passed
    .map((name) => nodes.get(name)!)
    .findLast(({ inputs, kind, attributes }) => {
      const rank = shapes.get(inputs[0]!)?.length;
      const axes = kind === 'globalAvgPool' ? '2' : kind === 'reduceMean' ? String(attributes.axes) : '';
      return rank === 3 && (axes === '1' || (axes === '2' && nodes.get(inputs[0]!)?.kind === 'transpose'));
    });
  let before = nodes.get(pooled?.inputs[0] ?? '');
  while (before !== undefined && PLUMBING.has(before.kind)) before = nodes.get(before.inputs[0]!);
  return before && areTokens(shapes.get(before.name)) ? before.name : undefined;
}

/**
 * Tokens [N, T, D] that the last attention between tokens reads, normalised if they are on the way there: the last that
 * everything in it depends on, of the shape of the residual stream, which is what the attention's result is added to.
 */
function tokensBeforeLastAttention(graph: Graph, shapes: ReadonlyMap<string, Shape>): string | undefined {
  const isAttention = ({ kind, name }: GraphNode) =>
    ATTENTION.has(kind) && shapes.get(name)!.length > 2 && name !== graph.output;
  for (const attention of graph.nodes.filter(isAttention).reverse()) {
    const after = new Set([attention.name]);
    for (const { name, inputs } of graph.nodes) if (inputs.some((one) => after.has(one))) after.add(name);
    const residual = graph.nodes.find(
      ({ name, kind, inputs }) =>
        kind === 'add' && after.has(name) && inputs.length === 2 && inputs.some((one) => !after.has(one)),
    );
    const shape = shapes.get(residual?.inputs.find((one) => !after.has(one)) ?? '');
    if (!areTokens(shape)) continue;
    const alike = (name: string) => shapes.get(name)?.join() === shape.join();
    const found = gateways(graph, attention.name).findLast(alike);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The nodes through which everything goes that a node sees of the input, in order, with the node itself. */
function gateways(graph: Graph, node: string): string[] {
  // The last gateway before each node, and how many stand before it: the tree of dominators (Cooper 2001).
  const before = new Map<string, { readonly gateway: string | undefined; readonly depth: number }>();
  before.set(INPUT, { gateway: undefined, depth: 0 });
  const common = (a: string, b: string): string => {
    const [left, right] = [before.get(a)!, before.get(b)!];
    if (a === b) return a;
    return left.depth > right.depth ? common(left.gateway!, b) : common(a, right.gateway!);
  };
  for (const { name, inputs } of graph.nodes) {
    const known = inputs.filter((input) => before.has(input));
    if (known.length === 0) continue;
    const gateway = known.reduce(common);
    before.set(name, { gateway, depth: before.get(gateway)!.depth + 1 });
  }
  const found: string[] = [];
  for (let at: string | undefined = node; at !== undefined; at = before.get(at)?.gateway) found.unshift(at);
  return found;
}
