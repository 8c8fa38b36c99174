// A trace: one forward pass of a network, seen from one or several layers. It keeps the layers' feature maps and the tape
// of everything after the first of them, so that one backward pass gives a target's gradients at all layers, and it runs
// the network again from any value that is varied. Every method works on a trace; so may whoever wants to look inside.

import { leaf, pullback } from '../engine/autograd.ts';
import {
  full,
  grad,
  narrow,
  type Shape,
  ShapeError,
  scope,
  stopGradient,
  sum,
  Tensor,
  unowned,
} from '../engine/index.ts';
import { recording } from '../engine/operation.ts';
import { sameShape } from '../engine/tensor.ts';
import { type DryRun, dryRun } from '../models/dry-run.ts';
import { type FeatureMapView, featureMapView } from '../models/feature-map.ts';
import { boundary, dependents, evaluate, type Graph, INPUT, nodeOf } from '../models/graph.ts';
import type { Network } from '../models/network.ts';
import { run } from '../models/run.ts';
import { targetLayers } from '../models/target-layer.ts';
import { cotangentsOf } from './cotangents.ts';
import { LayerError } from './errors.ts';
import { type Outputs, outputsOf } from './outputs.ts';
import { inputsOf, type Prediction, predictionsOf } from './predict.ts';
import { type Substitution, substituted } from './rules.ts';
import { scoreOf, type Target } from './target.ts';

type Values = ReadonlyMap<string, Tensor>;

/** One forward pass of a network on one picture, kept until it is disposed. */
export interface Trace {
  readonly network: Network;
  /** The picture as the network takes it, [1, C, H, W]. */
  readonly picture: Tensor;
  /** The layers from which the pass was recorded; `at` takes others too. */
  readonly layers: readonly string[];
  /** What the network gave, each [1, ...]. */
  readonly outputs: Outputs;
  /** Logits and probabilities, a class each, in the order of classes; of a batch, of its first picture or another. */
  readonly predictions: (picture?: number) => Promise<Prediction[]>;
  /** The network seen from a layer; the first of `layers` when left out. */
  readonly at: (layer?: string) => TracedLayer;
  /** The value of any node [1, ...]; it belongs to the trace. */
  readonly value: (node: string) => Tensor;
  /**
   * The outputs [N, ...] from N versions of some nodes' values or of the inputs, everything else as it was. Only what
   * depends on them is run; `names` chooses among the outputs, all when left out. Differentiable, by rules of derivation
   * that are substituted for those of some layers, if any.
   */
  readonly vary: (versions: Values, names?: readonly string[], rules?: Substitution) => Outputs;
  /** dS/dx [1, ...] at the values x of some nodes or inputs, from one pass that is recorded from the first of them. */
  readonly gradients: (target: Target, nodes: readonly string[]) => readonly Tensor[];
  /** What a dry run of the network finds: shapes, places, linearity. */
  readonly dry: () => DryRun;
  /** Tensors that several methods or classes share: made when first asked for, freed with the trace. */
  readonly shared: (key: string, make: () => readonly Tensor[]) => readonly Tensor[];
  /** Frees everything but the inputs. */
  readonly dispose: () => void;
}

/** What methods work on: a feature map A, and the rest of the network, the tail, as a function of it. */
export interface TracedLayer {
  readonly trace: Trace;
  readonly layer: string;
  /** A [1, K, h, w]: the layer's output, or what of it is a map of the picture, such as the tokens of its patches. */
  readonly featureMap: Tensor;
  /** How the layer's output holds the feature map. */
  readonly view: FeatureMapView;
  /** A layer's output for N feature maps [N, K, h, w]; what of it is no map of the picture stays as it was. */
  readonly outputFor: (featureMaps: Tensor) => Tensor;
  /** S [N] from N versions of the feature map [N, K, h, w]; differentiable, perhaps by other rules. */
  readonly score: (target: Target, featureMaps: Tensor, rules?: Substitution) => Tensor;
  /** dS/dA [1, K, h, w]; it belongs to the trace. */
  readonly gradient: (target: Target) => Tensor;
}

/** From where a pass is seen; everything may be left out. */
export interface TraceOptions {
  /** Layers from which the pass is seen; the network's target layer when left out. */
  readonly layers?: readonly string[];
  /** Further nodes whose values are kept on the way, because they are going to be asked for. */
  readonly keep?: readonly string[];
}

/**
 * Runs a network on one picture [1, C, H, W], or on its inputs by name, of which the picture is `input`.
 *
 * @throws {LayerError} where a layer is no feature map, or the picture is several.
 */
export function observe(
  network: Network,
  input: Tensor | Readonly<Record<string, Tensor>>,
  options: TraceOptions = {},
): Trace {
  return traceOf(network, inputsOf(network, input), options);
}

/**
 * The same of N pictures [N, C, H, W] at once; whatever a trace has as [1, ...] is [N, ...]. Methods that take batches
 * explain it, others `pictureOf` it.
 */
