// ONNX's elementwise operators, in operations of the engine.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import * as layers from '../../layers.ts';
import { FormatError } from '../errors.ts';
import { type Builder, type Call, isConstant, type Value } from './call.ts';
import { type Constant, constant, map, type NumberType } from './constant.ts';
import { ELEMENT_TYPES } from './tensors.ts';

const LARGEST_FLOAT = 3.4028234663852886e38;

/** f(x), with attributes that the file may set: name and default of each. */
function unary(
  kind: string,
  device: (x: Tensor, ...attributes: number[]) => Tensor,
  attributes: Readonly<Record<string, number>> = {},
  fold?: (x: number) => number,
): Builder {
  return (call) => {
    const values = Object.entries(attributes).map(([name, otherwise]) => call.float(name, otherwise));
    return call.apply({
      kind,
      operands: { x: call.input(0) },
      device: (x) => device(x!, ...values),
      ...(fold && { fold: (x) => map(x!.type, fold, x!) }),
      attributes: Object.fromEntries(Object.keys(attributes).map((name, i) => [name, values[i]])),
    });
  };
}

/** f(a, b), broadcast. */
function binary(
  kind: string,
  device: (a: Tensor, b: Tensor) => Tensor,
  fold: (a: number, b: number) => number,
  type?: NumberType,
): Builder {
  return (call) => {
    // Before opset 7 the second operand could be aligned at any axis.
    if (call.attribute('axis') && call.opset < 7) {
      throw new FormatError(
        'the broadcasting of opset 6 (attribute axis) is not supported; export opset 7 or later',
      );
    }
    return call.apply({
      kind,
      operands: { a: call.input(0), b: call.input(1) },
      device: (a, b) => device(a!, b!),
      fold: (a, b) => map(type ?? a!.type, fold, a!, b!),
      ...(type && { type }),
    });
  };
}

const sum = binary('add', ops.add, (a, b) => a + b);

/** A sum of two feature maps is the layer, into which an activation may be folded. */
const addition: Builder = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const isLayer = !isConstant(a) && !isConstant(b) && call.attribute('axis') === undefined;
  return isLayer ? call.layer([a, b], {}, layers.add) : sum(call);
};

/** f over any number of inputs, two at a time. */
function variadic(
  kind: string,
  device: (a: Tensor, b: Tensor) => Tensor,
  fold: (...values: number[]) => number,
): Builder {
  return (call) => {
    const operands = call.inputs.map((_, i) => [String(i), call.input(i)] as const);
    return call.apply({
      kind,
      operands: Object.fromEntries(operands),
      // Of one input the result is a copy, so that disposing it leaves the input alone.
      device: (...tensors) => tensors.reduce(device, ops.reshape(tensors[0]!, tensors[0]!.shape)),
      fold: (...values) => map(values[0]!.type, fold, ...values),
    });
  };
}

const not = (x: Tensor): Tensor => ops.affine(x, -1, 1);
const negativePart = (x: Tensor): Tensor => ops.neg(ops.relu(ops.neg(x)));
/** a (exp(x) - 1) below 0, x above. */
const elu = (x: Tensor, a: number): Tensor =>
  ops.add(ops.relu(x), ops.affine(ops.exp(negativePart(x)), a, -a));

/** a (exp(x / a) - 1) below 0, x above (Barron 2017). */
const celu = (x: Tensor, a: number): Tensor => ops.scale(elu(ops.scale(x, 1 / a), 1), a);

/** Where a mask of 0 and 1 says so, a, else b. */
const where = (mask: Tensor, a: Tensor, b: Tensor): Tensor =>
  ops.add(ops.mul(mask, a), ops.mul(not(mask), b));

const division: Builder = (call) => {
  const operands = [call.input(0), call.input(1)];
  if (operands.every((value) => value.type === 'int') && !operands.every(isConstant)) {
    throw new FormatError('a division of whole numbers that depend on the picture is not supported');
  }
  return binary('div', ops.div, (a, b) => a / b)(call);
};

/** x^y: one exponent is a number of the operation, which allows negative bases. */
const power: Builder = (call) => {
  const exponent = call.input(1);
  if (!isConstant(exponent) || exponent.data.length !== 1) return binary('pow', ops.pow, Math.pow)(call);
  const k = exponent.data[0]!;
  const shape = exponent.shape;
  return call.apply({
    kind: 'pow',
    operands: { x: call.input(0) },
    device: (x) => {
      const y = ops.powScalar(x!, k);
      return shape.length > x!.shape.length
        ? ops.reshape(y, [...shape.slice(x!.shape.length), ...y.shape])
        : y;
    },
    fold: (x) => map(x!.type, Math.pow, x!, exponent),
    attributes: { exponent: k },
  });
};

