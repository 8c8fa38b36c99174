// A network is a graph of named nodes. One function evaluates it: from the values that are given to the nodes that are
// wanted, computing only what lies between. Running the network, stopping at a layer, and running again from a layer
// with another value (or N versions of it at once) are all that one function with other given values.

import { largest } from '../engine/extremes.ts';
import {
  type Activation,
  broadcastTo,
  LimelightError,
  type Place,
  type Shape,
  sizeOf,
  type Tensor,
} from '../engine/index.ts';
import { grouped } from './grouped.ts';
import { nearest } from './near.ts';

/** A parameter of a node: its key in the state dict and its shape. */
export interface Parameter {
  readonly key: string;
  readonly shape: readonly number[];
}

/** What a layer is given in addition to its inputs. */
export interface LayerContext {
  /** Parameters by their short name (weight, bias, ...). */
  readonly parameters: Readonly<Record<string, Tensor>>;
  /** To be added to the output; given only to layers whose traits absorb it. */
  readonly summand?: Tensor;
  /** To be applied to the output after that; likewise. */
  readonly activation?: Activation;
  /** Where to write the output; given only to layers that are `placed`. */
  readonly place?: Place | undefined;
  /** Set while training: layers that behave differently then report their batch statistics. */
  readonly statistics?: Map<string, { readonly mean: Tensor; readonly variance: Tensor }>;
}

/** A layer of a network, by its name, with the names of those that it reads. */
export interface GraphNode {
  readonly name: string;
  /** What it computes, in a word, for people to read. */
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly parameters: Readonly<Record<string, Parameter>>;
  /** What a reader wants to see of it: kernel, stride, ... */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly run: (inputs: readonly Tensor[], context: LayerContext) => Tensor;
  readonly traits: Traits;
}

/**
 * What may be relied on of a layer, said where the layer is defined. Everything that treats layers differently asks these
 * and never what a layer is called. What follows from the operations inside a layer (shapes, where in the picture values
 * lie, whether they depend on others linearly, what they cost) is not said but found: see `dry-run.ts`.
 */
export interface Traits {
  /** Gives the elements of its one input in their order, under another shape or the same. */
  readonly view?: true;
  /** Channel k of its output comes from channel k of its one input alone, and zeros from zeros. */
  readonly channelwise?: true;
  /** Gives nothing below 0. */
  readonly nonNegative?: true;
  /** A function of each element of its one input that never falls: the largest stays the largest. */
  readonly increasing?: true;
  /** Turns logits into probabilities, over classes that exclude one another (softmax) or do not (sigmoid). */
  readonly gives?: 'softmax' | 'sigmoid';
  /** Adds its two inputs. */
  readonly sum?: true;
  /** Is this clamp, which convolutions, linear layers and sums apply to their result at no cost. */
  readonly activation?: Activation;
  /**
   * What it can do in addition at no cost: what a layer with `channelAffine` does behind it, by a change of its
   * weight and bias; add a tensor of its result's shape; after that apply one of these activations (`LayerContext`).
   */
  readonly absorbs?: {
    readonly channelAffine?: true;
    readonly summand?: true;
    readonly activations: readonly Activation[];
  };
  /** Writes its output where it is told to (`LayerContext`); it has as many channels as its parameter `weight` has rows. */
  readonly placed?: true;
  /** Puts the channels of its inputs one behind the other. */
  readonly joinsChannels?: true;
  /** Multiplies channel c (axis 1) by scale[c] and adds shift[c], both [channels] and made of its parameters alone. */
  readonly channelAffine?: (parameters: LayerContext['parameters']) => { scale: Tensor; shift: Tensor };
  /**
   * Affine in its one input, by a `weight` whose first axis is the output's channels and perhaps a `bias`. `contributions`
   * gives what each of some of the input's channels adds to the output, [count, ...] for an input of batch 1; the output is
   * the bias plus the contributions of all channels. It is left out where a channel's part cannot be told apart cheaply.
   */
  readonly weighted?: {
    /** Whether it does to a map of one pixel what a linear layer of the same weight does. */
    readonly pointwise?: boolean;
    readonly contributions?: (input: Tensor, channels: ChannelRange, context: LayerContext) => Tensor;
  };
  /**
   * Each element of its output is this function of the elements at the same place, broadcast, of its inputs and of its
   * parameters: in float64 on the host, for those who read a graph.
   */
  readonly each?: (inputs: readonly number[], parameters: Readonly<Record<string, number>>) => number;
  /** Gives means of its one input; over which axes of an input of some shape, or undefined where those are no plain means. */
  readonly mean?: (input: Shape) => readonly number[] | undefined;
  /** Ends by multiplying the last axis by its parameter `weight` and adding its parameter `bias`, both [width]. */
  readonly scaled?: true;
  /** Multiplies with one another two things that its inputs give: two of them, or two parts of one. */
  readonly products?: true;
  /**
   * Takes from each row of its one input, along the last axis, the mean, and divides by the square root of the variance and
   * this; then it multiplies by its parameter `weight` and adds its parameter `bias`, where it has them.
   */
  readonly standardises?: { readonly epsilon: number };
  /** Reads its first input step after step, through gates. */
  readonly recurrent?: true;
  /** Does not change as its first input grows in length. */
  readonly scaleFree?: true;
  /** Adds positions that were learnt for so many rows and columns of patches, and are resampled for others. */
  readonly positionsOf?: readonly [rows: number, columns: number];
  /** Gives its one input with its axes in this order. */
  readonly order?: readonly number[];
  /** Numbers among its parameters that are measured rather than learnt. */
  readonly statistics?: readonly string[];
}

