// Resizing of the last two axes of [N, C, H, W], as PyTorch's interpolate defines it for a given output size.

import { type Array64, build, check, offsetOf, stridesOf } from './array.ts';

/** The two neighbours of an output position along one axis, and the weight of the second. */
function neighbours(
  position: number,
  from: number,
  to: number,
  alignCorners: boolean,
): { low: number; high: number; fraction: number } {
  const source = alignCorners
    ? to > 1
      ? (position * (from - 1)) / (to - 1)
      : 0
    : Math.max(0, ((position + 0.5) * from) / to - 0.5);
  const low = Math.min(Math.floor(source), from - 1);
  return { low, high: Math.min(low + 1, from - 1), fraction: source - low };
}

/**
 * Bilinear. alignCorners maps the centres of the corner pixels onto each other; otherwise pixels are areas, with
 * centres at i + 1/2, and positions beyond the outer centres take the edge.
 */
export function resizeBilinear(
  x: Array64,
  [height, width]: readonly [number, number],
  alignCorners: boolean,
): Array64 {
  check(x.shape.length === 4 && x.data.length > 0, `resizing of [${x.shape}]`);
  const strides = stridesOf(x.shape);
  const at = (n: number, c: number, row: number, column: number) =>
    x.data[offsetOf(strides, [n, c, row, column])];
  return build([x.shape[0], x.shape[1], height, width], ([n, c, y, z]) => {
    const row = neighbours(y, x.shape[2], height, alignCorners);
    const column = neighbours(z, x.shape[3], width, alignCorners);
    const along = (r: number) =>
      at(n, c, r, column.low) * (1 - column.fraction) + at(n, c, r, column.high) * column.fraction;
    return along(row.low) * (1 - row.fraction) + along(row.high) * row.fraction;
  });
}

/** Nearest: output i takes input floor(i * from / to), PyTorch's 'nearest' (not 'nearest-exact'). */
export function resizeNearest(x: Array64, [height, width]: readonly [number, number]): Array64 {
  check(x.shape.length === 4 && x.data.length > 0, `resizing of [${x.shape}]`);
  const strides = stridesOf(x.shape);
  return build([x.shape[0], x.shape[1], height, width], ([n, c, y, z]) => {
    const row = Math.floor((y * x.shape[2]) / height);
    const column = Math.floor((z * x.shape[3]) / width);
    return x.data[offsetOf(strides, [n, c, row, column])];
  });
}
