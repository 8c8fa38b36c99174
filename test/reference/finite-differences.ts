// Derivatives by central differences in float64, against which the engine's gradients are tested.
//
// The error of a stencil of order p for the n-th derivative is C h^p f^(n+p), from truncation, and about
// 1e-16 S |f| / h^n, from rounding, where S is the sum of the absolute coefficients. The steps below suit
// functions that vary over lengths of about 1; they sit somewhat below the balance of the two, which costs a digit
// nobody needs beside float32, covers functions several times as curved, and keeps the stencil short. No stencil
// may straddle a kink (of relu, max, abs): it reaches the number of steps given in the table to either side.

import type { Array64 } from './array.ts';

/**
 * The first derivative in every element, by (f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h.
 * With h = 2^-12: truncation h^4 / 30 = 1e-16, rounding 1e-16 * 1.5 / h = 6e-13; in balance at h = 1e-3.
 * The step grows with |x| beyond 1, where x + h would lose digits of h.
 */
export function gradient(f: (x: Array64) => number, x: Array64, h = 2 ** -12): Array64 {
  const data = x.data.map((value, i) => {
    const step = h * Math.max(1, Math.abs(value));
    const at = (multiple: number) => f({ shape: x.shape, data: x.data.with(i, value + multiple * step) });
    return (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * step);
  });
  return { shape: x.shape, data };
}

// Coefficients at -4h, ..., 4h (Fornberg 1988): eighth order for the first two derivatives, sixth for the third.
//   n  truncation              rounding         h      both, for f and its derivatives of size 1
//   1  h^8 / 630 f^(9)         2e-16 / h        2^-9   3e-24, 1e-13; reach 0.008 |v|
//   2  h^8 / 3150 f^(10)       7e-16 / h^2      2^-7   4e-21, 1e-11; reach 0.03 |v|
//   3  0.014 h^6 f^(9)         8e-16 / h^3      2^-6   2e-13, 2e-10; reach 0.06 |v|
const STENCILS = {
  1: {
    h: 2 ** -9,
    coefficients: [1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280],
  },
  2: {
    h: 2 ** -7,
    coefficients: [-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560],
  },
  3: {
    h: 2 ** -6,
    coefficients: [-7 / 240, 3 / 10, -169 / 120, 61 / 30, 0, -61 / 30, 169 / 120, -3 / 10, 7 / 240],
  },
} as const;

/**
 * d^order/dt^order f(x + t v) at t = 0. Choose v so that f varies over lengths of about 1 in t (a v of norm about
 * 1 for an ordinary network), or give h.
 */
export function directionalDerivative(
  f: (x: Array64) => number,
  x: Array64,
  v: Array64,
  order: 1 | 2 | 3,
  h: number = STENCILS[order].h,
): number {
  let total = 0;
  STENCILS[order].coefficients.forEach((coefficient, i) => {
    if (coefficient === 0) return;
    const t = (i - 4) * h;
    total += coefficient * f({ shape: x.shape, data: x.data.map((value, j) => value + t * v.data[j]) });
  });
  return total / h ** order;
}
