// What a graph costs: its parameters, and its multiplications with additions.

import { type Shape, sizeOf } from '../engine/index.ts';
import type { Graph, GraphNode } from './graph.ts';

/** Kept by batch normalisation, but no parameters: nothing is learnt there. */
const STATISTICS = new Set(['mean', 'variance']);

/** Numbers that a node learns. */
export const parameterCount = ({ kind, parameters }: GraphNode): number =>
  Object.entries(parameters)
    .filter(([short]) => kind !== 'batchNorm' || !STATISTICS.has(short))
    .reduce((total, [, { shape }]) => total + sizeOf(shape), 0);

type Count = (node: GraphNode, inputs: readonly Shape[], output: Shape) => number;

const weightOf = ({ parameters }: GraphNode): Shape => parameters.weight?.shape ?? [];

/** Of the kinds of nodes that multiply matrices, which are all that usually count. */
const counts: Readonly<Record<string, Count>> = {
  conv: (node, _, output) => (sizeOf(output) / weightOf(node)[0]!) * sizeOf(weightOf(node)),
  convTranspose: (node, [input]) => (sizeOf(input!) / weightOf(node)[0]!) * sizeOf(weightOf(node)),
  linear: (node, _, output) => sizeOf(output) * weightOf(node)[1]!,
  matmul: (node, [input], output) => sizeOf(output) * (node.parameters.x?.shape ?? input!).at(-1)!,
  // sqrt(mk kn mn) = mkn, whichever of the matrices are transposed or parameters.
  gemm: ({ parameters }, inputs, output) => {
    const factors = [...inputs, ...Object.values(parameters).map(({ shape }) => shape)].slice(0, 2);
    return Math.round(Math.sqrt(factors.reduce((product, shape) => product * sizeOf(shape), sizeOf(output))));
  },
  // One product for each assignment of the letters.
  einsum: ({ attributes, parameters }, inputs) => {
    const terms = String(attributes.equation).split('->')[0]!.split(',');
    const computed = [...inputs];
    const sizes = new Map<string, number>();
    for (const [i, term] of terms.entries()) {
      const shape = parameters[i]?.shape ?? computed.shift()!;
      for (const [axis, letter] of [...term].entries()) sizes.set(letter, shape[axis]!);
    }
    return terms.length < 2 ? 0 : sizeOf([...sizes.values()]);
  },
  // Packed queries, keys and values are [N, T, 3 D]: each of T x T scores of a head takes D / heads products.
  attentionProbabilities: (_, [qkv], output) => (sizeOf(output) / output[1]!) * (qkv![2]! / 3),
  attentionMix: (_, [probabilities], output) => sizeOf(output) * probabilities!.at(-1)!,
};

/**
 * Multiply-adds of each node for the shapes that `shapesOf` gives, counted as the literature does: those of
 * convolutions and matrix products, biases and everything else left out.
 */
export function multiplyAdds(graph: Graph, shapes: ReadonlyMap<string, Shape>): Map<string, number> {
  return new Map(
    graph.nodes.map((node) => {
      const inputs = node.inputs.map((name) => shapes.get(name) ?? []);
      return [node.name, counts[node.kind]?.(node, inputs, shapes.get(node.name)!) ?? 0];
    }),
  );
}
