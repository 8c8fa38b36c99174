// Layers of networks that read words.

import type { Tensor } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { parameter } from './node.ts';

/**
 * The words of a text, each a row of 0 and one 1: [1, length, vocabulary]. They are the parameter called `name`: a network
 * with another text is another network.
 */
export const words = (name: string, length: number, vocabulary: number): GraphNode => ({
  name,
  kind: 'words',
  inputs: [],
  parameters: { words: { key: name, shape: [1, length, vocabulary] } },
  attributes: { length },
  // A handle of its own: values are freed once they are used, parameters are not.
  run: (_, { parameters }) => ops.reshape(parameters.words!, [1, length, vocabulary]),
  traits: {},
});

/**
 * Gated recurrent units (Cho 2014), gates r, z, n and two biases each as PyTorch has them: what is read [N, T, in] and, of
 * zeros when left out, the first state [N, hidden] -> the state after each step [N, T, hidden].
 */
export function gru(
  name: string,
  inputs: readonly [read: string, start?: string],
  spec: { readonly in: number; readonly hidden: number },
): GraphNode {
  const { hidden } = spec;
  const own = (short: string, ...shape: number[]) => parameter(name, `${short}_l0`, shape);
  return {
    name,
    kind: 'gru',
    inputs: inputs as readonly string[],
    parameters: {
      weightIn: own('weight_ih', 3 * hidden, spec.in),
      weight: own('weight_hh', 3 * hidden, hidden),
      biasIn: own('bias_ih', 3 * hidden),
      bias: own('bias_hh', 3 * hidden),
    },
    attributes: { hidden },
    run: ([read, start], { parameters: { weightIn, weight, biasIn, bias } }) => {
      const [batch, steps] = read!.shape as [number, number];
      const seen = ops.linear(read!, weightIn!, { bias: biasIn });
      const part = (gates: Tensor, i: number) => ops.narrow(gates, 1, i * hidden, hidden);
      const states: Tensor[] = [];
      let h = start ?? ops.full(read!.device, [batch, hidden], 0);
      for (let t = 0; t < steps; t++) {
        const now = ops.reshape(ops.narrow(seen, 1, t, 1), [batch, 3 * hidden]);
        const before = ops.linear(h, weight!, { bias });
        const r = ops.sigmoid(ops.add(part(now, 0), part(before, 0)));
        const z = ops.sigmoid(ops.add(part(now, 1), part(before, 1)));
        const n = ops.tanh(ops.add(part(now, 2), ops.mul(r, part(before, 2))));
        h = ops.add(n, ops.mul(z, ops.sub(h, n))); // (1 - z) n + z h
        states.push(ops.reshape(h, [batch, 1, hidden]));
      }
      return ops.concat(states, 1);
    },
    traits: {},
  };
}

/**
 * How well each text fits each picture: the cosine between their embeddings, [N, D] and [M, D], times the exponential of the
 * parameter `logit_scale`: [N, M], as CLIP has it (Radford 2021).
 */
export const similarity = (name: string, image: string, text: string): GraphNode => ({
  name,
  kind: 'similarity',
  inputs: [image, text],
  parameters: { scale: { key: 'logit_scale', shape: [] } },
  attributes: {},
  run: ([x, y], { parameters: { scale } }) => {
    const [a, b] = [unit(x!), unit(y!)];
    return ops.mul(ops.matmul(a, b, false, true), ops.exp(scale!));
  },
  traits: { products: true },
});

/** Each row divided by its length. */
const unit = (x: Tensor): Tensor => ops.div(x, ops.sqrt(ops.sum(ops.mul(x, x), [1], true)));
