// SSIM, structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), for sanity checks (Adebayo et al. 2018): how much of
// a map is left when the network's weights are drawn anew?
//
//   SSIM = mean of (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)),  C1 = (.01 L)^2, C2 = (.03 L)^2
//
// with means, variances and the covariance under a Gaussian window of 11 x 11, sigma 1.5, averaged over the places where
// the window lies in the picture. It depends on how maps were scaled: give it maps divided by their maximum, and L = 1.

import { MetricError } from './errors.ts';
import { gaussian } from './gaussian.ts';
import { assertSameSize, type HostMap } from './host-map.ts';

const REACH = 5;
const taps = gaussian(REACH, 1.5);

/** From -1 to 1, which equal maps have. `range`: L, the range of the values. */
export function ssim(a: HostMap, b: HostMap, range = 1): number {
  assertSameSize(a, b);
  if (a.width < taps.length || a.height < taps.length) {
    throw new MetricError(
      `SSIM needs maps of at least ${taps.length} x ${taps.length}, not ${a.height} x ${a.width}; upsample them`,
    );
  }
  const windowed = (value: (i: number) => number) => smooth(a, value);
  const [mx, my] = [windowed((i) => a.data[i]!), windowed((i) => b.data[i]!)];
  const xx = windowed((i) => a.data[i]! ** 2);
  const yy = windowed((i) => b.data[i]! ** 2);
  const xy = windowed((i) => a.data[i]! * b.data[i]!);
  const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
  const terms = mx.map((x, i) => {
    const y = my[i]!;
    const covariance = xy[i]! - x * y;
    const variances = xx[i]! - x * x + (yy[i]! - y * y);
    return ((2 * x * y + c1) * (2 * covariance + c2)) / ((x * x + y * y + c1) * (variances + c2));
  });
  return terms.reduce((sum, term) => sum + term, 0) / terms.length;
}

/** The weighted mean of values under the window at each place where it fits. */
function smooth({ width, height }: HostMap, value: (i: number) => number): Float64Array {
  const [w, h] = [width - 2 * REACH, height - 2 * REACH];
  const rows = new Float64Array(w * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < w; x++) {
      rows[y * w + x] = taps.reduce((sum, tap, k) => sum + tap * value(y * width + x + k), 0);
    }
  }
  const out = new Float64Array(w * h);
  for (let i = 0; i < out.length; i++) {
    out[i] = taps.reduce((sum, tap, k) => sum + tap * rows[i + k * w]!, 0);
  }
  return out;
}
