// Launches of attention on packed queries, keys and values [N, T, 3 D], read where they lie.

import { type Constants, type Launch, launchTiles, loop, NO_EPILOGUE } from '../kernel.ts';
import { type LineStrides, matmulRows, matmulShared } from '../matmul/matmul.ts';
import type { Plan } from '../plan.ts';
import { figuresOf, type Profile } from '../profile.ts';
import { addedUp } from '../reduce/reduce.ts';

export interface AttentionGeometry {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  /** The width of one head, D / heads; whole vec4. */
  readonly width: number;
}

/** qkv -> q k^T / sqrt(width), y [N, heads, T, T]; a product of rows with rows where they lie. */
export function attentionScores({ batch, tokens, heads, width }: AttentionGeometry, profile: Profile): Plan {
  const strides = { whole: tokens * 3 * heads * width, piece: width, row: 3 * heads * width, step: 1 };
  const size = { batch: batch * heads, pieces: heads, m: tokens, n: tokens, k: width };
  const [a, b] = [0, heads * width].map((first) => ({ ...strides, first })) as [LineStrides, LineStrides];
  const multiply = profile.class === 'gpu' ? matmulShared : matmulRows;
  const product = multiply({ ...size, a, b, scale: 1 / Math.sqrt(width) }, NO_EPILOGUE, profile);
  return addedUp(product, ['qkv', 'qkv'], 'y', NO_EPILOGUE, { rows: tokens, columns: tokens });
}

/** (probabilities [N, heads, T, T], qkv) -> values mixed [N, T, D]. */
export function attentionMix({ batch, tokens, heads, width }: AttentionGeometry, profile: Profile): Launch {
  const most = figuresOf(profile).mixVectors;
  const vectors = [4, 2, 1].find((n) => n <= most && width % (4 * n) === 0)!;
  const [tilesM, tilesN] = [Math.ceil(tokens / ROWS), width / (4 * vectors)];
  const count = batch * heads * tilesM * tilesN;
  const params = { count, tokens, heads, width: width / 4, tilesM, tilesN };
  const iterations = loop(tokens) + loop(ROWS);
  return launchTiles('attentionMix', count, params, attentionMixConstants(vectors), iterations);
}

/** Tokens of a tile of attention-mix.wgsl: measured on llvmpipe, more are hardly faster and keep fewer threads busy. */
const ROWS = 8;

/** Constants of attention-mix.wgsl. */
export const attentionMixConstants = (vectors: number): Constants => ({
  VECTORS: vectors,
  SUMS: ROWS * vectors,
  LATER: (ROWS - 1) * vectors,
});
