// Layers of networks that read words.

import type { Tensor } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { parameter, plain } from './node.ts';

/**
 * The words of texts, each a row of 0 and one 1: [texts, length, vocabulary]. They are the parameter called `name`: a network
 * with other texts is another network.
 */
export const words = (name: string, length: number, vocabulary: number, texts = 1): GraphNode => ({
  name,
  kind: 'words',
  inputs: [],
  parameters: { words: { key: name, shape: [texts, length, vocabulary] } },
  attributes: { length },
  // A handle of its own: values are freed once they are used, parameters are not.
  run: (_, { parameters }) => ops.reshape(parameters.words!, [texts, length, vocabulary]),
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
  const learnt = (short: string, ...shape: number[]) => parameter(name, `${short}_l0`, shape);
  return {
    name,
    kind: 'gru',
    inputs: inputs as readonly string[],
    parameters: {
      weightIn: learnt('weight_ih', 3 * hidden, spec.in),
      weight: learnt('weight_hh', 3 * hidden, hidden),
      biasIn: learnt('bias_ih', 3 * hidden),
      bias: learnt('bias_hh', 3 * hidden),
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
    traits: { recurrent: true },
  };
}

/**
 * The embeddings of texts' tokens, rows of the parameter called `key` [vocabulary, width], which are all of one length: what
 * is read is part of the layer. [texts, length, width].
 */
export const tokenEmbeddings = (
  name: string,
  key: string,
  texts: readonly (readonly number[])[],
  { vocabulary, width }: { readonly vocabulary: number; readonly width: number },
): GraphNode => ({
  name,
  kind: 'tokenEmbeddings',
  inputs: [],
  parameters: { weight: { key, shape: [vocabulary, width] } },
  attributes: { texts },
  run: (_, { parameters: { weight } }) => {
    const tokens = texts.flat();
    const rows = ops.gather(weight!, ops.indexTensor(weight!.device, tokens, [tokens.length]), 0);
    return ops.reshape(rows, [texts.length, -1, width]);
  },
  traits: {},
});

/** Of each text one of its tokens: [texts, T, D] -> [texts, D]. */
export const takeTokens = (name: string, input: string, indices: readonly number[]) =>
  plain(
    name,
    'takeTokens',
    [input],
    (x) => {
      const [, length, width] = x.shape as [number, number, number];
      const rows = indices.map((index, text) => text * length + index);
      return ops.gather(ops.reshape(x, [-1, width]), ops.indexTensor(x.device, rows, [rows.length]), 0);
    },
    { indices },
  );

/** Texts as parts of one thing, and not as a batch: [texts, D] -> [1, texts, D]. */
export const textsTogether = (name: string, input: string) =>
  plain(name, 'textsTogether', [input], (x) => ops.reshape(x, [1, ...x.shape]), {}, { view: true });

/**
 * How well each text fits each picture: the cosine between their embeddings, [N, D] and [N, texts, D], times the exponential
 * of the parameter `logit_scale`: [N, texts], as CLIP has it (Radford 2021).
 */
export const similarity = (name: string, image: string, texts: string): GraphNode => ({
  name,
  kind: 'similarity',
  inputs: [image, texts],
  parameters: { scale: { key: 'logit_scale', shape: [] } },
  attributes: {},
  run: ([x, y], { parameters: { scale } }) => {
    const [batch, width] = x!.shape as [number, number];
    const cosines = ops.matmul(unit(y!), ops.reshape(unit(x!), [batch, width, 1]));
    return ops.mul(ops.reshape(cosines, [batch, -1]), ops.exp(scale!));
  },
  traits: { products: true, scaleFree: true },
});

/** Along the last axis divided by its length; what has none stays 0, and so is its cosine with anything. */
const unit = (x: Tensor): Tensor =>
  ops.div(x, ops.sqrt(ops.affine(ops.sum(ops.mul(x, x), [x.shape.length - 1], true), 1, 1e-24)));