/** The bounds are inputs, or attributes before opset 11. */
const clip: Builder = (call) => {
  const x = call.input(0);
  const bounds = [1, 2].map((i): Value | undefined => {
    const attribute = call.attribute(i === 1 ? 'min' : 'max');
    return call.optional(i) ?? (attribute && constant('float', [], [attribute.float]));
  });
  const [low, high] = bounds;
  if (bounds.every((bound) => bound === undefined || isConstant(bound))) {
    const a = (low as Constant | undefined)?.data[0] ?? -LARGEST_FLOAT;
    const b = (high as Constant | undefined)?.data[0] ?? LARGEST_FLOAT;
    if (Number.isNaN(a) || Number.isNaN(b)) throw new FormatError('a bound is NaN');
    return call.apply({
      // Under the name by which a convolution takes it in.
      kind: a === 0 && b === 6 ? 'relu6' : 'clip',
      operands: { x },
      device: (t) => ops.clamp(t!, Math.max(a, -LARGEST_FLOAT), Math.min(b, LARGEST_FLOAT)),
      fold: (v) => map(v!.type, (n) => Math.min(Math.max(n, a), b), v!),
      attributes: { min: a, max: b },
    });
  }
  return call.apply({
    kind: 'clip',
    operands: { x, low, high },
    device: (t, a, b) => {
      const raised = a ? ops.maximum(t!, a) : t!;
      return b ? ops.minimum(raised, b) : raised;
    },
  });
};

/** The slope is aligned at the last axis, or, before opset 7, at the channels. */
const prelu: Builder = (call) => {
  const x = call.input(0);
  const given = call.input(1);
  const channels = call.opset < 7 && isConstant(given) && given.data.length === x.shape[1];
  const slope = channels ? { ...given, shape: [x.shape[1]!, ...x.shape.slice(2).map(() => 1)] } : given;
  return call.apply({
    kind: 'prelu',
    operands: { x, slope },
    device: (t, s) => ops.add(ops.relu(t!), ops.mul(s!, negativePart(t!))),
  });
};

const cast: Builder = (call) => {
  const to = ELEMENT_TYPES.get(call.int('to', 0));
  if (to === undefined) throw new FormatError(`a cast to type ${call.int('to', 0)} is not supported`);
  const x = call.input(0);
  const { type } = to;
  if (!isConstant(x) && type === 'int' && x.type === 'float') {
    throw new FormatError('a cast to whole numbers of what depends on the picture is not supported');
  }
  const toBool = type === 'bool' && x.type !== 'bool';
  return call.apply({
    kind: toBool ? 'cast' : 'identity',
    operands: { x },
    device: (t) => (toBool ? not(ops.equal(t!, ops.full(t!.device, [], 0))) : ops.reshape(t!, t!.shape)),
    fold: (v) => constant(type, v!.shape, v!.data),
    type,
    attributes: { to: to.name },
  });
};

const identity =
  (kind: string) =>
  (call: Call, x = call.input(0)): Value =>
    call.apply({ kind, operands: { x }, device: (t) => ops.reshape(t!, t!.shape), fold: (v) => v! });

/** Does nothing when a network is explained; its mask says that everything is kept. */
const dropout: Builder = (call) => {
  const training = call.known(2)?.data[0] ?? 0;
  const ratio = call.known(1)?.data[0] ?? call.float('ratio', 0.5);
  if (training !== 0 && ratio !== 0) throw new FormatError('dropout in training mode is not supported');
  const x = call.input(0);
  const y = identity('dropout')(call, x);
  if (!call.wants(1)) return y;
  const mask = call.apply({
    kind: 'constant',
    operands: { x },
    device: (t) => ops.affine(t!, 0, 1),
    fold: (v) => constant('bool', v!.shape, () => 1),
    type: 'bool',
    part: 'mask',
  });
  return [y, mask];
};

/** ONNX rounds neither; its GELU is exact unless tanh is asked for. */
const gelu: Builder = (call) => {
  const tanh = call.text('approximate', 'none') === 'tanh';
  return call.apply({
    kind: 'gelu',
    operands: { x: call.input(0) },
    device: (x) => (tanh ? tanhGelu(x!) : ops.gelu(x!)),
    attributes: tanh ? { approximate: 'tanh' } : {},
  });
};

