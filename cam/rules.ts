// Other rules of derivation: a layer computes what it computes, and its cotangent goes back in another way. A method that
// changes how gradients flow is then a table of layers, told by their traits, and what becomes of their cotangents.

import {
  add,
  affine,
  mean,
  mul,
  reciprocal,
  relu,
  scale,
  sqrt,
  stopGradient,
  sub,
  type Tensor,
  withRule,
} from '../engine/index.ts';
import type { Graph, GraphNode } from '../models/graph.ts';
import { quotient } from './map.ts';

/** What a layer does instead, the same in its values; undefined where it keeps its own rule. */
export type Substitution = (node: GraphNode) => GraphNode['run'] | undefined;

/** A graph whose derivatives go by other rules. */
export const substituted = (graph: Graph, rules: Substitution): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => ({ ...node, run: rules(node) ?? node.run })),
});

/**
 * Attention-aware relevance propagation in its gradient form (Achtibat 2024, AttnLRP), in which gradient times value is
 * what propagates:
 *
 *   f(z), f(0) = 0         z stop(f(z) / z)                        the identity rule
 *   (x - mu) / sigma       (x - mu) / stop(sigma)                  the identity rule of normalisation
 *   a b                    half the cotangent to each              the uniform rule
 */
export const lrpRules = {
  identity: ({ run, inputs, traits: { each, channelwise } }) =>
    each && channelwise && inputs.length === 1
      ? ([x], context) => mul(x!, stopGradient(quotient(run([stopGradient(x!)], context), stopGradient(x!))))
      : undefined,
  normalisation: ({ traits: { standardises } }) =>
    standardises &&
    (([x], { parameters: { weight, bias } }) => {
      const far = sub(x!, mean(x!, [-1], true));
      const variance = mean(mul(far, far), [-1], true);
      const deviation = sqrt(affine(variance, 1, standardises.epsilon));
      const standard = mul(far, stopGradient(reciprocal(deviation)));
      const scaled = weight ? mul(standard, weight) : standard;
      return bias ? add(scaled, bias) : scaled;
    }),
  uniform: ({ run, traits: { products } }) =>
    products && ((values, context) => withRule(run(values, context), (d) => scale(d, 0.5))),
} as const satisfies Readonly<Record<string, Substitution>>;

export type LrpRule = keyof typeof lrpRules;

/** Guided backpropagation (Springenberg 2015): what goes back through a ReLU is cut off at zero, too. */
export const guided: Substitution = ({ run, traits: { activation } }) =>
  activation && (([x]: readonly Tensor[], context) => run([withRule(x!, relu)], context));