/** Numbers that a node learns. */
export const parameterCount = ({ parameters, traits: { statistics = [] } }: GraphNode): number =>
  Object.entries(parameters)
    .filter(([short]) => !statistics.includes(short))
    .reduce((total, [, { shape }]) => total + sizeOf(shape), 0);

/** `count` of `total` channels, from `start`. */
export interface ChannelRange {
  readonly total: number;
  readonly start: number;
  readonly count: number;
}

/** Name under which the picture goes into a network. */
export const INPUT = 'input';

/** A network without its numbers: layers, and which of them give what is asked for. */
export interface Graph {
  /** In an order in which inputs come before their users. */
  readonly nodes: readonly GraphNode[];
  /** Names of everything that goes in, the picture's first; the picture alone when left out. */
  readonly inputs?: readonly string[];
  /** The node that gives what is explained: logits [N, classes], or whatever scalars a target makes of it. */
  readonly output: string;
  /** Every output's node, by the name that the network's file gives the output; `output` alone when left out. */
  readonly outputs?: ReadonlyMap<string, string>;
  /** Further names under which nodes are found: those of layers that do nothing, of which the input is the value. */
  readonly aliases?: ReadonlyMap<string, string>;
}

/** A graph and its parameters by their keys. */
export interface Runnable {
  readonly graph: Graph;
  readonly parameters: ReadonlyMap<string, Tensor>;
}

/**
 * A graph's node by name.
 *
 * @throws {LimelightError} where there is none, with the nodes whose names come near.
 */
export function nodeOf(graph: Graph, name: string): GraphNode {
  const resolved = graph.aliases?.get(name) ?? name;
  const node = graph.nodes.find((candidate) => candidate.name === resolved);
  if (node) return node;
  const names = graph.nodes.map((candidate) => candidate.name);
  throw new LimelightError(`the network has no node "${name}"; ${nearest(name, names, 'nodes')}`);
}

/** The nodes on which `wanted` depend where the values of `given` are there; in order. */
export function nodesBetween(
  graph: Graph,
  given: ReadonlySet<string>,
  wanted: readonly string[],
): GraphNode[] {
  const open = new Set(wanted.filter((name) => !given.has(name)));
  const found: GraphNode[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!open.delete(node.name)) continue;
    found.unshift(node);
    for (const input of node.inputs) if (!given.has(input)) open.add(input);
  }
  if (open.size > 0) {
    throw new LimelightError(`the network cannot be evaluated: nothing gives ${[...open].join(', ')}`);
  }
  return found;
}

