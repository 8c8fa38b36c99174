// Launches of the reductions along one axis of [outer, n, inner].

import { bits, type Launch, launch } from '../kernel.ts';

/** Lines fewer than this are split into parts, so that a device has work for all its threads. */
const ENOUGH_THREADS = 1024;
/** No part is shorter than this: a thread must have more to do than it costs to start. */
const SHORTEST_PART = 64;

/** In how many parts a sum over `n` with `lines` results is best taken. */
export function sumParts(lines: number, n: number): number {
  const wanted = Math.ceil(ENOUGH_THREADS / Math.max(1, lines));
  return Math.max(1, Math.min(wanted, Math.floor(n / SHORTEST_PART)));
}

/** scale * sum along the middle axis -> [outer, parts, inner]. */
export function sum(outer: number, n: number, inner: number, parts: number, scale: number): Launch {
  const count = outer * parts * inner;
  return launch('sum', count, [count, n, inner, parts, Math.ceil(n / parts), bits(scale)]);
}

/** Index of the largest (or smallest) element along the middle axis -> [outer, inner], u32. */
export function argmax(outer: number, n: number, inner: number, smallest: boolean): Launch {
  return launch('argmax', outer * inner, [outer * inner, n, inner], { SIGN_NEGATIVE: Number(smallest) });
}