export const observeBatch = (network: Network, pictures: Tensor, options: TraceOptions = {}): Trace =>
  traceOf(network, new Map([[INPUT, pictures]]), options);

/** The trace of one picture of a batch's; the caller disposes it before the batch's, and its `picture` with it. */
export function pictureOf({ network, layers, picture, value }: Trace, index: number): Trace {
  const { graph } = network;
  const ofPicture = dependents(graph, [INPUT]);
  const row = (x: Tensor) => {
    const rows = x.shape[0]! / picture.shape[0]!;
    return narrow(x, 0, index * rows, rows);
  };
  const names = beginning(graph, firstOf(graph, layers)).filter(
    (name) => name !== INPUT && ofPicture.has(name),
  );
  const values = new Map(names.map((name) => [name, row(value(name))]));
  return traceOf(network, new Map([[INPUT, row(picture)]]), { layers }, values);
}

/** Whether a network's passes on N pictures [N, C, H, W] are those on each, one after another. */
export function takesBatches({ graph }: Network, [count, ...size]: Shape): boolean {
  if ((graph.inputs ?? [INPUT]).join() !== INPUT) return false;
  try {
    const [one, all] = [1, count!].map((n) => dryRun(graph, [n, ...size]).shapes);
    return [...dependents(graph, [INPUT])].every((name) => {
      const [first, ...rest] = one!.get(name)!;
      return sameShape(all!.get(name)!, [count! * first!, ...rest]);
    });
  } catch (error) {
    if (error instanceof ShapeError) return false;
    throw error;
  }
}

/** A trace of inputs, for which some values may be given already; the trace disposes of those. */
function traceOf(
  network: Network,
  inputs: Values,
  { layers: named = [network.targetLayer], keep = [] }: TraceOptions,
  given: Values = new Map(),
): Trace {
  const { graph, device, parameters } = network;
  const layers = named.map((layer) => nodeOf(graph, layer).name);
  const picture = inputs.get(INPUT)!;
  const outputNodes = new Map([...(graph.outputs ?? []), ['logits', graph.output]]);
  const ends = endsOf(graph);
  const outputsFrom = (values: Values, names: readonly string[] = [...outputNodes.keys()]) =>
    outputsOf(
      names,
      names.map((name) => values.get(outputNodes.get(name)!)),
    );

  const first = firstOf(graph, layers);
  let found: DryRun | undefined;
  function dry(): DryRun {
    found ??= dryRun(graph, [1, ...picture.shape.slice(1)], shapesOf(inputs));
    return found;
  }
  const views = layers.map((layer) => viewAt(layer, dry(), network));

  const { before, after } = scope(() => {
    const before = run(network, new Map([...inputs, ...given]), beginning(graph, first));
    const leaves = first.map((layer) => [layer, leaf(before.get(layer)!)] as const);
    const values = new Map([...inputs, ...before, ...leaves]);
    const after = recording(() => run(network, values, [...ends, ...layers, ...keep]));
    return { before, after };
  });
  /** Every value that is there, without its derivative. */
  const kept = new Map([...inputs, ...before]);
  for (const [name, value] of after) {
    if (!kept.has(name))
      kept.set(
        name,
        unowned(() => stopGradient(value)),
      );
  }
  const { shared, madeSoFar } = sharing();
  const keyOf = targetKeys();

  function value(node: string): Tensor {
    const found = kept.get(node) ?? unowned(() => scope(() => evaluate(graph, parameters, kept, [node])));
    if (found instanceof Tensor) return found;
    kept.set(node, found.get(node)!);
    return value(node);
  }

  function vary(versions: Values, names?: readonly string[], rules?: Substitution): Outputs {
    const wanted = names?.map((name) => outputNodes.get(name)!) ?? ends;
    const around = boundary(graph, [...versions.keys()], wanted);
    const values = new Map([...around.map((name) => [name, value(name)] as const), ...versions]);
    const found = rules
      ? evaluate(substituted(graph, rules), parameters, values, wanted)
      : run(network, values, wanted);
    return outputsFrom(found, names);
  }

  /** dS/dx at some values of a recorded pass, from one backward pass. */
  function backwards(target: Target, recorded: Values, nodes: readonly string[]): Tensor[] {
    const found = outputsFrom(recorded);
    const cotangents = cotangentsOf(target, found);
    const pairs = Object.entries(found).map(([name, output]) => [output, cotangents[name]] as const);
    const at = nodes.map((node) => recorded.get(node)!);
    return pullback(pairs, at).map((d, i) => d ?? full(device, at[i]!.shape, 0));
  }

  const gradients = (target: Target, nodes: readonly string[]) =>
    shared(`gradients of ${keyOf(target)} at ${nodes.join(', ')}`, () => {
      const from = firstOf(graph, nodes);
      const around = boundary(graph, from, ends).map((node) => [node, value(node)] as const);
      const leaves = from.map((node) => [node, leaf(value(node))] as const);
      const recorded = recording(() => run(network, new Map([...around, ...leaves]), [...ends, ...nodes]));
      return backwards(target, recorded, nodes);
    });

  /** dS/dA at a layer: one of `layers` from the recorded pass, with those of all; else of what follows the layer. */
  function gradientAt({ layer, featureMap, score }: Omit<TracedLayer, 'gradient'>, target: Target): Tensor {
    const index = layers.indexOf(layer);
    if (index < 0) {
      const make = () => [grad((maps: Tensor) => sum(score(target, maps)))(featureMap)];
      return shared(`gradient of ${keyOf(target)} at ${layer}`, make)[0]!;
    }
    const make = () => backwards(target, after, layers).map((d, i) => views[i]!.toMap(d));
    return shared(`gradients of ${keyOf(target)}`, make)[index]!;
  }

  function at(named: string = layers[0]!): TracedLayer {
    const layer = nodeOf(graph, named).name;
    const output = value(layer);
    const view = viewAt(layer, dry(), network);
    const [featureMap] = shared(`feature map of ${layer}`, () => [stopGradient(view.toMap(output))]);
    const outputFor = (maps: Tensor) => view.fromMap(maps, output);
    const score: TracedLayer['score'] = (target, maps, rules) => {
      const names = typeof target === 'function' ? undefined : ['logits'];
      return scoreOf(target, vary(new Map([[layer, outputFor(maps)]]), names, rules));
    };
    const seen = { trace, layer, featureMap: featureMap!, view, outputFor, score };
    return { ...seen, gradient: (target) => gradientAt(seen, target) };
  }

  const outputs = outputsFrom(after);
  const trace: Trace = {
    network,
    picture,
    layers,
    outputs,
    async predictions(index = 0) {
      const logits = await outputs.logits.data();
      const classes = logits.length / picture.shape[0]!;
      return predictionsOf(network, logits.subarray(index * classes, (index + 1) * classes));
    },
    at,
    value,
    vary,
    gradients,
    dry,
    shared,
    dispose() {
      const fromOutside = new Set(inputs.values());
      const made = new Set([...kept.values(), ...after.values(), ...madeSoFar()]);
      for (const tensor of made) if (!fromOutside.has(tensor)) tensor.dispose();
    },
  };
  return trace;
}