/** x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks 2016). */
const tanhGelu = (x: Tensor): Tensor => {
  const inner = ops.scale(ops.add(x, ops.scale(ops.powScalar(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return ops.scale(ops.mul(x, ops.affine(ops.tanh(inner), 1, 1)), 0.5);
};

export const elementwise: Readonly<Record<string, Builder>> = {
  Abs: unary('abs', (x) => ops.abs(x), {}, Math.abs),
  Neg: unary(
    'neg',
    (x) => ops.neg(x),
    {},
    (x) => -x,
  ),
  Sqrt: unary('sqrt', (x) => ops.sqrt(x), {}, Math.sqrt),
  Exp: unary('exp', (x) => ops.exp(x), {}, Math.exp),
  Log: unary('log', (x) => ops.log(x), {}, Math.log),
  Erf: unary('erf', (x) => ops.erf(x)),
  Tanh: unary('tanh', (x) => ops.tanh(x), {}, Math.tanh),
  Relu: unary(
    'relu',
    (x) => ops.relu(x),
    {},
    (x) => Math.max(x, 0),
  ),
  LeakyRelu: unary('leakyRelu', (x, alpha) => ops.leakyRelu(x, alpha), { alpha: 0.01 }),
  Elu: unary('elu', (x, alpha) => elu(x, alpha!), { alpha: 1 }),
  Selu: unary('selu', (x, alpha, gamma) => ops.scale(elu(x, alpha!), gamma!), {
    alpha: 1.6732632423543772,
    gamma: 1.0507009873554805,
  }),
  Sigmoid: unary('sigmoid', (x) => ops.sigmoid(x)),
  HardSigmoid: unary('hardSigmoid', (x, alpha, beta) => ops.clamp(ops.affine(x, alpha, beta), 0, 1), {
    alpha: 0.2,
    beta: 0.5,
  }),
  HardSwish: unary('hardSwish', ops.hardSwish),
  Celu: unary('celu', (x, alpha) => celu(x, alpha!), { alpha: 1 }),
  Softplus: unary('softplus', (x) => ops.softplus(x)),
  Softsign: unary('softsign', (x) => ops.div(x, ops.affine(ops.abs(x), 1, 1))),
  ThresholdedRelu: unary('thresholdedRelu', (x, alpha) => ops.mul(x, ops.step(ops.affine(x, 1, -alpha!))), {
    alpha: 1,
  }),
  Reciprocal: unary(
    'reciprocal',
    (x) => ops.reciprocal(x),
    {},
    (x) => 1 / x,
  ),
  Sign: unary('sign', (x) => ops.sign(x), {}, Math.sign),
  Mish: unary('mish', (x) => ops.mul(x, ops.tanh(ops.softplus(x)))),
  Gelu: gelu,
  PRelu: prelu,
  Clip: clip,
  Add: addition,
  Sub: binary('sub', ops.sub, (a, b) => a - b),
  Mul: binary('mul', ops.mul, (a, b) => a * b),
  Div: division,
  Pow: power,
  Min: variadic('min', ops.minimum, Math.min),
  Max: variadic('max', ops.maximum, Math.max),
  Equal: binary('equal', ops.equal, (a, b) => Number(a === b), 'bool'),
  Greater: binary('greater', ops.greater, (a, b) => Number(a > b), 'bool'),
  Less: binary(
    'less',
    (a, b) => ops.greater(b, a),
    (a, b) => Number(a < b),
    'bool',
  ),
  GreaterOrEqual: binary(
    'greaterOrEqual',
    (a, b) => not(ops.greater(b, a)),
    (a, b) => Number(a >= b),
    'bool',
  ),
  LessOrEqual: binary(
    'lessOrEqual',
    (a, b) => not(ops.greater(a, b)),
    (a, b) => Number(a <= b),
    'bool',
  ),
  Not: (call) =>
    call.apply({
      kind: 'not',
      operands: { x: call.input(0) },
      device: (x) => not(x!),
      fold: (x) => map('bool', (a) => Number(a === 0), x!),
    }),
  And: binary('and', ops.mul, (a, b) => Number(a !== 0 && b !== 0), 'bool'),
  Or: binary('or', ops.maximum, (a, b) => Number(a !== 0 || b !== 0), 'bool'),
  Xor: binary(
    'xor',
    (a, b) => not(ops.equal(a, b)),
    (a, b) => Number((a !== 0) !== (b !== 0)),
    'bool',
  ),
  Where: (call) => {
    const a = call.input(1);
    return call.apply({
      kind: 'where',
      operands: { mask: call.input(0), a, b: call.input(2) },
      device: (mask, x, y) => where(mask!, x!, y!),
      fold: (mask, x, y) => map(a.type, (m, p, q) => (m !== 0 ? p : q), mask!, x!, y!),
      type: a.type,
    });
  },
  Cast: cast,
  Identity: (call) => identity('identity')(call),
  Dropout: dropout,
};
