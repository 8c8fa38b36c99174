// Launches of the kernels of normalisation; x as [batch, channels, inner], or as rows.

import { type Launch, launch, launchGroups, launchTiles, loop } from '../kernel.ts';
import { blocks, groupBlocks, groupLoop, manyParts, type PartsLaunch } from '../parts.ts';
import { figuresOf, goTogether, type Profile } from '../profile.ts';

/** x, scale [channels], shift [channels] -> x * scale + shift, channel by channel. */
export function scaleShift(batch: number, channels: number, inner: number): Launch {
  const quads = Math.ceil(inner / 4);
  const count = batch * channels * quads;
  return launch('scaleShift', count, { count, channels, inner, quads }, {}, loop(4));
}

/** x [planes, inner] -> mean and biased variance of each plane [planes, 2]. */
export const moments = (planes: number, inner: number, profile: Profile): Launch =>
  goTogether(profile, inner, 1)
    ? launchGroups('momentsGroup', planes, { count: planes, inner }, {}, 2 * groupBlocks(inner))
    : launch('moments', planes, { count: planes, inner }, {}, 2 * blocks(inner));

/** Those of planes [batch, channels, 2] -> means and biased variances of channels [2, channels]. */
export const mergeMoments = (batch: number, channels: number): Launch =>
  launch('mergeMoments', channels, { channels, batch }, {}, loop(batch));

/** What standardise.wgsl gives, in the order of its RESULT. */
export const standardiseResults = ['layerNorm', 'standardised', 'inverse'] as const;
export type StandardiseResult = (typeof standardiseResults)[number];

/** (x [rows, n], weight [n], bias [n]) -> rows with mean 0 and variance 1, or 1 / their deviations; see the kernel. */
export function standardise(
  rows: number,
  n: number,
  epsilon: number,
  result: StandardiseResult,
  profile: Profile,
): Launch {
  const constants = { RESULT: standardiseResults.indexOf(result) };
  if (goTogether(profile, n, 1)) {
    const iterations = 2 * groupBlocks(n) + 3 * groupLoop(n);
    return launchGroups('standardiseGroup', rows, { rows, n, epsilon }, constants, iterations);
  }
  return launchTiles('standardise', rows, { rows, n, epsilon }, constants, 2 * blocks(n) + loop(n));
}

/** a [count, inner], b [planes, inner], which is repeated -> dot products [count], in parts. */
export function planeDot(count: number, inner: number, planes: number, profile: Profile): PartsLaunch {
  if (goTogether(profile, inner, 1)) {
    const { parts, chunk } = manyParts(count, inner, figuresOf(profile).enoughTiles);
    const groups = parts * count;
    const params = { groups, count, inner, planes, chunk };
    return {
      launch: launchGroups('planeDotGroup', groups, params, {}, groupLoop(chunk)),
      parts,
      elements: count,
    };
  }
  const { parts, chunk } = manyParts(count, inner);
  const threads = parts * count;
  const params = { threads, count, inner, planes, chunk };
  return {
    launch: launch('planeDot', threads, params, {}, blocks(chunk, 4) + loop(3)),
    parts,
    elements: count,
  };
}
