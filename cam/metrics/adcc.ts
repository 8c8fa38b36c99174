// ADCC (Poppi et al. 2021): coherency, complexity and average drop in one number, their harmonic mean.
//
//   ADCC = 3 / (1 / Coherency + 1 / (1 - Complexity) + 1 / (1 - Drop))
//   Coherency = (Pearson(M(X), M(X o M)) + 1) / 2: the map of what the map leaves is the map
//   Complexity = mean |M|, M stretched to 0 .. 1
//
// A flat map has coherency 0 and thus ADCC 0.

import { drop } from './confidence.ts';
import { pearson } from './correlation.ts';
import { type HostMap, peaked } from './host-map.ts';
import { maskedPicture } from './masked.ts';
import { type Metric, mean } from './metric.ts';

/** Mean of a map stretched from its least value, 0, to its largest, 1. */
export function complexity({ data }: HostMap): number {
  let [low, high, sum] = [Infinity, -Infinity, 0];
  for (let i = 0; i < data.length; i++) {
    low = Math.min(low, data[i]!);
    high = Math.max(high, data[i]!);
    sum += data[i]!;
  }
  return high > low ? (sum / data.length - low) / (high - low) : 0;
}

/** 1 where both maps rise and fall together, 0 where one falls as the other rises, and where one of them is flat. */
export function coherency(map: HostMap, again: HostMap): number {
  const correlation = pearson(map.data, again.data);
  return Number.isNaN(correlation) ? 0 : (correlation + 1) / 2;
}

/** The harmonic mean; 0 where one of the three is. */
export function adcc(coherent: number, complex: number, dropped: number): number {
  const parts = [coherent, 1 - complex, 1 - dropped];
  return parts.some((part) => part <= 0) ? 0 : 3 / parts.reduce((sum, part) => sum + 1 / part, 0);
}

export const averageAdcc: Metric = {
  name: 'adcc',
  needs: 'nothing',
  async measure({ picture, map, black, probability, probabilities, explain }) {
    if (!peaked(map)) return [0, 0, 0, 1];
    const left = maskedPicture(picture, map, black);
    const [o] = await probabilities([left]);
    const found = [coherency(map, await explain(left)), complexity(map)] as const;
    return [adcc(...found, drop(probability, o!)), ...found, 1];
  },
  columns: [mean('ADCC', 'higher'), mean('coherency', 'higher', '%', 1), mean('complexity', 'lower', '%', 2)],
};
