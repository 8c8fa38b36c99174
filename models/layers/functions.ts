// Functions of one number, each on the device and on the host. The host's are in float64: importers fold with them, and
// graphs are read by them (canonical.ts).

import type { Tensor } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { Traits } from '../graph.ts';

export interface ElementFunction {
  readonly kind: string;
  readonly device: (x: Tensor) => Tensor;
  readonly host: (x: number) => number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly traits: Traits;
}

/** What is said of a function in addition to how it is computed. */
type Said = Pick<Traits, 'increasing' | 'nonNegative' | 'gives' | 'activation'> & {
  readonly attributes?: Readonly<Record<string, unknown>>;
};

/** Makes a function. One that gives 0 for 0 leaves an empty channel empty, and so treats each channel alone. */
const fn = (
  kind: string,
  device: (x: Tensor) => Tensor,
  host: (x: number) => number,
  { attributes = {}, ...traits }: Said = {},
): ElementFunction => ({
  kind,
  device,
  host,
  attributes,
  traits: { ...traits, ...(host(0) === 0 && { channelwise: true }), each: ([x]) => host(x!) },
});

const LARGEST_FLOAT = 3.4028234663852886e38;
const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/** A sum of positive terms: 2/sqrt(pi) exp(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...) (Abramowitz 1964, 7.1.6). */
function hostErf(x: number): number {
  if (!(Math.abs(x) < 6)) return Math.sign(x);
  let [term, total] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
/** log(1 + exp(x)), where exp cannot overflow. */
const hostSoftplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const bounded = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

const negativePart = (x: Tensor): Tensor => ops.neg(ops.relu(ops.neg(x)));
/** alpha (exp(x) - 1) below 0, x above; exp never sees a positive number. */
const expLinear = (x: Tensor, alpha: number): Tensor =>
  ops.add(ops.relu(x), ops.affine(ops.exp(negativePart(x)), alpha, -alpha));
const hostExpLinear = (x: number, alpha: number) => (x > 0 ? x : alpha * Math.expm1(x));

const rising = { increasing: true } as const;
const positive = { nonNegative: true, increasing: true } as const;

export const functions = {
  abs: fn('abs', (x) => ops.abs(x), Math.abs, { nonNegative: true }),
  neg: fn(
    'neg',
    (x) => ops.neg(x),
    (x) => -x,
  ),
  sqrt: fn('sqrt', (x) => ops.sqrt(x), Math.sqrt, positive),
  exp: fn('exp', (x) => ops.exp(x), Math.exp, positive),
  log: fn('log', (x) => ops.log(x), Math.log, rising),
  erf: fn('erf', (x) => ops.erf(x), hostErf, rising),
  sign: fn('sign', (x) => ops.sign(x), Math.sign, rising),
  reciprocal: fn(
    'reciprocal',
    (x) => ops.reciprocal(x),
    (x) => 1 / x,
  ),
  tanh: fn('tanh', (x) => ops.tanh(x), Math.tanh, rising),
  softplus: fn('softplus', (x) => ops.softplus(x), hostSoftplus, positive),
  softsign: fn(
    'softsign',
    (x) => ops.div(x, ops.affine(ops.abs(x), 1, 1)),
    (x) => x / (1 + Math.abs(x)),
    rising,
  ),
  sigmoid: fn('sigmoid', (x) => ops.sigmoid(x), logistic, { ...positive, gives: 'sigmoid' }),
  relu: fn(
    'relu',
    (x) => ops.relu(x),
    (x) => Math.max(x, 0),
    { ...positive, activation: 'relu' },
  ),
  relu6: fn(
    'relu6',
    (x) => ops.relu6(x),
    (x) => bounded(x, 0, 6),
    { ...positive, activation: 'relu6' },
  ),
  silu: fn('silu', ops.silu, (x) => x * logistic(x)),
  /** x relu6(x + 3) / 6 (Howard 2019). */
  hardSwish: fn('hardSwish', ops.hardSwish, (x) => (x * bounded(x + 3, 0, 6)) / 6),
  /** x Phi(x) (Hendrycks 2016). */
  gelu: fn('gelu', ops.gelu, (x) => (x / 2) * (1 + hostErf(x / Math.SQRT2))),
  /** x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), its approximation there. */
  tanhGelu: fn(
    'gelu',
    (x) => {
      const inner = ops.scale(ops.add(x, ops.scale(ops.powScalar(x, 3), 0.044715)), SQRT_2_OVER_PI);
      return ops.scale(ops.mul(x, ops.affine(ops.tanh(inner), 1, 1)), 0.5);
    },
    (x) => (x / 2) * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x ** 3))),
    { attributes: { approximate: 'tanh' } },
  ),
  /** x tanh(softplus(x)) (Misra 2019). */
  mish: fn(
    'mish',
    (x) => ops.mul(x, ops.tanh(ops.softplus(x))),
    (x) => x * Math.tanh(hostSoftplus(x)),
  ),
} as const;

