// Launch of softmax along one axis of [outer, n, inner].

import { type Launch, launchTiles } from '../kernel.ts';

/** Softmax, or log-softmax, along the middle axis. */
export function softmax(outer: number, n: number, inner: number, log: boolean): Launch {
  const lines = outer * inner;
  const constants = { LOG: Number(log) };
  return inner === 1 && n % 4 === 0
    ? launchTiles('softmaxRows', lines, { lines, vectors: n / 4 }, constants)
    : launchTiles('softmax', lines, { lines, n, inner }, constants);
}
