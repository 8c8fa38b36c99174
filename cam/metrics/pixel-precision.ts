// PxAP, pixel average precision (Choe et al. 2020): the pixels of all pictures ranked by their maps' values.
//
//   PxAP = sum_t P(t) (R(t) - R(t+)),   P, R = precision and recall of the pixels with M / max M >= t
//
// over thresholds t = 1, 254/255, .. 0, t+ the next higher one. Pixels are pooled over pictures, so that a large object
// weighs more than a small one, and each map's scale matters: every map is divided by its maximum. A flat map ranks all
// of its pixels last. Pixels that are to be ignored, as of a crowd, count on neither side, unless they are an object's.

import { LEVELS } from './box-overlap.ts';
import { assertSameSize, type Box, type HostMap, type Mask, maskOf, peaked } from './host-map.ts';
import { type Metric, regionOf } from './metric.ts';

/** How many pixels of each level 0 .. 255 lie in the object, then how many lie outside [2 x 256]; but the ignored ones. */
export function levelCounts(map: HostMap, object: Mask, ignored: readonly Box[] = []): Float64Array {
  assertSameSize(map, object);
  const counts = new Float64Array(2 * (LEVELS + 1));
  const values = peaked(map) ?? new Float64Array(map.data.length);
  const without = maskOf(ignored, map.width, map.height);
  values.forEach((value, i) => {
    if (without.data[i] && !object.data[i]) return;
    counts[Math.floor(LEVELS * value) + (object.data[i] ? 0 : LEVELS + 1)]!++;
  });
  return counts;
}

/** PxAP of counts that were added over pictures; 0 where no picture has an object. */
export function pixelAveragePrecision(counts: ArrayLike<number>): number {
  let [inside, all, area] = [0, 0, 0];
  for (let level = LEVELS; level >= 0; level--) {
    const here = counts[level]!;
    inside += here;
    all += here + counts[level + LEVELS + 1]!;
    if (here > 0) area += (inside / all) * here;
  }
  return inside > 0 ? area / inside : 0;
}

export const pxap: Metric = {
  name: 'pxap',
  needs: 'region',
  measure: (subject) => levelCounts(subject.map, regionOf(subject), subject.ignored),
  columns: [{ title: 'PxAP', better: 'higher', unit: '%', value: pixelAveragePrecision }],
};
