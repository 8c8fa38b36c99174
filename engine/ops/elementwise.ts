// Elementwise operations: one row each, with its derivative beside it. Two-operand ones broadcast as NumPy does.

import * as kernels from '../../kernels/elementwise/elementwise.ts';
import { type Device, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { inFirst, jointly, type Passing, separately } from '../facts.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { type Shape, sameShape, show, sizeOf, type Tensor, tensor } from '../tensor.ts';
import { broadcastShape } from './axes.ts';
import { affine, scale, sumTo } from './linear.ts';

interface Parameters {
  readonly a: number;
  readonly b: number;
}

type UnaryVjp = (d: Tensor, x: Tensor, y: Tensor, p: Parameters) => Tensor;

function unary(name: kernels.UnaryFunction, vjp?: UnaryVjp, passing: Passing<Parameters> = {}) {
  const operation: Operation<Parameters> = {
    ...passing,
    name,
    shape: ([x]) => x!.shape,
    forward: ([x], y, { a, b }) => run(y.device, kernels.unary(name, y.size, a, b), [x!.storage], y.storage),
    ...(vjp && { vjp: (d, { inputs, output, attributes }) => [vjp(d, inputs[0]!, output, attributes)] }),
  };
  return (x: Tensor, a = 0, b = 0): Tensor => apply(operation, [x], { a, b });
}

/** Cotangents of the two operands; undefined where the derivative is zero everywhere. */
type BinaryVjp = (
  d: Tensor,
  a: Tensor,
  b: Tensor,
  y: Tensor,
) => readonly [(() => Tensor) | undefined, (() => Tensor) | undefined];

function binary(name: kernels.BinaryFunction, vjp?: BinaryVjp, passing: Passing<undefined> = {}) {
  const operation: Operation<undefined> = {
    ...passing,
    name,
    shape: ([a, b]) => broadcastShape(name, a!.shape, b!.shape),
    forward: ([a, b], y) => {
      const elementwise = (x: Tensor) => x.size === 1 || sameShape(x.shape, y.shape);
      const launch =
        elementwise(a!) && elementwise(b!)
          ? kernels.binary(name, y.size, a!.size === 1, b!.size === 1)
          : kernels.broadcastBinary(name, broadcastDims(a!.shape, b!.shape, y.shape));
      run(y.device, launch, [a!.storage, b!.storage], y.storage);
    },
    ...(vjp && {
      vjp: (d, { inputs, output, needs }) => {
        const [a, b] = inputs as [Tensor, Tensor];
        const parts = vjp(d, a, b, output);
        return [a, b].map((input, i) => {
          const part = needs[i] ? parts[i]?.() : undefined;
          return part && sumTo(part, input.shape);
        });
      },
    }),
  };
  return (a: Tensor, b: Tensor): Tensor => apply(operation, [a, b], undefined);
}

/** Strides for broadcasting, neighbouring axes that behave alike merged into one. */
function broadcastDims(a: Shape, b: Shape, shape: Shape): kernels.BroadcastDim[] {
  const dims: { size: number; a: number; b: number }[] = [];
  let strideA = 1;
  let strideB = 1;
  for (let axis = 1; axis <= shape.length; axis++) {
    const size = shape[shape.length - axis]!;
    const m = a[a.length - axis] ?? 1;
    const n = b[b.length - axis] ?? 1;
    if (size !== 1) {
      const dim = { size, a: m === 1 ? 0 : strideA, b: n === 1 ? 0 : strideB };
      const inner = dims[0];
      const merges = inner && dim.a === inner.a * inner.size && dim.b === inner.b * inner.size;
      if (merges) inner.size *= size;
      else dims.unshift(dim);
    }
    strideA *= m;
    strideB *= n;
  }
  if (dims.length > 8) throw new ShapeError(`broadcasting to ${show(shape)} needs more than 8 axes`);
  return dims;
}

/** A tensor of one value. */
export function full(device: Device, shape: Shape, value: number): Tensor {
  return tensor(device, new Float32Array(sizeOf(shape)).fill(value), shape);
}

export const neg = unary('neg', (d) => neg(d), { affine: jointly });
export const exp = unary('exp', (d, _x, y) => mul(d, y));
export const log = unary('log', (d, x) => div(d, x));
export const sqrt = unary('sqrt', (d, _x, y) => div(scale(d, 0.5), y));
export const abs = unary('abs', (d, x) => mul(d, sign(x)));
export const tanh = unary('tanh', (d, _x, y) => mul(d, affine(mul(y, y), -1, 1)));
export const sigmoid = unary('sigmoid', (d, _x, y) => mul(d, mul(y, affine(y, -1, 1))));
/** 1 where x > 0, else 0; derivative 0. */
export const step = unary('step');
export const sign = unary('sign');
/** log(1 + exp(x)). */
export const softplus = unary('softplus', (d, x) => mul(d, sigmoid(x)));
/** 1 where x is NaN or infinite, else 0; derivative 0. */
export const notFinite = unary('notFinite');
export const reciprocal = unary('reciprocal', (d, _x, y) => neg(mul(d, mul(y, y))));
export const erf = unary('erf', (d, x) => mul(d, scale(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
/** min(max(x, low), high), NaN of NaN; derivative 1 strictly inside. */
export const clamp = unary('clamp', (d, _x, y, { a, b }) => clampGradient(d, y, a, b));
const inside = unary('inside');
/** The cotangent before a clamp, from its result `y`: where that is strictly inside, so was what was clamped. */
export const clampGradient = (d: Tensor, y: Tensor, low: number, high: number): Tensor =>
  low === 0 && high === Number.POSITIVE_INFINITY ? reluGradient(d, y) : mul(d, inside(y, low, high));
/** 1 where x > 0, else `slope`; derivative 0. */
const leakyStep = unary('leakyStep');
/** x where x > 0, else slope x. */
export const leakyRelu = unary('leakyRelu', (d, x, _y, { a }) => mul(d, leakyStep(x, a)));
/** x^a, where b says of a whether it is even, odd or not whole; see `powScalar`. */
const power = unary('power', (d, x, _y, { a, b }) =>
  a === 0 ? scale(d, 0) : mul(d, scale(power(x, a - 1, b === NOT_WHOLE ? b : 1 - b), a)),
);
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

export const add = binary('add', (d) => [() => d, () => d], { affine: jointly });
/** d where y > 0, else 0. */
const reluGradient = binary('reluGradient', (d, _a, y) => [() => reluGradient(d, y), undefined]);
/** relu(a + b). */
export const addRelu = binary('addRelu', (d, _a, _b, y) => {
  const sum = reluGradient(d, y);
  return [() => sum, () => sum];
});
export const sub = binary('sub', (d) => [() => d, () => neg(d)], { affine: jointly });
export const mul = binary('mul', (d, a, b) => [() => mul(d, b), () => mul(d, a)], { affine: separately });
export const div = binary('div', (d, a, b) => [() => div(d, b), () => neg(mul(d, div(div(a, b), b)))], {
  affine: inFirst,
});
/** The larger of two, NaN where either is; of equals the first takes the derivative. */
export const maximum = binary('max', (d, a, b) => [() => mul(d, atLeast(a, b)), () => mul(d, greater(b, a))]);
/** The smaller of two, likewise. */
export const minimum = binary('min', (d, a, b) => [() => mul(d, atLeast(b, a)), () => mul(d, greater(a, b))]);
/**
 * a^b; NaN for a < 0 unless b is a whole number. At a = 0, where b a^(b - 1) and a^b log(a) are 0 times infinity, the
 * derivatives are 0: that in a where b = 0, that in b where b >= 0.
 */
export const pow = binary('pow', (d, a, b) => {
  const atZero = () => equal(a, full(a.device, [], 0));
  return [
    () => mul(d, mul(b, pow(a, add(affine(b, 1, -1), mul(atZero(), equal(b, full(b.device, [], 0))))))),
    () => mul(d, mul(pow(a, b), log(add(a, atZero())))),
  ];
});
/** 1 where a > b, else 0; derivative 0. */
export const greater = binary('greater');
const atLeast = binary('atLeast');
/** 1 where a = b, else 0; derivative 0. */
export const equal = binary('equal');

/** A clamp, so that both are one kernel to compile. */
export const relu = (x: Tensor): Tensor => clamp(x, 0, Number.POSITIVE_INFINITY);
export const relu6 = (x: Tensor): Tensor => clamp(x, 0, 6);
/** clamp(x / 6 + 1/2, 0, 1). */
export const hardSigmoid = (x: Tensor): Tensor => clamp(affine(x, 1 / 6, 0.5), 0, 1);

/** One kernel where no derivative is being taken, else the operations that it is made of. */
function composed(name: kernels.UnaryFunction, of: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  const whole = unary(name);
  return (x) => (isRecorded([x]) ? of(x) : whole(x));
}

/** x hardSigmoid(x) (Howard 2019). */
export const hardSwish = composed('hardSwish', (x) => mul(x, hardSigmoid(x)));
/** x sigmoid(x). */
export const silu = composed('silu', (x) => mul(x, sigmoid(x)));
/** x Phi(x) with the normal distribution's Phi, by erf (Hendrycks 2016). */
export const gelu = composed('gelu', (x) => scale(mul(x, affine(erf(scale(x, Math.SQRT1_2)), 1, 1)), 0.5));
