// Layers of vision transformers: tokens and attention.

import * as ops from '../../engine/index.ts';
import { ShapeError } from '../../engine/index.ts';
import { filters, tapsOf } from '../filters.ts';
import type { GraphNode } from '../graph.ts';
import { plain } from './node.ts';
import { type ConvSpec, conv } from './weighted.ts';

/** A feature map of each patch's own pixels, none of which may be left over: [N, in, h, w] -> [N, out, h / patch, w / patch]. */
export function cutIntoPatches(
  name: string,
  input: string,
  { patch, ...spec }: Pick<ConvSpec, 'in' | 'out' | 'bias'> & { patch: number },
): GraphNode {
  const node = conv(name, input, { ...spec, kernel: patch, stride: patch });
  return {
    ...node,
    run([x], context) {
      const [, , height, width] = x!.shape;
      if (height! % patch === 0 && width! % patch === 0) return node.run([x!], context);
      throw new ShapeError(
        `an input of ${height} x ${width} is no whole number of patches of ${patch} x ${patch}`,
      );
    },
  };
}

/** A feature map as tokens, row by row: [N, D, h, w] -> [N, h w, D]. */
export const toTokens = (name: string, input: string) =>
  plain(name, 'toTokens', [input], (x) => ops.transpose(ops.flatten(x, 2), [0, 2, 1]));

/** The same of a square of patches, which `addPatchPositions` takes: [N, D, h, h] -> [N, h h, D]. */
export const squareToTokens = (name: string, input: string): GraphNode => ({
  ...toTokens(name, input),
  run([x], context) {
    const [, , rows, columns] = x!.shape;
    if (rows === columns) return toTokens(name, input).run([x!], context);
    throw new ShapeError(
      `a picture of ${rows} x ${columns} patches is not square, and the network has positions of a square alone`,
    );
  },
});

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

/**
 * Adds positions that were learnt for `learnt` tokens and, behind them, `side` x `side` patches: [N, learnt + T, D]. For another
 * square of patches theirs are resampled as timm's `resample_abs_pos_embed` does it, by the bicubic filter with antialiasing.
 */
export const addPatchPositions = (
  name: string,
  input: string,
  { learnt, side, width }: { learnt: number; side: number; width: number },
): GraphNode => ({
  name,
  kind: 'addPositions',
  inputs: [input],
  parameters: { positions: { key: name, shape: [1, learnt + side * side, width] } },
  attributes: { patches: [side, side] },
  run: ([x], { parameters: { positions } }) => {
    const now = Math.sqrt(x!.shape[1]! - learnt);
    if (now === side) return ops.add(x!, positions!);
    const rows = tapsOf(side, now, filters.bicubic).flatMap(({ first, weights }) =>
      Array.from({ length: side }, (_, i) => weights[i - first] ?? 0),
    );
    const along = ops.tensor(x!.device, rows, [now, side]);
    const learntOnes = ops.narrow(positions!, 1, 0, learnt);
    const patches = ops.reshape(ops.narrow(positions!, 1, learnt, side * side), [side, side * width]);
    const down = ops.reshape(ops.matmul(along, patches), [now, side, width]);
    const across = ops.matmul(ops.broadcastTo(along, [now, now, side]), down);
    return ops.add(x!, ops.concat([learntOnes, ops.reshape(across, [1, now * now, width])], 1));
  },
  traits: { positionsOf: [side, side] },
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