/**
 * Values of the `wanted` nodes from those of the `given` ones. Intermediate values are disposed as soon as nothing
 * needs them; a tape, if one is being recorded, keeps what it needs. Where one input has batch 1 and another batch N, the first is
 * repeated, so that N versions of one feature map meet the one version of everything upstream.
 */
export function evaluate(
  graph: Graph,
  parameters: ReadonlyMap<string, Tensor>,
  given: ReadonlyMap<string, Tensor>,
  wanted: readonly string[],
  statistics?: LayerContext['statistics'],
): Map<string, Tensor> {
  const nodes = nodesBetween(graph, new Set(given.keys()), wanted);
  const values = new Map(given);
  const uses = new Map<string, number>();
  for (const node of nodes) for (const input of node.inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
  for (const name of wanted) uses.set(name, Number.POSITIVE_INFINITY);
  for (const name of given.keys()) uses.set(name, Number.POSITIVE_INFINITY);
  for (const node of nodes) {
    const inputs = sameBatch(node.inputs.map((name) => values.get(name)!));
    const context = { parameters: parametersOf(node, parameters), ...(statistics && { statistics }) };
    values.set(node.name, node.run(inputs, context));
    for (const name of node.inputs) {
      const left = uses.get(name)! - 1;
      uses.set(name, left);
      if (left === 0) values.get(name)!.dispose();
    }
  }
  return new Map(wanted.map((name) => [name, values.get(name)!]));
}

/** What `of` gives for each of a node's parameters, by their short names. */
export const eachParameter = <T>(
  node: Pick<GraphNode, 'parameters'>,
  of: (parameter: Parameter) => T,
): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(node.parameters).map(([short, one]) => [short, of(one)]));

/** A node's parameters by their short names. */
export const parametersOf = (
  node: GraphNode,
  parameters: ReadonlyMap<string, Tensor>,
): LayerContext['parameters'] => eachParameter(node, ({ key }) => parameters.get(key)!);

/** Which of the given values evaluating the wanted ones would use. */
export function needed(graph: Graph, given: ReadonlySet<string>, wanted: readonly string[]): Set<string> {
  const inputs = nodesBetween(graph, given, wanted).flatMap((node) => node.inputs);
  return new Set([...inputs, ...wanted].filter((name) => given.has(name)));
}

function sameBatch(inputs: readonly Tensor[]): readonly Tensor[] {
  const batch = largest(inputs.map((x) => x.shape[0] ?? 1));
  return inputs.map((x) =>
    x.shape[0] === 1 && batch > 1 ? broadcastTo(x, [batch, ...x.shape.slice(1)]) : x,
  );
}

/** The nodes that take each value, by its name. */
export const usersOf = (nodes: readonly GraphNode[]): Map<string, GraphNode[]> =>
  grouped(nodes.flatMap((node) => [...new Set(node.inputs)].map((input) => [input, node] as const)));

/** The nodes whose values depend on those of some nodes, and these. */
export function dependents(graph: Graph, from: readonly string[]): Set<string> {
  const found = new Set(from);
  for (const node of graph.nodes) if (node.inputs.some((input) => found.has(input))) found.add(node.name);
  return found;
}

/** What must be there to go from some nodes to the wanted ones: every value on the way that does not depend on them. */
export function boundary(graph: Graph, from: readonly string[], wanted: readonly string[]): string[] {
  const dependent = dependents(graph, from);
  const given = new Set([...from, ...(graph.inputs ?? [INPUT])]);
  const tail = nodesBetween(graph, given, wanted).filter((node) => dependent.has(node.name));
  const reads = [...wanted, ...tail.flatMap((node) => node.inputs)];
  return [...new Set(reads.filter((name) => !dependent.has(name)))];
}
