// COCO's `segmentation`: polygons, or runs of pixels, from which the mask of an object is made.
//
// A polygon [x0, y0, x1, y1, ..] holds the pixels whose middles are inside it; of several each adds its own. Runs count
// pixels down one column after another, those outside first: as numbers, or as COCO's text, six bits a character, the lowest
// first, of which from the third count on the difference to the count before the last is written.

import type { Mask } from '../../cam/metrics/host-map.ts';
import { DataSetError, type Outline } from './data-set.ts';

const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'number' && Number.isFinite(one));

/** @throws DataSetError naming `where`, if it is none. */
export function outlineFrom(value: unknown, where: string): Outline {
  const isPolygon = (one: unknown) => isNumbers(one) && one.length >= 6 && one.length % 2 === 0;
  if (Array.isArray(value) && value.length > 0 && value.every(isPolygon)) return value as Outline;
  const { size, counts } = (value ?? {}) as { size?: unknown; counts?: unknown };
  const isRuns = typeof counts === 'string' || isNumbers(counts);
  if (isNumbers(size) && size.length === 2 && isRuns) return value as Outline;
  throw new DataSetError(
    `${where}: its segmentation is neither polygons [[x, y, x, y, x, y, ..], ..] nor runs {"size": [height, width], "counts": ..}`,
  );
}

/** The mask of several outlines together. @throws DataSetError naming `where`, if runs do not fit the picture. */
export function maskOf(outlines: readonly Outline[], width: number, height: number, where: string): Mask {
  const data = new Uint8Array(width * height);
  for (const outline of outlines) {
    if (!('counts' in outline)) {
      for (const polygon of outline) fill(data, width, height, polygon);
      continue;
    }
    const { size, counts } = outline;
    const runs = typeof counts === 'string' ? decoded(counts) : counts;
    const total = runs.reduce((sum, run) => sum + run, 0);
    if (size[0] !== height || size[1] !== width || total !== data.length || runs.some((run) => run < 0)) {
      throw new DataSetError(
        `${where}: runs of ${total} pixels for ${size[1]} x ${size[0]} do not fit its ${width} x ${height}`,
      );
    }
    let at = 0;
    runs.forEach((run, i) => {
      for (const end = at + run; at < end; at++)
        if (i % 2 === 1) data[(at % height) * width + Math.floor(at / height)] = 1;
    });
  }
  return { width, height, data };
}

/** Sets the pixels of each row that lie between an odd and an even crossing of the polygon's edges. */
function fill(data: Uint8Array, width: number, height: number, polygon: readonly number[]): void {
  const corners = Array.from({ length: polygon.length / 2 }, (_, i) => polygon.slice(2 * i, 2 * i + 2));
  for (let row = 0; row < height; row++) {
    const y = row + 0.5;
    const crossings = corners
      .flatMap(([x0, y0], i) => {
        const [x1, y1] = corners[(i + 1) % corners.length]!;
        return y0! <= y === y1! <= y ? [] : [x0! + ((y - y0!) / (y1! - y0!)) * (x1! - x0!)];
      })
      .sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const [from, to] = [crossings[i]!, crossings[i + 1]!].map((x) =>
        Math.min(width, Math.max(0, Math.ceil(x - 0.5))),
      ) as [number, number];
      data.fill(1, row * width + from, row * width + to);
    }
  }
}

/** The counts of COCO's text. */
function decoded(text: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let [value, shift, more] = [0, 0, true];
    while (more && at < text.length) {
      const six = text.charCodeAt(at++) - 48;
      value += (six & 31) * 2 ** shift;
      shift += 5;
      more = (six & 32) !== 0;
      if (!more && six & 16) value -= 2 ** shift;
    }
    counts.push(value + (counts.length > 2 ? counts.at(-2)! : 0));
  }
  return counts;
}
