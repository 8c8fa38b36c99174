// Energy-based pointing game (Wang et al. 2020, Score-CAM): how much of the map lies on the object?
//
//   energy = sum_{xy in object} ReLU(M) / sum_xy ReLU(M)
//
// A flat map scores the object's share of the picture, so this share, `area`, is printed with it: it is what chance
// scores. A map without positive values scores 0.

import { assertFinite, assertSameSize, type HostMap, type Mask } from './host-map.ts';
import { type Metric, mean, regionOf } from './metric.ts';

/**
 * The share of a map's positive values that lies on an object, and the share of the picture that the object takes; a map
 * without positive values has 0.
 *
 * @throws {MetricError} where the map is not finite, or the mask of another size.
 */
export function energyPointing(map: HostMap, object: Mask): { energy: number; area: number } {
  assertFinite(map);
  assertSameSize(map, object);
  let [inside, total, area] = [0, 0, 0];
  for (let i = 0; i < map.data.length; i++) {
    const value = Math.max(0, map.data[i]!);
    total += value;
    if (!object.data[i]) continue;
    inside += value;
    area++;
  }
  return { energy: total > 0 ? inside / total : 0, area: area / map.data.length };
}

export const energy: Metric = {
  name: 'energy',
  needs: 'region',
  measure(subject) {
    const found = energyPointing(subject.map, regionOf(subject));
    return [found.energy, found.area, 1];
  },
  columns: [mean('energy', 'higher'), mean('area', undefined, '%', 1)],
};
