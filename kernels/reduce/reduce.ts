// Launches of the reductions along one axis of [outer, n, inner].

import { type Launch, launch } from '../kernel.ts';

/** Lines fewer than this are split into parts, so that a device has work for all its threads. */
const ENOUGH_THREADS = 1024;
/** No part is shorter than this: a second launch must save more than it costs. */
const SHORTEST_PART = 256;

/** What is made of a line, in the order of OP in fold.wgsl; `norm` is the largest magnitude. */
export const folds = ['sum', 'max', 'min', 'norm'] as const;
export type Fold = (typeof folds)[number];

/** In how many parts a fold over `n` with `lines` results is best taken. */
export function foldParts(lines: number, n: number): number {
  const wanted = Math.ceil(ENOUGH_THREADS / Math.max(1, lines));
  return Math.max(1, Math.min(wanted, Math.floor(n / SHORTEST_PART)));
}

/** scale * fold along the middle axis -> [outer, parts, inner]. */
export function fold(
  of: Fold,
  outer: number,
  n: number,
  inner: number,
  parts: number,
  scale: number,
): Launch {
  const count = outer * parts * inner;
  const params = { count, n, inner, parts, chunk: Math.ceil(n / parts), scale };
  return launch('fold', count, params, { OP: folds.indexOf(of) });
}

/** scale * sum along the middle axis -> [outer, parts, inner]. */
export const sum = (outer: number, n: number, inner: number, parts: number, scale: number): Launch =>
  fold('sum', outer, n, inner, parts, scale);

/** Numbers that each thread of `overNorm` may as well look through by itself. */
export const FEW_NORMS = 16;
const VECTORS_PER_THREAD = 4;

/** `count` elements over the largest magnitude of `norms` numbers, which is kept within `range`. */
export function overNorm(count: number, norms: number, range: readonly [low: number, high: number]): Launch {
  const vectors = Math.ceil(count / 4);
  const [low, high] = range;
  return launch('overNorm', Math.ceil(vectors / VECTORS_PER_THREAD), { vectors, norms, low, high });
}

/** Index of the largest (or smallest) element along the middle axis -> [outer, inner], u32. */
export function argmax(outer: number, n: number, inner: number, smallest: boolean): Launch {
  const count = outer * inner;
  return launch('argmax', count, { count, n, inner }, { SIGN_NEGATIVE: Number(smallest) });
}
