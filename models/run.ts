// Running a network for its values, not for training: behind a convolution a batch norm, behind that or a linear layer a
// residual sum and an activation, and an activation behind another sum, are fused into what they follow wherever nobody
// asks for what lies between; and channels that are only put together are written where they go.

import { add, mul, type Place, reshape, scope, sideBySide, type Tensor, unowned } from '../engine/index.ts';
import {
  evaluate,
  type Graph,
  type GraphNode,
  parametersOf,
  type Runnable,
  type Traits,
  usersOf,
} from './graph.ts';

/** What has been fused of a network so far: graphs by what is asked of them, and parameters by their new keys. */
interface Fused {
  readonly graphs: Map<string, Graph>;
  readonly parameters: Map<string, Tensor>;
}

const fusedOf = new WeakMap<Runnable, Fused>();

/** Values of the `wanted` nodes from those of the `given` ones, as `evaluate` gives them. */
export function run(
  network: Runnable,
  given: ReadonlyMap<string, Tensor>,
  wanted: readonly string[],
): Map<string, Tensor> {
  const fused = fusedOf.get(network) ?? { graphs: new Map(), parameters: new Map(network.parameters) };
  fusedOf.set(network, fused);
  const kept = new Set([...given.keys(), ...wanted]);
  const key = [...kept].join('\n');
  const graph = fused.graphs.get(key) ?? fuse(network, fused.parameters, kept);
  fused.graphs.set(key, graph);
  return scope(() => evaluate(graph, fused.parameters, given, wanted));
}

/** Frees what fusing made; to be called before the network's parameters are freed. */
export function disposeFused(network: Runnable): void {
  const fused = fusedOf.get(network);
  if (fused === undefined) return;
  fusedOf.delete(network);
  for (const [key, parameter] of fused.parameters) if (!network.parameters.has(key)) parameter.dispose();
}

/** The graph with fewer nodes; a fused chain carries the name of its last node. Adds the new parameters. */
function fuse({ graph, parameters }: Runnable, fused: Map<string, Tensor>, kept: ReadonlySet<string>): Graph {
  const users = usersOf(graph.nodes);
  /** The one node that takes `node`, if its traits are those asked for and nobody else wants `node`. */
  const next = (node: GraphNode, suits: (traits: Traits) => boolean): GraphNode | undefined => {
    const [user, ...others] = users.get(node.name) ?? [];
    const only = user !== undefined && others.length === 0 && !kept.has(node.name);
    return only && suits(user.traits) ? user : undefined;
  };
  /** The sum of `node` and another value that takes it, unless that is fused into the other already. */
  const sumBehind = (node: GraphNode): GraphNode | undefined => {
    const sum = next(node, (traits) => traits.sum === true);
    return sum && !gone.has(sum.name) && new Set(sum.inputs).size === 2 ? sum : undefined;
  };
  const gone = new Set<string>();
  const replacement = new Map<string, GraphNode>();
  for (const first of graph.nodes) {
    if (gone.has(first.name)) continue;
    const { absorbs } = first.traits;
    const norm = absorbs?.channelAffine && next(first, (traits) => traits.channelAffine !== undefined);
    const sum = absorbs?.summand && sumBehind(norm ?? first);
    const activation = next(
      sum ?? norm ?? first,
      ({ activation }) => activation !== undefined && absorbs?.activations.includes(activation) === true,
    );
    const last = activation ?? sum ?? norm;
    if (last === undefined) continue;
    const changed = norm ? fusedParameters(first, norm, parameters, fused) : first.parameters;
    const summand = sum?.inputs.find((name) => name !== (norm ?? first).name);
    for (const node of [first, norm, sum, activation]) if (node) gone.add(node.name);
    replacement.set(last.name, {
      ...first,
      traits: first.traits.placed ? { placed: true } : {},
      name: last.name,
      inputs: summand === undefined ? first.inputs : [...first.inputs, summand],
      parameters: changed,
      run: (inputs, context) =>
        first.run(inputs, {
          ...context,
          ...(summand !== undefined && { summand: inputs.at(-1)! }),
          ...(activation && { activation: activation.traits.activation! }),
        }),
    });
  }
  const nodes = graph.nodes.flatMap((node) => {
    const fusion = replacement.get(node.name);
    if (fusion) return [fusion];
    return gone.has(node.name) ? [] : [node];
  });
  return { ...graph, nodes: joinedInPlace(nodes, kept) };
}

/** The nodes, with those whose channels are only put together with others' told where to write them. */
function joinedInPlace(nodes: readonly GraphNode[], kept: ReadonlySet<string>): GraphNode[] {
  const users = usersOf(nodes);
  const made = new Map(nodes.map((node) => [node.name, node]));
  const replacement = new Map<string, GraphNode>();
  for (const { traits, inputs } of nodes) {
    const parts = inputs.flatMap((name) => {
      const part = made.get(name);
      const isIts = part?.traits.placed && users.get(name)!.length === 1 && !kept.has(name);
      return isIts ? [part] : [];
    });
    const isWhole = parts.length === inputs.length && new Set(parts).size === parts.length;
    if (!traits.joinsChannels || !isWhole) continue;
    const first = nodes.find((node) => parts.includes(node));
    let places: readonly Place[];
    for (const [i, part] of parts.entries()) {
      replacement.set(part.name, {
        ...part,
        run: (values, context) => {
          if (part === first) places = sideBySide(parts.map((one) => one.parameters.weight!.shape[0]!));
          return part.run(values, { ...context, place: places[i] });
        },
      });
    }
  }
  return nodes.map((node) => replacement.get(node.name) ?? node);
}

/** Weight and bias of a layer that does what a layer behind it does to each channel. */
function fusedParameters(
  layer: GraphNode,
  norm: GraphNode,
  parameters: Runnable['parameters'],
  fused: Map<string, Tensor>,
): GraphNode['parameters'] {
  const keys = { weight: `${norm.name}: fused weight`, bias: `${norm.name}: fused bias` };
  const { weight, bias } = parametersOf(layer, parameters);
  if (!fused.has(keys.weight)) {
    const [w, b] = unowned(() =>
      scope(() => {
        const { scale, shift } = norm.traits.channelAffine!(parametersOf(norm, parameters));
        const scaled = mul(weight!, reshape(scale, [-1, ...weight!.shape.slice(1).map(() => 1)]));
        return [scaled, bias ? add(shift, mul(bias, scale)) : shift] as const;
      }),
    );
    fused.set(keys.weight, w);
    fused.set(keys.bias, b);
  }
  return {
    weight: { key: keys.weight, shape: weight!.shape },
    bias: { key: keys.bias, shape: [weight!.shape[0]!] },
  };
}
