// Boxes around what a map marks at each threshold, and how well they fit an object's boxes.
//
// At level k of 1 .. 255 a map marks the pixels with M / max M >= k / 255, which are the distinct thresholds of
// wsolevaluation (Choe et al. 2020), whose maps have 8 bits. Around each connected piece (with diagonals) a box is drawn;
// the best intersection over union of any of them with any of the object's boxes counts.
//
// Boxes are half-open. wsolevaluation's end one pixel late and its intersection adds another: on pictures of 64 pixels
// that is worth several points. Maps that may be negative are cut at zero rather than stretched from their minimum.

import { type Box, type HostMap, peaked } from './host-map.ts';

/** Thresholds at which boxes are drawn around a map: the multiples of 1 / 255 of its maximum. */
export const LEVELS = 255;

/** Area of the intersection over area of the union. */
export function iou(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, width) * Math.max(0, height);
  return both / (area(a) + area(b) - both);
}

const area = ([x0, y0, x1, y1]: Box): number => (x1 - x0) * (y1 - y0);

/** A connected piece: where it lies and how many pixels it has. */
interface Piece {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  pixels: number;
}

/**
 * The best IoU at each level, entry k - 1 for level k; zero at all of them for a flat map. `pieces` says whose boxes
 * are drawn: those of all pieces, or of the largest alone (most pixels), as MaxBoxAcc had it first.
 */
export function boxOverlap(
  map: HostMap,
  objects: readonly Box[],
  pieces: 'all' | 'largest' = 'all',
): Float64Array {
  const best = new Float64Array(LEVELS);
  const values = peaked(map);
  if (!values) return best;
  const { width, height } = map;
  const byLevel = Array.from({ length: LEVELS + 1 }, (): number[] => []);
  values.forEach((value, at) => {
    byLevel[Math.floor(LEVELS * value)]!.push(at);
  });
  // From the highest level down pieces only grow and meet, so that one pass over the pixels serves all levels.
  const parent = new Int32Array(width * height).fill(-1);
  const found = new Map<number, Piece>();
  const root = (at: number): number => {
    let top = at;
    while (parent[top] !== top) top = parent[top]!;
    while (parent[at] !== top) [at, parent[at]] = [parent[at]!, top];
    return top;
  };
  const join = (a: number, b: number) => {
    const [one, other] = [root(a), root(b)];
    if (one === other) return;
    const [p, q] = [found.get(one)!, found.get(other)!];
    p.x0 = Math.min(p.x0, q.x0);
    p.y0 = Math.min(p.y0, q.y0);
    p.x1 = Math.max(p.x1, q.x1);
    p.y1 = Math.max(p.y1, q.y1);
    p.pixels += q.pixels;
    parent[other] = one;
    found.delete(other);
  };
  for (let level = LEVELS; level >= 1; level--) {
    for (const at of byLevel[level]!) {
      const [x, y] = [at % width, Math.floor(at / width)];
      parent[at] = at;
      found.set(at, { x0: x, y0: y, x1: x + 1, y1: y + 1, pixels: 1 });
      for (let v = Math.max(0, y - 1); v < Math.min(height, y + 2); v++) {
        for (let u = Math.max(0, x - 1); u < Math.min(width, x + 2); u++) {
          const next = v * width + u;
          if (next !== at && parent[next]! >= 0) join(at, next);
        }
      }
    }
    const all = [...found.values()];
    const largest = all.reduce((most, { pixels }) => Math.max(most, pixels), 0);
    for (const { x0, y0, x1, y1, pixels } of all) {
      if (pieces === 'largest' && pixels < largest) continue;
      for (const object of objects)
        best[level - 1] = Math.max(best[level - 1]!, iou([x0, y0, x1, y1], object));
    }
  }
  return best;
}
