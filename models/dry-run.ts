// A network run without numbers: what can be known of it before anything is computed, at any size, on any machine. The
// shape of every value, what it costs, where in the picture its elements lie, and whether it depends on another linearly:
// all of it follows from the operations that layers are made of.

import { counted, type Dependence, dependenceOf, mark, whereaboutsOf } from '../engine/facts.ts';
import { dryDevice, placeholder, type Shape, scope, sizeOf } from '../engine/index.ts';
import { gridPlaces, type Whereabouts, withAllowance } from '../engine/places.ts';
import { remembered } from '../engine/remember.ts';
import { evaluate, type Graph, type GraphNode, INPUT, nodesBetween } from './graph.ts';

/** What a dry run finds, by the names of nodes and inputs. */
export interface DryRun {
  readonly graph: Graph;
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Multiply-adds of each node as the literature counts them: those of convolutions and matrix products. */
  readonly multiplyAdds: ReadonlyMap<string, number>;
  /** Where in the picture each element lies; undefined of what does not come from it. */
  readonly places: ReadonlyMap<string, Whereabouts | undefined>;
}

/** What is said of a value before a dry run passes it on. */
interface Given {
  readonly shape: Shape;
  readonly places?: Whereabouts | undefined;
  /** Whether it is the variable of which linearity is asked. */
  readonly isVariable?: boolean;
}

interface Found {
  readonly shape: Shape;
  readonly places: Whereabouts | undefined;
  readonly dependence: Dependence;
  readonly multiplyAdds: number;
}

/** What becomes of some values in all nodes that depend on nothing else. */
function passedOn(
  graph: Graph,
  given: ReadonlyMap<string, Given>,
  wanted: readonly string[],
): Map<string, Found> {
  const device = dryDevice();
  const costs = new Map<string, number>();
  const counting = ({ name, run, ...node }: GraphNode): GraphNode => ({
    ...node,
    name,
    run: (inputs, context) => {
      const { result, multiplyAdds } = counted(() => run(inputs, context));
      costs.set(name, multiplyAdds);
      return result;
    },
  });
  const found = new Map<string, Found>();
  // Not as the scope's result: it looks for tensors in that, span by span.
  const walk = () => {
    const parameters = new Map(
      graph.nodes.flatMap((node) =>
        Object.values(node.parameters).map(({ key, shape }) => [key, placeholder(device, shape)] as const),
      ),
    );
    const known = new Map(
      [...given].map(([name, { shape, places, isVariable = false }]) => [
        name,
        mark(placeholder(device, shape), places, isVariable),
      ]),
    );
    const values = evaluate({ ...graph, nodes: graph.nodes.map(counting) }, parameters, known, wanted);
    for (const [name, x] of values) {
      found.set(name, {
        shape: x.shape,
        places: whereaboutsOf(x),
        dependence: dependenceOf(x),
        multiplyAdds: costs.get(name) ?? 0,
      });
    }
  };
  withAllowance(() => scope(walk));
  return found;
}

/** The picture [N, C, H, W] as a dry run is given it; other shapes have no places. */
const asPicture = (shape: Shape): Given => ({
  shape,
  ...(shape.length === 4 &&
    sizeOf(shape) > 0 && { places: { rows: gridPlaces(shape, 2), columns: gridPlaces(shape, 3) } }),
});

/** Shapes for which a graph's dry runs are kept; pictures of a folder may each have their own. */
const KEPT = 8;

/** Dry runs made before, by the shapes that they were made for: every explanation of a network asks for the same. */
const runsOf = remembered((_: Graph) => new Map<string, DryRun>());

/**
 * What a graph's dry run finds for a picture of a shape, and for the shapes of further inputs by their names.
 *
 * @throws {ShapeError} where the network does not take such inputs.
 */
