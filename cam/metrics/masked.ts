// The picture that a map leaves: each pixel faded to black as far as the map is below its maximum.

import { assertSameSize, type HostMap, peaked } from './host-map.ts';
import type { Picture } from './metric.ts';

/**
 * X o M / max M, taken on pixels: multiplying the normalised input instead, as some tools do, fades to the training set's
 * mean colour. A flat map leaves black.
 */
export function maskedPicture(picture: Picture, map: HostMap, black: readonly number[]): Picture {
  assertSameSize(map, { ...picture });
  const share = peaked(map) ?? new Float64Array(map.data.length);
  const area = share.length;
  const data = picture.data.map((value, i) => {
    const zero = black[Math.floor(i / area)]!;
    return zero + share[i % area]! * (value - zero);
  });
  return { ...picture, data };
}
