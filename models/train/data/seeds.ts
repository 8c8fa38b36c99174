// The pixels that F-CAM is told about in a training step, drawn anew each time from a class's map, as the official code
// (sbelharbi/fcam-wsol, dlib/cams/selflearning.py) draws them: one pixel of the object and one of the background, each
// with its eight neighbours. Everything else is left to the other terms of the loss.

import { below, type Random } from './random.ts';

/** What a pixel is said to be; most are not spoken of. */
export type Seeds = Float32Array;

/** Share of the pixels, the lowest of the map, of which one is taken for background. */
const LOW = 0.1;

/** Otsu's threshold (1979) of bytes: the one whose two classes, up to it and above it, differ most between themselves. */
export function otsu(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte]!++;
  const total = bytes.reduce((sum, byte) => sum + byte, 0);
  let [below, belowSum, best, bestSpread] = [0, 0, 0, -1];
  for (let t = 0; t < 255; t++) {
    below += counts[t]!;
    belowSum += t * counts[t]!;
    const above = bytes.length - below;
    if (below === 0 || above === 0) continue;
    const spread = below * above * (belowSum / below - (total - belowSum) / above) ** 2;
    if (spread > bestSpread) [best, bestSpread] = [t, spread];
  }
  return best;
}

/** The pixels of a 3 x 3 square around one, those inside the picture. */
function around(pixel: number, width: number, height: number): number[] {
  const [x, y] = [pixel % width, Math.floor(pixel / width)];
  const near = (centre: number, size: number) =>
    [centre - 1, centre, centre + 1].filter((at) => at >= 0 && at < size);
  return near(y, height).flatMap((row) => near(x, width).map((column) => row * width + column));
}

/**
 * Seeds from a map of `width` columns whose values lie in 0..1: [2, height, width], 1 where a pixel is said to be
 * background (first plane) or object (second). Pixels that would be both are neither.
 *
 * The object's is drawn from where the map exceeds Otsu's threshold, after an erosion by 3 x 3 (11 x 11 in pictures of
 * 224) if that leaves anything; the background's from the lowest tenth.
 */
export function drawSeeds(map: Float32Array, width: number, next: Random): Seeds {
  const height = map.length / width;
  const bytes = Uint8Array.from(map, (value) => Math.floor(255 * value));
  const threshold = Math.min(Math.max(otsu(bytes), 1), 254);
  const pixels = Array.from(map, (_, pixel) => pixel);
  const region = pixels.filter((pixel) => bytes[pixel]! > threshold);
  const eroded = region.filter((pixel) => {
    const square = around(pixel, width, height);
    return square.length === 9 && square.every((other) => bytes[other]! > threshold);
  });
  const objects = eroded.length > 0 ? eroded : region;
  const lowest = pixels.sort((a, b) => map[a]! - map[b]!).slice(0, Math.floor(LOW * map.length));
  const drawn = [lowest, objects].map((from) =>
    from.length === 0 ? [] : around(from[below(from.length, next)]!, width, height),
  );
  const seeds = new Float32Array(2 * map.length);
  drawn.forEach((square, plane) => {
    for (const pixel of square) if (!drawn[1 - plane]!.includes(pixel)) seeds[plane * map.length + pixel] = 1;
  });
  return seeds;
}