/** How a layer's output holds a feature map; where it holds none, the error says why and names a layer that does. */
function viewAt(layer: string, dry: DryRun, { targetLayer }: Network): FeatureMapView {
  const view = featureMapView(dry.places.get(layer));
  if (typeof view !== 'string') return view;
  const maps = targetLayers(dry);
  const other = maps.has(targetLayer) ? targetLayer : [...maps.keys()].at(-1);
  throw new LayerError(
    `layer "${layer}" gives [${dry.shapes.get(layer)!.join(', ')}], which is no feature map: ${view}; ` +
      (other ? `choose another, such as "${other}"` : 'the network has none at this size of the picture'),
  );
}

/** Tensors by their keys, each made when first asked for. */
function sharing(): { readonly shared: Trace['shared']; readonly madeSoFar: () => Tensor[] } {
  const made = new Map<string, readonly Tensor[]>();
  return {
    shared(key, make) {
      const found = made.get(key) ?? unowned(() => scope(make));
      made.set(key, found);
      return found;
    },
    madeSoFar: () => [...made.values()].flat(),
  };
}

/** What tells targets apart: those that are data by what they say, functions by which function they are. */
function targetKeys(): (target: Target) => string {
  const functions: Target[] = [];
  return (target) => {
    if (typeof target !== 'function') return JSON.stringify(target);
    if (!functions.includes(target)) functions.push(target);
    return String(functions.indexOf(target));
  };
}

/** The nodes at which a network's outputs are. */
const endsOf = ({ outputs, output }: Graph): string[] => [...new Set([...(outputs?.values() ?? []), output])];

/** Those of some nodes that come after no other one. A tape begins at them. */
function firstOf(graph: Graph, nodes: readonly string[]): string[] {
  const ends = endsOf(graph);
  return nodes.filter((node) => {
    const after = dependents(graph, [node]);
    if (!ends.some((end) => after.has(end)))
      throw new LayerError(`the output does not depend on "${node}"; choose another layer`);
    return nodes.every((other) => other === node || !dependents(graph, [other]).has(node));
  });
}

/** The values that must be there before a tape begins at some nodes: those, and what does not depend on them. */
const beginning = (graph: Graph, first: readonly string[]): string[] => [
  ...first,
  ...boundary(graph, first, endsOf(graph)),
];

/** Shapes of the inputs but the picture. */
const shapesOf = (inputs: Values) =>
  new Map([...inputs].flatMap(([name, { shape }]) => (name === INPUT ? [] : [[name, shape] as const])));
