// Layers of vision transformers: tokens and attention.

import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { plain } from './node.ts';

/** A feature map as tokens, row by row: [N, D, h, w] -> [N, h w, D]. */
export const toTokens = (name: string, input: string) =>
  plain(name, 'toTokens', [input], (x) => ops.transpose(ops.flatten(x, 2), [0, 2, 1]));

/** Puts learnt tokens, the parameter called `name`, before the others: [N, T, D] -> [N, count + T, D]. */
export const prependToken = (name: string, input: string, width: number, count = 1): GraphNode => ({
  name,
  kind: 'prependToken',
  inputs: [input],
  parameters: { token: { key: name, shape: [1, count, width] } },
  attributes: {},
  run: ([x], { parameters }) =>
    ops.concat([ops.broadcastTo(parameters.token!, [x!.shape[0]!, count, width]), x!], 1),
  traits: {},
});

/** Adds learnt positions, the parameter called `name`, of which the first are taken where there are more: [N, T, D]. */
export const addPositions = (name: string, input: string, tokens: number, width: number): GraphNode => ({
  name,
  kind: 'addPositions',
  inputs: [input],
  parameters: { positions: { key: name, shape: [1, tokens, width] } },
  attributes: {},
  run: ([x], { parameters: { positions } }) => {
    const count = x!.shape[1]!;
    return ops.add(x!, count < tokens ? ops.narrow(positions!, 1, 0, count) : positions!);
  },
  traits: {},
});

/** One token: [N, T, D] -> [N, D]. */
export const takeToken = (name: string, input: string, index: number) =>
  plain(name, 'takeToken', [input], (x) => ops.reshape(ops.narrow(x, 1, index, 1), [x.shape[0]!, -1]), {
    index,
  });

/** The mean of all tokens from one on: [N, T, D] -> [N, D]. */
export const meanToken = (name: string, input: string, from: number) =>
  plain(name, 'meanToken', [input], (x) => ops.mean(ops.narrow(x, 1, from, x.shape[1]! - from), [1]), {
    from,
  });

/**
 * softmax(q k^T / sqrt(d)) of every head (Vaswani 2017), from packed [N, T, 3 D]: [N, heads, T, T]; `causal`: over a token
 * and those before it.
 */
export const attentionProbabilities = (name: string, qkv: string, heads: number, causal = false) =>
  plain(
    name,
    'attentionProbabilities',
    [qkv],
    (x) => ops.attentionProbabilities(x, heads, causal),
    { heads, ...(causal && { causal }) },
    { nonNegative: true, gives: 'softmax', products: true },
  );

/** Values averaged by attention probabilities [N, heads, T, T], heads side by side: [N, T, D]. */
export const attentionMix = (name: string, probabilities: string, qkv: string, heads: number) =>
  plain(
    name,
    'attentionMix',
    [probabilities, qkv],
    (p, x) => ops.attentionMix(p, x, heads),
    { heads },
    { products: true },
  );