export function dryRun(graph: Graph, picture: Shape, others: ReadonlyMap<string, Shape> = new Map()): DryRun {
  const key = JSON.stringify([picture, ...others]);
  const runs = runsOf(graph);
  const run = runs.get(key) ?? runDry(graph, picture, others);
  runs.set(key, run);
  const [oldest] = runs.keys();
  if (runs.size > KEPT) runs.delete(oldest!);
  return run;
}

function runDry(graph: Graph, picture: Shape, others: ReadonlyMap<string, Shape>): DryRun {
  const given = new Map<string, Given>([[INPUT, asPicture(picture)]]);
  for (const [name, shape] of others) given.set(name, { shape });
  const names = graph.nodes.map(({ name }) => name);
  const found = passedOn(graph, given, [...given.keys(), ...names]);
  const each = <T>(of: (found: Found) => T) => new Map([...found].map(([name, one]) => [name, of(one)]));
  return {
    graph,
    shapes: each(({ shape }) => shape),
    multiplyAdds: each(({ multiplyAdds }) => multiplyAdds),
    places: each(({ places }) => places),
  };
}

/** The shape of every node's output and input. */
export const shapesOf = (graph: Graph, picture: Shape): ReadonlyMap<string, Shape> =>
  dryRun(graph, picture).shapes;

/** The inputs as they are given where nothing is asked of them. */
const inputsOf = ({ graph: { inputs = [INPUT] }, shapes }: DryRun): [string, Given][] =>
  inputs.map((name) => [name, { shape: shapes.get(name)! }]);

/**
 * What of the picture a node sees through a layer alone, whose elements lie in `places`; `blocked` is a node through which
 * nothing passes.
 */
export function seenThrough(
  dry: DryRun,
  layer: string,
  places: Whereabouts,
  node: string = dry.graph.output,
  blocked?: string,
): Whereabouts | undefined {
  const given = new Map([...inputsOf(dry), [layer, { shape: dry.shapes.get(layer)!, places }]] as [
    string,
    Given,
  ][]);
  if (blocked !== undefined) given.set(blocked, { shape: dry.shapes.get(blocked)! });
  return passedOn(dry.graph, given, [node]).get(node)!.places;
}

/** What `firstOtherThan` found before in a dry run: methods ask the same at every explanation. */
const foundIn = remembered((_: DryRun) => new Map<string, GraphNode | undefined>());

/** The first node on the way from a layer to another at which the value depends on the layer's in another way than these. */
function firstOtherThan(
  kinds: readonly Dependence[],
  dry: DryRun,
  layer: string,
  to: string = dry.graph.output,
): GraphNode | undefined {
  const found = foundIn(dry);
  const key = JSON.stringify([kinds, layer, to]);
  if (!found.has(key)) found.set(key, findOtherThan(kinds, dry, layer, to));
  return found.get(key);
}

function findOtherThan(
  kinds: readonly Dependence[],
  dry: DryRun,
  layer: string,
  to: string,
): GraphNode | undefined {
  const between = nodesBetween(dry.graph, new Set([layer, ...inputsOf(dry).map(([name]) => name)]), [to]);
  const given = new Map([...inputsOf(dry), [layer, { shape: dry.shapes.get(layer)!, isVariable: true }]] as [
    string,
    Given,
  ][]);
  const found = passedOn(
    dry.graph,
    given,
    between.map(({ name }) => name),
  );
  return between.find(({ name }) => !kinds.includes(found.get(name)!.dependence));
}

/**
 * The first node on the way from a layer to another at which the value is no affine function of the layer's any more;
 * undefined where it is one all the way.
 */
export const firstNonlinear = (dry: DryRun, layer: string, to?: string): GraphNode | undefined =>
  firstOtherThan([undefined, 'affine'], dry, layer, to);

/** Likewise, the first at which it is not even affine between kinks, as behind ReLU and maxima. */
export const firstCurved = (dry: DryRun, layer: string, to?: string): GraphNode | undefined =>
  firstOtherThan([undefined, 'affine', 'piecewise'], dry, layer, to);
