// Resizing of the last two axes of [N, C, H, W], as PyTorch's interpolate defines it for a given output size.

import { type Array64, build, check, offsetOf, stridesOf } from './array.ts';

interface Neighbours {
  readonly low: number;
  readonly high: number;
  /** The weight of the second. */
  readonly fraction: number;
}

/** The two neighbours of each output position along one axis. */
const neighbours = (from: number, to: number, alignCorners: boolean): readonly Neighbours[] =>
  Array.from({ length: to }, (_, position) => {
    const source = alignCorners
      ? to > 1
        ? (position * (from - 1)) / (to - 1)
        : 0
      : Math.max(0, ((position + 0.5) * from) / to - 0.5);
    const low = Math.min(Math.floor(source), from - 1);
    return { low, high: Math.min(low + 1, from - 1), fraction: source - low };
  });

/** `low` and `high` in the shares that their distances give them. */
const between = (low: number, high: number, fraction: number): number =>
  low * (1 - fraction) + high * fraction;

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
  const [batch, channels, h, w] = x.shape;
  const rows = neighbours(h, height, alignCorners);
  const columns = neighbours(w, width, alignCorners);
  return build([batch, channels, height, width], (index) => {
    const plane = (index[0] * channels + index[1]) * h;
    const row = rows[index[2]];
    const { low, high, fraction } = columns[index[3]];
    const [above, below] = [(plane + row.low) * w, (plane + row.high) * w];
    return between(
      between(x.data[above + low], x.data[above + high], fraction),
      between(x.data[below + low], x.data[below + high], fraction),
      row.fraction,
    );
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
