// Sanity checks (Adebayo et al. 2018): a map that explains what a network has learnt changes with its weights. How much of
// it is left when they are drawn anew?
//
//   cascading    the last layer's weights are drawn anew, then those of the last two, .. of all
//   independent  the weights of one layer alone, each in turn
//
// Likeness is Spearman's correlation and SSIM of maps divided by their maxima, each averaged over the layers. A correlation
// near 0 says that nothing is left; SSIM is above 0 for any two maps that are empty in large parts, and tells methods apart
// only by comparison with others, such as random-cam. A flat map is like no other. "Drawn anew" is here: the layer's
// trained numbers in random order, whatever its initialiser was, so that the scale of what follows stays what it was.

import { spearman } from './correlation.ts';
import { type HostMap, peaked } from './host-map.ts';
import { type Metric, mean } from './metric.ts';
import { ssim } from './ssim.ts';

export const ways = ['cascading', 'independent'] as const;

/** How alike a map and others are, on average: by rank, and in structure. */
export function likeness(map: HostMap, others: readonly HostMap[]): [rank: number, structure: number] {
  const pairs = others.map((other) => {
    if (!peaked(map) || !peaked(other)) return [0, 0];
    const rank = spearman(map, other);
    return [Number.isNaN(rank) ? 0 : rank, ssim(map, other)];
  });
  const average = (at: number) => pairs.reduce((sum, pair) => sum + pair[at]!, 0) / pairs.length;
  return [average(0), average(1)];
}

export const sanity: Metric = {
  name: 'sanity',
  needs: 'nothing',
  async measure({ map, redrawn }) {
    const found: number[] = [];
    for (const way of ways) found.push(...likeness(map, await redrawn(way)));
    return [...found, 1];
  },
  columns: ways.flatMap((way, i) => [
    mean(`${way} rank`, 'lower', '', 2 * i),
    mean(`${way} SSIM`, 'lower', '', 2 * i + 1),
  ]),
};
