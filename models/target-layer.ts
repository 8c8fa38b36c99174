// Which layers of a network can be explained, and which one is when nobody says: the last one that still knows where
// things are. All of it follows from where the values of a dry run lie in the picture.

import {
  isSame,
  NOWHERE,
  type Places,
  type Span,
  seesWhole,
  together,
  WHOLE,
  type Whereabouts,
} from '../engine/places.ts';
import { remembered } from '../engine/remember.ts';
import { type DryRun, firstNonlinear, seenThrough } from './dry-run.ts';
import { type FeatureMapView, featureMapView } from './feature-map.ts';
import { type Graph, type GraphNode, INPUT, nodeOf, nodesBetween } from './graph.ts';

/** The nodes whose outputs hold a feature map of several cells, and how, in the graph's order. */
export function targetLayers({ graph, places }: DryRun): ReadonlyMap<string, FeatureMapView> {
  const found = graph.nodes.map(({ name }) => [name, featureMapView(places.get(name))] as const);
  return new Map(found.filter((entry): entry is [string, FeatureMapView] => typeof entry[1] !== 'string'));
}

/** The layers that can be explained between input and output, in order, without those that only move values about. */
export function layersThatDiffer(dry: DryRun): GraphNode[] {
  const { graph } = dry;
  const maps = targetLayers(dry);
  const path = nodesBetween(graph, new Set(graph.inputs ?? [INPUT]), [graph.output]);
  return path.filter((node) => maps.has(node.name) && !isPlumbing(dry, maps, node));
}

/**
 * The layer to explain when none is named: the last feature map through which everything goes that the output sees of the
 * picture, and each of whose cells it still sees. Behind it, where the output sees that map's cells through one of the same
 * size alone (a transformer's tokens enter its last attention normalised), the last such. Layers that only move values about
 * or thin them out are passed over, for the map before them says as much or more, and so is a map of the classes' own
 * scores. Undefined where the network has no feature map.
 */
export function defaultTargetLayer(dry: DryRun): string | undefined {
  const { graph } = dry;
  const maps = targetLayers(dry);
  const gates = new Set(gateways(graph, graph.output));
  const reaches = (name: string, blocked?: string) =>
    seesWhole(seenThrough(dry, name, onGridAlone(dry.places.get(name)!), graph.output, blocked));
  const candidates = layersThatDiffer(dry).reverse();
  const last =
    candidates.find(({ name }) => gates.has(name) && reaches(name)) ??
    candidates.find(({ name }) => reaches(name));
  if (last === undefined) return undefined;
  if (scoresAlone(dry, last)) {
    const before = candidates.slice(candidates.indexOf(last)).find((node) => !scoresAlone(dry, node));
    return (before ?? last).name;
  }
  const later = candidates.slice(0, candidates.indexOf(last)).find(({ name }) => {
    const [one, other] = [maps.get(name)!, maps.get(last.name)!];
    const alike = one.channels === other.channels && one.grid.join() === other.grid.join();
    return alike && reaches(name) && !reaches(last.name, name);
  });
  return (later ?? last).name;
}

/**
 * The layer of a network that scores classes at each place [N, classes, h, w]: the last feature map on its coarsest grid,
 * where it has seen most of the picture (as Vinogradova 2020), but for the scores themselves. Undefined where there is none.
 */
export function coarsestLayer(dry: DryRun, scores: string): string | undefined {
  const { graph } = dry;
  const maps = targetLayers(dry);
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const ofScores = new Set<string>();
  for (let at = byName.get(scores); at !== undefined; at = byName.get(at.inputs[0]!)) {
    ofScores.add(at.name);
    if (at.traits.weighted || at.inputs.length > 1) break;
  }
  const cells = ({ name }: GraphNode) => maps.get(name)!.grid[0] * maps.get(name)!.grid[1];
  const candidates = layersThatDiffer(dry).filter(({ name }) => !ofScores.has(name));
  const least = candidates.reduce((n, node) => Math.min(n, cells(node)), Number.POSITIVE_INFINITY);
  return candidates.findLast((node) => cells(node) === least)?.name;
}

