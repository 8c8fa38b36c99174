// Pointing game (Zhang et al. 2018): is the map's largest value on the object?
//
//   hit = [ argmax_xy M in the object, or less than `tolerance` pixels from one of its pixels ]
//
// TorchRay takes a tolerance of 15 pixels, meant for photographs of some 500; here it is 0 unless said. Where several
// pixels share the maximum, the share of them that hit is what a random choice among them would score on average. A flat
// map points nowhere and is no hit, nor is anything where no object is.

import { assertSameSize, type HostMap, type Mask, peaked } from './host-map.ts';
import { type Metric, mean, regionOf } from './metric.ts';

/** 1 where the peak hits, 0 where not, between them where peaks tie. */
export function pointing(map: HostMap, object: Mask, tolerance = 0): number {
  assertSameSize(map, object);
  const values = peaked(map);
  if (!values) return 0;
  const { width } = map;
  let [peaks, hits] = [0, 0];
  values.forEach((value, at) => {
    if (value < 1) return;
    peaks++;
    if (isNear(object, at % width, Math.floor(at / width), tolerance)) hits++;
  });
  return hits / peaks;
}

function isNear({ width, height, data }: Mask, x: number, y: number, tolerance: number): boolean {
  if (data[y * width + x]) return true;
  const reach = Math.ceil(tolerance);
  for (let v = Math.max(0, y - reach); v < Math.min(height, y + reach + 1); v++) {
    for (let u = Math.max(0, x - reach); u < Math.min(width, x + reach + 1); u++) {
      if (data[v * width + u] && (u - x) ** 2 + (v - y) ** 2 < tolerance ** 2) return true;
    }
  }
  return false;
}

export const pointingGame: Metric = {
  name: 'pointing',
  needs: 'region',
  measure: (subject) => [pointing(subject.map, regionOf(subject)), 1],
  columns: [mean('pointing', 'higher')],
};
