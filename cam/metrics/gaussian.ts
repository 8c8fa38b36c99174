// The weights of a Gaussian window.

/** exp(-(i / sigma)^2 / 2) for i = -reach .. reach, over their sum. */
export function gaussian(reach: number, sigma: number): number[] {
  const values = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => value / total);
}
