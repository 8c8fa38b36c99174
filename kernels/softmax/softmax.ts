// Launch of softmax along one axis of [outer, n, inner].

import { type Launch, launchTiles, loop } from '../kernel.ts';
import { blocks } from '../parts.ts';

/** Softmax, or log-softmax, along the middle axis. */
export function softmax(outer: number, n: number, inner: number, log: boolean): Launch {
  const lines = outer * inner;
  const constants = { LOG: Number(log) };
  const isVectors = inner === 1 && n % 4 === 0;
  const steps = isVectors ? n / 4 : n;
  const iterations = 2 * loop(steps) + blocks(steps);
  return isVectors
    ? launchTiles('softmaxRows', lines, { lines, vectors: steps }, constants, iterations)
    : launchTiles('softmax', lines, { lines, n, inner }, constants, iterations);
}
