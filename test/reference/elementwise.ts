// Elementwise operations: NumPy broadcasting for two operands, a table of functions for one.

import { type Array64, build, check, offsetOf, stridesOf } from './array.ts';

/** The shape two operands broadcast to: aligned at the last axis, lengths equal or one of them 1. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a[axis - rank + a.length] ?? 1;
    const n = b[axis - rank + b.length] ?? 1;
    check(m === n || m === 1 || n === 1, `[${a}] and [${b}] do not broadcast`);
    return m === 1 ? n : m;
  });
}

/** Strides that read an array of shape `from` as if it had shape `to`: 0 along every repeated axis. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from);
  const added = to.length - from.length;
  return to.map((_, axis) => (axis < added || from[axis - added] === 1 ? 0 : strides[axis - added]));
}

export function broadcastTo(x: Array64, shape: readonly number[]): Array64 {
  check(
    String(broadcastShapes(x.shape, shape)) === String(shape),
    `[${x.shape}] does not broadcast to [${shape}]`,
  );
  const strides = broadcastStrides(x.shape, shape);
  return build(shape, (index) => x.data[offsetOf(strides, index)]);
}

const lift2 =
  (f: (a: number, b: number) => number) =>
  (a: Array64, b: Array64): Array64 => {
    const shape = broadcastShapes(a.shape, b.shape);
    const stridesA = broadcastStrides(a.shape, shape);
    const stridesB = broadcastStrides(b.shape, shape);
    return build(shape, (index) => f(a.data[offsetOf(stridesA, index)], b.data[offsetOf(stridesB, index)]));
  };

/** IEEE 754 pow. JavaScript's differs: it gives NaN for 1 ** NaN, 1 ** Infinity and (-1) ** Infinity. */
function ieeePow(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1;
  return base ** exponent;
}

/** Two operands, broadcast as in NumPy. `min` and `max` give NaN where either operand is NaN. */
export const binary = {
  add: lift2((a, b) => a + b),
  sub: lift2((a, b) => a - b),
  mul: lift2((a, b) => a * b),
  div: lift2((a, b) => a / b),
  pow: lift2(ieeePow),
  min: lift2(Math.min),
  max: lift2(Math.max),
} as const;

/** Applies a function of one number to every element. */
export function map(x: Array64, f: (value: number) => number): Array64 {
  return { shape: x.shape, data: x.data.map((value) => f(value)) };
}

const lift1 =
  (f: (value: number) => number) =>
  (x: Array64): Array64 =>
    map(x, f);

/**
 * erf(x) = 2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (1 * 3 * ... * (2n+1)), Abramowitz & Stegun 7.1.6.
 * All terms have one sign, so nothing cancels. Beyond 6, 1 - |erf x| is under half an ulp of 1.
 */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
// log(1 + exp(x)) with the larger of the two taken out, so that exp cannot overflow.
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const clampTo = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

// Klambauer et al., Self-Normalizing Neural Networks (2017).
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** One operand, no parameters. All but `step` give NaN for NaN. */
export const unary = {
  neg: lift1((x) => -x),
  abs: lift1(Math.abs),
  sign: lift1(Math.sign),
  /** 1 where x > 0, else 0 (also at 0 and NaN), so that relu(x) = x step(x). */
  step: lift1((x) => (x > 0 ? 1 : 0)),
  reciprocal: lift1((x) => 1 / x),
  exp: lift1(Math.exp),
  log: lift1(Math.log),
  sqrt: lift1(Math.sqrt),
  tanh: lift1(Math.tanh),
  erf: lift1(erf),
  sigmoid: lift1(sigmoid),
  softplus: lift1(softplus),
  relu: lift1((x) => Math.max(x, 0)),
  relu6: lift1((x) => clampTo(x, 0, 6)),
  hardSwish: lift1((x) => (x * clampTo(x + 3, 0, 6)) / 6),
  silu: lift1((x) => x * sigmoid(x)),
  mish: lift1((x) => x * Math.tanh(softplus(x))),
  /** x Phi(x), Phi the normal distribution function. */
  gelu: lift1((x) => 0.5 * x * (1 + erf(x / Math.SQRT2))),
  /** Hendrycks & Gimpel's approximation of gelu by tanh. */
  geluTanh: lift1((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  selu: lift1((x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x))),
} as const;

export function leakyRelu(x: Array64, slope: number): Array64 {
  return map(x, (value) => (value > 0 ? value : slope * value));
}

export function elu(x: Array64, alpha = 1): Array64 {
  return map(x, (value) => (value > 0 ? value : alpha * Math.expm1(value)));
}

/** min(max(x, low), high). */
export function clamp(x: Array64, low: number, high: number): Array64 {
  return map(x, (value) => clampTo(value, low, high));
}

/** clamp(alpha x + beta, 0, 1). The defaults are PyTorch's; ONNX's are 0.2 and 0.5. */
export function hardSigmoid(x: Array64, alpha = 1 / 6, beta = 0.5): Array64 {
  return map(x, (value) => clampTo(alpha * value + beta, 0, 1));
}
