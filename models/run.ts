// Running a network for its values, not for training: behind a convolution a batch norm, behind that or a linear layer a
// residual sum and an activation, and an activation behind another sum, are folded into what they follow wherever nobody
// asks for what lies between.

import { add, mul, reshape, scope, type Tensor, unowned } from '../engine/index.ts';
import { evaluate, type Graph, type GraphNode, parametersOf, type Runnable, type Traits } from './graph.ts';

/** What has been folded of a network so far: graphs by what is asked of them, and parameters by their new keys. */
interface Folds {
  readonly graphs: Map<string, Graph>;
  readonly parameters: Map<string, Tensor>;
}

const foldsOf = new WeakMap<Runnable, Folds>();

/** Values of the `wanted` nodes from those of the `known` ones, as `evaluate` gives them. */
export function run(
  network: Runnable,
  known: ReadonlyMap<string, Tensor>,
  wanted: readonly string[],
): Map<string, Tensor> {
  const folds = foldsOf.get(network) ?? { graphs: new Map(), parameters: new Map(network.parameters) };
  foldsOf.set(network, folds);
  const kept = new Set([...known.keys(), ...wanted]);
  const key = [...kept].join('\n');
  const graph = folds.graphs.get(key) ?? fold(network, folds.parameters, kept);
  folds.graphs.set(key, graph);
  return scope(() => evaluate(graph, folds.parameters, known, wanted));
}

/** Frees what folding made; to be called before the network's own parameters are freed. */
export function disposeFolds(network: Runnable): void {
  const folds = foldsOf.get(network);
  if (folds === undefined) return;
  foldsOf.delete(network);
  for (const [key, parameter] of folds.parameters) if (!network.parameters.has(key)) parameter.dispose();
}

/** The graph with fewer nodes; a folded chain carries the name of its last node. Adds the new parameters. */
function fold(
  { graph, parameters }: Runnable,
  folded: Map<string, Tensor>,
  kept: ReadonlySet<string>,
): Graph {
  const users = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) users.set(input, [...(users.get(input) ?? []), node]);
  }
  /** The one node that reads `node`, if its traits are those asked for and nobody else wants `node`. */
  const next = (node: GraphNode, suits: (traits: Traits) => boolean): GraphNode | undefined => {
    const [user, ...others] = users.get(node.name) ?? [];
    const only = user !== undefined && others.length === 0 && !kept.has(node.name);
    return only && suits(user.traits) ? user : undefined;
  };
  /** The sum of `node` and another that reads it, unless that is folded into the other already. */
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
    const changed = norm ? foldedParameters(first, norm, parameters, folded) : first.parameters;
    const summand = sum?.inputs.find((name) => name !== (norm ?? first).name);
    for (const node of [first, norm, sum, activation]) if (node) gone.add(node.name);
    replacement.set(last.name, {
      ...first,
      traits: {},
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
    const folded = replacement.get(node.name);
    if (folded) return [folded];
    return gone.has(node.name) ? [] : [node];
  });
  return { ...graph, nodes };
}

/** Weight and bias of a layer that does what a layer behind it does to each channel. */
function foldedParameters(
  layer: GraphNode,
  norm: GraphNode,
  parameters: Runnable['parameters'],
  folded: Map<string, Tensor>,
): GraphNode['parameters'] {
  const keys = { weight: `${norm.name}: folded weight`, bias: `${norm.name}: folded bias` };
  const { weight, bias } = parametersOf(layer, parameters);
  if (!folded.has(keys.weight)) {
    const [w, b] = unowned(() =>
      scope(() => {
        const { scale, shift } = norm.traits.channelAffine!(parametersOf(norm, parameters));
        const scaled = mul(weight!, reshape(scale, [-1, ...weight!.shape.slice(1).map(() => 1)]));
        return [scaled, bias ? add(shift, mul(bias, scale)) : shift] as const;
      }),
    );
    folded.set(keys.weight, w);
    folded.set(keys.bias, b);
  }
  return {
    weight: { key: keys.weight, shape: weight!.shape },
    bias: { key: keys.bias, shape: [weight!.shape[0]!] },
  };
}
