// A map as metrics read it: on the host, at the picture's size.

import { largest, least } from '../../engine/extremes.ts';
import { MetricError } from './errors.ts';

/** Row y begins at y * width; in any unit, since every metric divides it away. */
export interface HostMap {
  readonly width: number;
  readonly height: number;
  /** [height, width]. */
  readonly data: ArrayLike<number>;
}

/** Left, top, right and bottom edges: a box covers the pixels x0 <= x < x1, y0 <= y < y1. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** The pixels of an object [height, width]: 0 outside, anything else inside. */
export type Mask = HostMap;

/** The pixels that lie in one of several boxes; boxes may reach out of the picture. */
export function maskOf(boxes: readonly Box[], width: number, height: number): Mask {
  const data = new Uint8Array(width * height);
  for (const [x0, y0, x1, y1] of boxes) {
    const [left, right] = [Math.max(0, x0), Math.min(width, x1)];
    for (let y = Math.max(0, y0); y < Math.min(height, y1); y++)
      if (left < right) data.fill(1, y * width + left, y * width + right);
  }
  return { width, height, data };
}

/** @throws MetricError where a number is NaN or infinite, or the length is not height x width. */
export function assertFinite({ width, height, data }: HostMap): void {
  if (data.length !== width * height) {
    throw new MetricError(`a map of ${height} x ${width} has ${data.length} numbers, not ${width * height}`);
  }
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new MetricError(
      `a map holds ${data[i]} at ${i % width}, ${Math.floor(i / width)}; no metric can be read from it`,
    );
  }
}

/**
 * The map without what is negative, divided by its maximum; undefined where it is flat: it then points nowhere, and no
 * metric may take that for a hit.
 */
export function peaked(map: HostMap): Float64Array | undefined {
  assertFinite(map);
  const positive = Float64Array.from(map.data, (value) => Math.max(0, value));
  const high = largest(positive);
  return high > least(positive) ? positive.map((value) => value / high) : undefined;
}

/** @throws MetricError where two pictures are not of one size. */
export function assertSameSize(a: HostMap, b: HostMap): void {
  if (a.width === b.width && a.height === b.height) return;
  throw new MetricError(
    `a map of ${a.height} x ${a.width} is measured against one of ${b.height} x ${b.width}; bring both to one size`,
  );
}
