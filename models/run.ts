// Running a network for its values, not for training: behind a convolution a batch norm, behind that or a linear layer a
// residual sum and an activation, and an activation behind another sum, are folded into what they follow wherever nobody
// asks for what lies between.

import {
  type Activation,
  add,
  affine,
  div,
  mul,
  reshape,
  scope,
  sqrt,
  sub,
  type Tensor,
  unowned,
} from '../engine/index.ts';
import { evaluate, type Graph, type GraphNode, parametersOf, type Runnable } from './graph.ts';

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
  /** The one node that reads `node`, if its kind is one of some and nobody else wants `node`. */
  const next = (node: GraphNode, kinds: readonly string[]): GraphNode | undefined => {
    const [user, ...others] = users.get(node.name) ?? [];
    const only = user !== undefined && others.length === 0 && !kept.has(node.name);
    return only && kinds.includes(user.kind) ? user : undefined;
  };
  /** The sum of `node` and another that reads it, unless that is folded into the other already. */
  const sumBehind = (node: GraphNode): GraphNode | undefined => {
    const sum = next(node, ['add']);
    return sum && !gone.has(sum.name) && new Set(sum.inputs).size === 2 ? sum : undefined;
  };
  const gone = new Set<string>();
  const replacement = new Map<string, GraphNode>();
  for (const first of graph.nodes) {
    if (gone.has(first.name)) continue;
    const norm = first.kind === 'conv' ? next(first, ['batchNorm']) : undefined;
    const sum = first.summing ? sumBehind(norm ?? first) : undefined;
    const activation = next(sum ?? norm ?? first, first.activations ?? []);
    const last = activation ?? sum ?? norm;
    if (last === undefined) continue;
    const own = norm ? foldedParameters(first, norm, parameters, folded) : first.parameters;
    const summand = sum?.inputs.find((name) => name !== (norm ?? first).name);
    const { contributions: _, ...rest } = first;
    for (const node of [first, norm, sum, activation]) if (node) gone.add(node.name);
    replacement.set(last.name, {
      ...rest,
      name: last.name,
      inputs: summand === undefined ? first.inputs : [...first.inputs, summand],
      parameters: own,
      run: (inputs, context) =>
        first.run(inputs, {
          ...context,
          ...(summand !== undefined && { summand: inputs.at(-1)! }),
          ...(activation && { activation: activation.kind as Activation }),
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

/** weight s and bias s + (beta - mean s), with s = gamma / sqrt(variance + epsilon): Ioffe 2015, section 3.1. */
function foldedParameters(
  conv: GraphNode,
  norm: GraphNode,
  parameters: Runnable['parameters'],
  folded: Map<string, Tensor>,
): GraphNode['parameters'] {
  const keys = { weight: `${norm.name}: folded weight`, bias: `${norm.name}: folded bias` };
  const { weight, bias } = parametersOf(conv, parameters);
  const { weight: gamma, bias: beta, mean, variance } = parametersOf(norm, parameters);
  if (!folded.has(keys.weight)) {
    const [w, b] = unowned(() =>
      scope(() => {
        const s = div(gamma!, sqrt(affine(variance!, 1, Number(norm.attributes.epsilon))));
        const shift = sub(beta!, mul(mean!, s));
        const scaled = mul(weight!, reshape(s, [-1, ...weight!.shape.slice(1).map(() => 1)]));
        return [scaled, bias ? add(shift, mul(bias, s)) : shift] as const;
      }),
    );
    folded.set(keys.weight, w);
    folded.set(keys.bias, b);
  }
  return {
    weight: { key: keys.weight, shape: weight!.shape },
    bias: { key: keys.bias, shape: mean!.shape },
  };
}
