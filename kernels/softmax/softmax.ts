// Launch of softmax along one axis of [outer, n, inner].

import { type Launch, launchGroups, launchTiles, loop } from '../kernel.ts';
import { blocks, groupBlocks, groupLoop } from '../parts.ts';
import { goTogether, type Profile } from '../profile.ts';

/** Softmax, or log-softmax, along the middle axis. */
export function softmax(outer: number, n: number, inner: number, log: boolean, profile: Profile): Launch {
  const lines = outer * inner;
  const constants = { LOG: Number(log) };
  if (goTogether(profile, n, inner)) {
    const iterations = 2 * groupLoop(n) + groupBlocks(n);
    return launchGroups('softmaxGroup', lines, { lines, n }, constants, iterations);
  }
  const isVectors = inner === 1 && n % 4 === 0;
  const steps = isVectors ? n / 4 : n;
  const iterations = 2 * loop(steps) + blocks(steps);
  return isVectors
    ? launchTiles('softmaxRows', lines, { lines, vectors: steps }, constants, iterations)
    : launchTiles('softmax', lines, { lines, n, inner }, constants, iterations);
}
