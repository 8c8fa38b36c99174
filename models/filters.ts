// Filters by which pictures, and whatever else lies on a grid, are brought to another size.

export interface Filter {
  /** Half the width on which it is not zero, in pixels of the coarser picture. */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** Pillow's filters by its names; bicubic with a = -1/2 (Keys 1981), lanczos with three lobes. */
export const filters = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) : 0),
  },
  bicubic: {
    support: 2,
    weight(signed) {
      const [x, a] = [Math.abs(signed), -0.5];
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Readonly<Record<string, Filter>>;

/** What one output value along an axis is made of: the first source value, and a weight for each from there on. */
export interface Taps {
  readonly first: number;
  /** They add up to 1. */
  readonly weights: readonly number[];
}

/** Brings an axis of `from` values to `to`, as Pillow does, and PyTorch's `interpolate` with `antialias=True`. */
export function tapsOf(from: number, to: number, { support, weight }: Filter): Taps[] {
  const ratio = from / to;
  // When shrinking, the filter is widened to cover all values that fall into one: this is what antialiases.
  const stretch = Math.max(ratio, 1);
  const reach = support * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      weight((first + k - centre + 0.5) * (1 / stretch)),
    );
    const total = raw.reduce((sum, w) => sum + w, 0);
    return { first, weights: raw.map((w) => w / total) };
  });
}
