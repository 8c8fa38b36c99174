// Shapley values of players whose worths add up (Shapley 1953), where the sum may go through a sigmoid; in float64.
//
//   phi_k = integral from 0 to 1 of E[v(T + k) - v(T)] dq,  T: each player but k with probability q       (Owen 1972)
//   v(T)  = b + sum of a_j over T, of which phi_k = a_k, or the sigmoid s of that
//
// For the sigmoid the expectation is taken by Fourier: s' is the integral of F(w) e^(iwz) dw / 2 pi with
// F(w) = pi w / sinh(pi w), and of e^(iwz) the expectation is a product over the players:
//
//   E[s(z + a_k) - s(z)] = 1 / 2 pi integral F(w) e^(iwb) prod_{j != k} (1 - q + q e^(iw a_j)) (e^(iw a_k) - 1) / (iw) dw
//
// The integral over w is a sum in equal steps, of which the error vanishes like the function at both ends; that over q is
// Gauss's. Of a polynomial of degree K - 1, which the product is, K / 2 points are exact; fewer do where it hardly turns.

/** Beyond this frequency F is below the rounding of float64. */
const LAST_FREQUENCY = 13;
/** The sum over w repeats itself; so far beyond the largest |z| is s' below the rounding of float64. */
const MARGIN = 45;

/** Points and weights of Gauss's quadrature over [0, 1], by Newton's method on Legendre's polynomial of degree n. */
function gauss(n: number): { readonly at: Float64Array; readonly weight: Float64Array } {
  const at = new Float64Array(n);
  const weight = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let round = 0; round < 100; round++) {
      let [before, value] = [1, x];
      for (let m = 2; m <= n; m++)
        [before, value] = [value, ((2 * m - 1) * x * value - (m - 1) * before) / m];
      slope = (n * (x * value - before)) / (x * x - 1);
      const step = value / slope;
      x -= step;
      if (Math.abs(step) < 1e-15) break;
    }
    at[i] = (x + 1) / 2;
    weight[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { at, weight };
}

/** Shapley values of players of worths a [K] in the game sigmoid(b + sum of a). */
export function sigmoidShapley(a: ArrayLike<number>, b: number): Float64Array {
  const count = a.length;
  const worths = Float64Array.from(a);
  const total = worths.reduce((sum, x) => sum + Math.abs(x), Math.abs(b));
  const step = Math.PI / (total + MARGIN);
  const phi = new Float64Array(count);
  // Real and imaginary parts: of e^(iw a_j), of each player's factor, and of the products of those before it.
  const [cos, sin, re, im, preRe, preIm] = Array.from({ length: 6 }, () => new Float64Array(count)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const rules = new Map<number, ReturnType<typeof gauss>>();
  for (let w = 0; w <= LAST_FREQUENCY; w += step) {
    let turns = 0;
    for (let k = 0; k < count; k++) {
      cos[k] = Math.cos(w * worths[k]!);
      sin[k] = Math.sin(w * worths[k]!);
      turns += Math.min(2, Math.abs(w * worths[k]!));
    }
    const points = Math.max(1, Math.min(Math.ceil(count / 2), 16 * Math.ceil((turns / 2 + 24) / 16)));
    const rule = rules.get(points) ?? gauss(points);
    rules.set(points, rule);
    const F = w === 0 ? 1 : (Math.PI * w) / Math.sinh(Math.PI * w);
    // Frequencies w and -w are conjugate: twice the real part.
    const share = ((w === 0 ? 1 : 2) * step * F) / (2 * Math.PI);
    for (let n = 0; n < points; n++) {
      const q = rule.at[n]!;
      let [x, y] = [Math.cos(w * b) * share * rule.weight[n]!, Math.sin(w * b) * share * rule.weight[n]!];
      for (let k = 0; k < count; k++) {
        preRe[k] = x;
        preIm[k] = y;
        re[k] = 1 - q + q * cos[k]!;
        im[k] = q * sin[k]!;
        [x, y] = [x * re[k]! - y * im[k]!, x * im[k]! + y * re[k]!];
      }
      // The same backwards: each player's gain, times the factors before it and after it.
      [x, y] = [1, 0];
      for (let k = count - 1; k >= 0; k--) {
        const others = preRe[k]! * x - preIm[k]! * y;
        const othersIm = preRe[k]! * y + preIm[k]! * x;
        // (e^(iwa) - 1) / (iw) = sin(wa) / w + i (1 - cos(wa)) / w
        phi[k]! += w === 0 ? others * worths[k]! : (others * sin[k]! - othersIm * (1 - cos[k]!)) / w;
        [x, y] = [x * re[k]! - y * im[k]!, x * im[k]! + y * re[k]!];
      }
    }
  }
  return phi;
}