/** Functions that have numbers of their own. */
export const clip = (low: number, high: number): ElementFunction => {
  if (low === 0 && high === 6) return functions.relu6;
  if (low === 0 && high === Number.POSITIVE_INFINITY) return functions.relu;
  const device = (x: Tensor) => ops.clamp(x, Math.max(low, -LARGEST_FLOAT), Math.min(high, LARGEST_FLOAT));
  return fn('clip', device, (x) => bounded(x, low, high), {
    ...rising,
    ...(low >= 0 && { nonNegative: true }),
    attributes: { min: low, max: high },
  });
};
export const leakyRelu = (slope: number): ElementFunction =>
  slope === 0
    ? functions.relu
    : fn(
        'leakyRelu',
        (x) => ops.leakyRelu(x, slope),
        (x) => (x > 0 ? x : slope * x),
        {
          ...(slope > 0 && rising),
          attributes: { slope },
        },
      );
/** alpha (exp(x) - 1) below 0, x above (Clevert 2015). */
export const elu = (alpha: number): ElementFunction =>
  fn(
    'elu',
    (x) => expLinear(x, alpha),
    (x) => hostExpLinear(x, alpha),
    {
      ...(alpha >= 0 && rising),
      attributes: { alpha },
    },
  );
/** scale elu(x) (Klambauer 2017). */
export const selu = (alpha = 1.6732632423543772, scale = 1.0507009873554805): ElementFunction =>
  fn(
    'selu',
    (x) => ops.scale(expLinear(x, alpha), scale),
    (x) => scale * hostExpLinear(x, alpha),
    {
      ...(alpha >= 0 && scale >= 0 && rising),
      attributes: { alpha, scale },
    },
  );
/** a (exp(x / a) - 1) below 0, x above (Barron 2017). */
export const celu = (a: number): ElementFunction =>
  fn(
    'celu',
    (x) => ops.scale(expLinear(ops.scale(x, 1 / a), 1), a),
    (x) => a * hostExpLinear(x / a, 1),
    {
      ...(a > 0 && rising),
      attributes: { alpha: a },
    },
  );
/** slope x + shift, cut off at 0 and 1; PyTorch's and Keras 3's slope is 1/6. */
export const hardSigmoid = (slope = 1 / 6, shift = 0.5): ElementFunction =>
  fn(
    'hardSigmoid',
    slope === 1 / 6 && shift === 0.5 ? ops.hardSigmoid : (x) => ops.clamp(ops.affine(x, slope, shift), 0, 1),
    (x) => bounded(slope * x + shift, 0, 1),
    { nonNegative: true, ...(slope >= 0 && rising), attributes: { slope, shift } },
  );
/** x / (1 + exp(-beta x)) (Ramachandran 2017); of beta = 1.702 it is near GELU. */
export const swish = (beta: number): ElementFunction =>
  beta === 1
    ? functions.silu
    : fn(
        'swish',
        (x) => ops.mul(x, ops.sigmoid(ops.scale(x, beta))),
        (x) => x * logistic(beta * x),
        {
          attributes: { beta },
        },
      );
/** x above the threshold, else 0. */
export const thresholdedRelu = (threshold: number): ElementFunction =>
  fn(
    'thresholdedRelu',
    (x) => ops.mul(x, ops.step(ops.affine(x, 1, -threshold))),
    (x) => (x > threshold ? x : 0),
    { ...(threshold >= 0 && positive), attributes: { threshold } },
  );
/** x^k. */
export const power = (k: number): ElementFunction =>
  fn(
    'pow',
    (x) => ops.powScalar(x, k),
    (x) => x ** k,
    { attributes: { exponent: k } },
  );