/**
 * The nodes that give how much each token of the picture takes of every other, in the graph's order: [N, heads, T, T], or,
 * where a file has batch and heads in one axis, [N heads, T, T].
 */
export const attentions = remembered(({ graph, shapes, places }: DryRun): readonly string[] => {
  const path = nodesBetween(graph, new Set(graph.inputs ?? [INPUT]), [graph.output]);
  const found = path.filter(({ name, traits }) => {
    if (!places.get(name)) return false;
    const shape = shapes.get(name)!;
    const [rows, columns] = shape.slice(-2);
    const hasHeads = shape.length === 4 || (shape.length === 3 && shape[0]! > 1);
    return traits.gives === 'softmax' && hasHeads && rows === columns && rows! > 1;
  });
  return found.map(({ name }) => name);
});

/**
 * The layer that gives a transformer's tokens before they first attend to one another, through which everything goes that
 * the output sees; undefined where a network has no attention.
 */
export function tokenLayer(dry: DryRun): string | undefined {
  const [first] = attentions(dry);
  if (first === undefined) return undefined;
  const { graph, places } = dry;
  const before = nodesBetween(graph, new Set(graph.inputs ?? [INPUT]), [first]).map(({ name }) => name);
  const isMap = (name: string) => typeof featureMapView(places.get(name)) !== 'string';
  return gateways(graph, graph.output)
    .filter((name) => before.includes(name) && isMap(name))
    .at(-1);
}

/** What each cell is of the picture, and nothing of what is not on the grid, such as a class token that has seen it all. */
function onGridAlone(where: Whereabouts): Whereabouts {
  const isWhole = (span: Span) => isSame(span, WHOLE);
  const { rows, columns } = where;
  const seeing = (places: Places): Places => ({ ...places, sees: true });
  if (![rows, columns].every(({ spans }) => spans.some(isWhole)))
    return { rows: seeing(rows), columns: seeing(columns) };
  const { kept, spans } = together(where);
  const along = (direction: 0 | 1): Places => ({
    sees: true,
    shape: rows.shape,
    kept,
    spans: spans.map((both) => (both.every(isWhole) ? NOWHERE : both[direction])),
  });
  return { rows: along(0), columns: along(1) };
}

/** Whether a node only moves values about or thins them out: without parameters, linear, or onto a smaller grid. */
function isPlumbing(
  dry: DryRun,
  maps: ReadonlyMap<string, FeatureMapView>,
  { name, inputs, parameters }: GraphNode,
): boolean {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0 || Object.keys(parameters).length > 0) return false;
  if (!dry.shapes.has(input)) return false;
  const [from, to] = [maps.get(input)?.grid ?? [], maps.get(name)!.grid];
  return from.join() !== to.join() ? maps.has(input) : firstNonlinear(dry, input, name) === undefined;
}

/** Whether a map's channels are the classes, each seen by the output alone. */
function scoresAlone({ graph, shapes, places }: DryRun, node: GraphNode): boolean {
  const classes = shapes.get(graph.output)!.at(-1)!;
  const { rows, columns } = places.get(node.name)!;
  const isOfClasses = rows.shape.some(
    (n, axis) => axis > 0 && n === classes && rows.kept[axis] === 1 && columns.kept[axis] === 1,
  );
  let at = nodeOf(graph, graph.output);
  while (at.name !== node.name && at.inputs.length === 1 && (at.traits.channelwise || at.traits.view))
    at = nodeOf(graph, at.inputs[0]!);
  return isOfClasses && at.name === node.name;
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
    const reached = inputs.filter((input) => before.has(input));
    if (reached.length === 0) continue;
    const gateway = reached.reduce(common);
    before.set(name, { gateway, depth: before.get(gateway)!.depth + 1 });
  }
  const found: string[] = [];
  for (let at: string | undefined = node; at !== undefined; at = before.get(at)?.gateway) found.unshift(at);
  return found;
}

/** Whether a network reads something step after step, such as words. */
export const isRecurrent = ({ graph }: DryRun): boolean =>
  graph.nodes.some(({ traits }) => traits.recurrent === true);
