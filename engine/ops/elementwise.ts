// Elementwise operations: one row each, with its WGSL (v, or u and v, are four elements; `p.a` and `p.b` two numbers) and
// its derivative. Two-operand ones broadcast as NumPy does.

import type { Device } from '../device.ts';
import { inFirst, jointly, separately } from '../facts.ts';
import { isRecorded } from '../operation.ts';
import { type Shape, sizeOf, type Tensor, tensor } from '../tensor.ts';
import { binary, type UnaryRow, unary } from './functions.ts';
import { affine, scale } from './linear.ts';

/** A tensor of a shape, every number of which is `value`. */
export function full(device: Device, shape: Shape, value: number): Tensor {
  return tensor(device, new Float32Array(sizeOf(shape)).fill(value), shape);
}

/** -x. */
export const neg = unary({ name: 'neg', wgsl: '-v', vjp: (d) => neg(d), affine: jointly });
/** e^x. */
export const exp = unary({ name: 'exp', wgsl: 'exp(v)', vjp: (d, _x, y) => mul(d, y) });
/** The natural logarithm; minus infinity at 0, NaN below. */
export const log = unary({ name: 'log', wgsl: 'logarithm(v)', from: 0, vjp: (d, x) => div(d, x) });
/** The square root; NaN below 0. */
export const sqrt = unary({
  name: 'sqrt',
  wgsl: 'sqrt(v)',
  from: 0,
  vjp: (d, _x, y) => div(scale(d, 0.5), y),
});
/** |x|; derivative 0 at 0. */
export const abs = unary({
  name: 'abs',
  wgsl: 'abs(v)',
  vjp: (d, x) => mul(d, sign(x)),
  piecewise: jointly,
});
/** The hyperbolic tangent. */
export const tanh = unary({
  name: 'tanh',
  wgsl: 'tangent(v)',
  vjp: (d, x) => mul(d, tanhSlope(x)),
});
/** 1 / (1 + e^-x). */
export const sigmoid = unary({
  name: 'sigmoid',
  wgsl: 'sigmoid(v)',
  vjp: (d, x) => mul(d, sigmoidSlope(x)),
});
// Derivatives by functions of their own: 1 - tanh(x)^2 and 1 - sigmoid(x) lose their digits where those are near 1.
/** 1 - tanh(x)^2. */
const tanhSlope = unary({
  name: 'tanhSlope',
  wgsl: '4.0 * sigmoidSlope(2.0 * v)',
  vjp: (d, x, y) => mul(d, scale(mul(tanh(x), y), -2)),
});
/** sigmoid(x) (1 - sigmoid(x)). */
const sigmoidSlope = unary({
  name: 'sigmoidSlope',
  wgsl: 'sigmoidSlope(v)',
  vjp: (d, x, y) => neg(mul(d, mul(tanh(scale(x, 0.5)), y))),
});
/** 1 where x > 0, else 0; derivative 0. */
export const step = unary({ name: 'step', wgsl: 'select(vec4f(0.0), vec4f(1.0), v > vec4f(0.0))' });
/** -1, 0 or 1; derivative 0. */
export const sign = unary({ name: 'sign', wgsl: 'sign(v)' });
/** log(1 + exp(x)). */
export const softplus = unary({ name: 'softplus', wgsl: 'softplus(v)', vjp: (d, x) => mul(d, sigmoid(x)) });
/** 1 where x is NaN or infinite, else 0; derivative 0. */
export const notFinite = unary({
  name: 'notFinite',
  wgsl: 'select(vec4f(1.0), vec4f(0.0), isFinite4(v))',
  ofNan: 'vec4f(1.0)',
});
/** 1 where x is NaN, else 0; derivative 0. */
export const isNan = unary({ name: 'isNan', wgsl: 'vec4f(0.0)', ofNan: 'vec4f(1.0)' });
/** 1 / x. */
export const reciprocal = unary({
  name: 'reciprocal',
  wgsl: '1.0 / v',
  vjp: (d, _x, y) => neg(mul(d, mul(y, y))),
});
/** The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. */
export const erf = unary({
  name: 'erf',
  wgsl: 'erf(v)',
  vjp: (d, x) => mul(d, scale(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});
/** min(max(x, low), high), NaN of NaN; derivative 1 strictly inside. */
export const clamp = unary({
  name: 'clamp',
  wgsl: 'min(max(v, vec4f(p.a)), vec4f(p.b))',
  vjp: (d, _x, y, { a, b }) => clampGradient(d, y, a, b),
  piecewise: jointly,
});
/** 1 strictly inside (low, high), else 0; derivative 0. */
const inside = unary({
  name: 'inside',
  wgsl: 'select(vec4f(0.0), vec4f(1.0), (v > vec4f(p.a)) & (v < vec4f(p.b)))',
});
/** The cotangent before a clamp, from its result `y`: where that is strictly inside, so was what was clamped. */
export const clampGradient = (d: Tensor, y: Tensor, low: number, high: number): Tensor =>
  low === 0 && high === Number.POSITIVE_INFINITY ? reluGradient(d, y) : mul(d, inside(y, low, high));
/** 1 where x > 0, else `slope`; derivative 0. */
const leakyStep = unary({ name: 'leakyStep', wgsl: 'select(vec4f(p.a), vec4f(1.0), v > vec4f(0.0))' });
/** x where x > 0, else slope x. */
export const leakyRelu = unary({
  name: 'leakyRelu',
  wgsl: 'select(p.a * v, v, v > vec4f(0.0))',
  vjp: (d, x, _y, { a }) => mul(d, leakyStep(x, a)),
  piecewise: jointly,
});
/** x^a, where b says of a whether it is even, odd or not whole; see `powScalar`. */
const power = unary({
  name: 'power',
  wgsl: 'power(v, p.a, p.b)',
  vjp: (d, x, _y, { a, b }) =>
    a === 0 ? scale(d, 0) : mul(d, scale(power(x, a - 1, b === NOT_WHOLE ? b : 1 - b), a)),
});
const NOT_WHOLE = 2;

/** x^k for a number k. For x < 0 the exponent must be a whole number; otherwise the result is NaN. */
export function powScalar(x: Tensor, k: number): Tensor {
  if (k === 0) return affine(x, 0, 1);
  if (k === 1) return scale(x, 1);
  // Small whole powers are products: exact, and with derivatives that stay finite at 0.
  if (k === 2) return mul(x, x);
  if (k === 3) return mul(mul(x, x), x);
  return power(x, k, Number.isInteger(k) ? Math.abs(k % 2) : NOT_WHOLE);
}

/** a + b. */
export const add = binary({ name: 'add', wgsl: 'u + v', vjp: (d) => [() => d, () => d], affine: jointly });
/** d where y > 0, else 0. */
const reluGradient = binary({
  name: 'reluGradient',
  wgsl: 'orNan(select(vec4f(0.0), u, v > vec4f(0.0)), u, v)',
  vjp: (d, _a, y) => [() => reluGradient(d, y), undefined],
});
/** relu(a + b). */
export const addRelu = binary({
  name: 'addRelu',
  wgsl: 'orNan(max(u + v, vec4f(0.0)), u, v)',
  vjp: (d, _a, _b, y) => {
    const sum = reluGradient(d, y);
    return [() => sum, () => sum];
  },
  piecewise: jointly,
});
/** a - b. */
export const sub = binary({
  name: 'sub',
  wgsl: 'u - v',
  vjp: (d) => [() => d, () => neg(d)],
  affine: jointly,
});
/** a b, element by element. */
export const mul = binary({
  name: 'mul',
  wgsl: 'u * v',
  vjp: (d, a, b) => [() => mul(d, b), () => mul(d, a)],
  affine: separately,
});
/** a / b. */
export const div = binary({
  name: 'div',
  wgsl: 'u / v',
  vjp: (d, a, b) => [() => div(d, b), () => neg(mul(d, div(div(a, b), b)))],
  affine: inFirst,
});
/** The larger of two, NaN where either is; of equals the first takes the derivative. */
export const maximum = binary({
  name: 'max',
  wgsl: 'orNan(max(u, v), u, v)',
  vjp: (d, a, b) => [() => mul(d, atLeast(a, b)), () => mul(d, greater(b, a))],
  piecewise: jointly,
});
/** The smaller of two, likewise. */
export const minimum = binary({
  name: 'min',
  wgsl: 'orNan(min(u, v), u, v)',
  vjp: (d, a, b) => [() => mul(d, atLeast(b, a)), () => mul(d, greater(a, b))],
  piecewise: jointly,
});
/**
 * a^b; NaN for a < 0 unless b is a whole number. At a = 0, where b a^(b - 1) and a^b log(a) are 0 times infinity, the
 * derivatives are 0: that in a where b = 0, that in b where b >= 0.
 */
export const pow = binary({
  name: 'pow',
  wgsl: 'orNan(power(u, v), u, v)',
  vjp: (d, a, b) => {
    const atZero = () => equal(a, full(a.device, [], 0));
    return [
      () => mul(d, mul(b, pow(a, add(affine(b, 1, -1), mul(atZero(), equal(b, full(b.device, [], 0))))))),
      () => mul(d, mul(pow(a, b), log(add(a, atZero())))),
    ];
  },
});
/** 1 where a > b, else 0; derivative 0. */
export const greater = binary({ name: 'greater', wgsl: 'select(vec4f(0.0), vec4f(1.0), u > v)' });
/** 1 where a >= b, else 0; derivative 0. */
const atLeast = binary({ name: 'atLeast', wgsl: 'select(vec4f(0.0), vec4f(1.0), u >= v)' });
/** 1 where a = b, else 0; derivative 0. */
export const equal = binary({ name: 'equal', wgsl: 'select(vec4f(0.0), vec4f(1.0), u == v)' });

/** max(x, 0): a clamp, so that both are one kernel to compile. */
export const relu = (x: Tensor): Tensor => clamp(x, 0, Number.POSITIVE_INFINITY);
/** min(max(x, 0), 6). */
export const relu6 = (x: Tensor): Tensor => clamp(x, 0, 6);
/** clamp(x / 6 + 1/2, 0, 1). */
export const hardSigmoid = (x: Tensor): Tensor => clamp(affine(x, 1 / 6, 0.5), 0, 1);

/** One kernel where no derivative is being taken, else the operations that it is made of. */
function composed(row: UnaryRow, of: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  const whole = unary(row);
  return (x) => (isRecorded([x]) ? of(x) : whole(x));
}

/** x hardSigmoid(x) (Howard 2019). */
export const hardSwish = composed(
  { name: 'hardSwish', wgsl: 'v * clamp(fma(v, vec4f(1.0 / 6.0), vec4f(0.5)), vec4f(0.0), vec4f(1.0))' },
  (x) => mul(x, hardSigmoid(x)),
);
/** x sigmoid(x). */
export const silu = composed({ name: 'silu', wgsl: 'v * sigmoid(v)' }, (x) => mul(x, sigmoid(x)));
/** exp(-x^2 / 2) / sqrt(2 pi), the normal distribution's density. */
const density = unary({
  name: 'density',
  wgsl: 'gaussian(v) * 0.3989422804',
  vjp: (d, x, y) => neg(mul(d, mul(x, y))),
});
/** The normal distribution's Phi(x) = (1 + erf(x / sqrt(2))) / 2. */
const normal = unary({ name: 'normal', wgsl: 'normal(v)', vjp: (d, x) => mul(d, density(x)) });
/** x Phi(x) with the normal distribution's Phi (Hendrycks 2016). Beyond 15 that is 0 or 1, and powers of x too large. */
export const gelu = composed({ name: 'gelu', wgsl: 'v * normal(v)' }, (x) =>
  mul(x, normal(clamp(x, -15, 15))),
);
/** a b, and 0 where b is 0, whatever a is there: a term that counts for nothing. */
export const weighted = binary({
  name: 'weighted',
  wgsl: 'select(u * v, vec4f(0.0), v == vec4f(0.0))',
  vjp: (d, a, b) => [() => weighted(d, b), () => mul(d, a)],
  affine: separately,
});
