// ONNX's elementwise operators, in operations of the engine.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import { isNan, weighted } from '../../../engine/ops/elementwise.ts';
import type { Traits } from '../../graph.ts';
import * as fn from '../../layers/functions.ts';
import * as layers from '../../layers.ts';
import { type Constant, constant, type NumberType } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { type Builder, type Call, element, isConstant, productOf, type Value, withInputs } from './call.ts';
import { ELEMENT_TYPES } from './tensors.ts';

/** A function of one number. */
const unary =
  (one: fn.ElementFunction): Builder =>
  (call) =>
    element(call, one);

/** One with numbers of its own: the file's attributes, or their defaults. */
const unaryWith =
  (
    attributes: Readonly<Record<string, number>>,
    make: (...numbers: number[]) => fn.ElementFunction,
  ): Builder =>
  (call) =>
    element(
      call,
      make(...Object.entries(attributes).map(([name, otherwise]) => call.float(name, otherwise))),
    );

/** f(a, b), broadcast. */
function binary(
  kind: string,
  device: (a: Tensor, b: Tensor) => Tensor,
  each: (a: number, b: number) => number,
  { type, said }: { type?: NumberType; said?: (a: Value, b: Value) => Traits } = {},
): Builder {
  return (call) => {
    // Before opset 7 the second operand could be aligned at any axis.
    if (call.attribute('axis') && call.opset < 7) {
      throw new FormatError(
        'the broadcasting of opset 6 (attribute axis) is not supported; export opset 7 or later',
      );
    }
    const operands = { a: call.input(0), b: call.input(1) };
    return call.apply({
      kind,
      operands,
      device: (a, b) => device(a!, b!),
      each,
      ...(type && { type }),
      ...(said && { traits: said(operands.a, operands.b) }),
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

/** A sum of any number of inputs, two at a time: of feature maps each is a layer. */
const sumOfAll: Builder = (call) => {
  const [first, ...rest] = call.inputs.map((_, i) => call.input(i));
  if (rest.length === 0) return identity('identity')(call);
  return rest.reduce((total, value, i) => {
    const isLast = i === rest.length - 1;
    return addition(isLast ? withInputs(call, total, value) : call.part(`sum${i}`, total, value)) as Value;
  }, first!);
};

const meanOfAll: Builder = (call) =>
  call.apply({
    kind: 'mean',
    operands: Object.fromEntries(call.inputs.map((_, i) => [String(i), call.input(i)] as const)),
    device: (...tensors) => ops.scale(tensors.reduce(ops.add), 1 / tensors.length),
    each: (...values) => values.reduce((a, b) => a + b) / values.length,
  });

/** f over any number of inputs, two at a time. */
const variadic =
  (kind: string, device: (a: Tensor, b: Tensor) => Tensor, each: (...values: number[]) => number): Builder =>
  (call) =>
    call.apply({
      kind,
      operands: Object.fromEntries(call.inputs.map((_, i) => [String(i), call.input(i)] as const)),
      // With one input the result is a copy, so that disposing of it leaves the input alone.
      device: (...tensors) => tensors.reduce(device, ops.reshape(tensors[0]!, tensors[0]!.shape)),
      each,
    });

const not = (x: Tensor): Tensor => ops.affine(x, -1, 1);

/** Where a mask of 0 and 1 says so, a, else b; what is not taken may be infinite or NaN. */
const where = (mask: Tensor, a: Tensor, b: Tensor): Tensor =>
  ops.add(weighted(a, mask), weighted(b, not(mask)));

const division: Builder = (call) => {
  const operands = [call.input(0), call.input(1)];
  if (operands.every((value) => value.type === 'int') && !operands.every(isConstant)) {
    throw new FormatError('a division of whole numbers that depend on the picture is not supported');
  }
  return binary('div', ops.div, (a, b) => a / b)(call);
};

/** x^y: one exponent is a number of the operation, which allows negative bases. */
const power: Builder = (call) => {
  const [x, exponent] = [call.input(0), call.input(1)];
  const isNumber = isConstant(exponent) && exponent.data.length === 1;
  return isNumber && exponent.shape.length <= x.shape.length
    ? element(call, fn.power(exponent.data[0]!))
    : binary('pow', ops.pow, Math.pow)(call);
};

/** The bounds are inputs, or attributes before opset 11. */
const clip: Builder = (call) => {
  const x = call.input(0);
  const [low, high] = (['min', 'max'] as const).map((name, i): Value | undefined => {
    const attribute = call.attribute(name);
    return call.optional(1 + i) ?? (attribute && constant('float', [], [attribute.float]));
  });
  const numberOf = (bound: Value | undefined, otherwise: number) =>
    bound === undefined ? otherwise : isConstant(bound) ? (bound.data[0] ?? Number.NaN) : undefined;
  const [a, b] = [numberOf(low, Number.NEGATIVE_INFINITY), numberOf(high, Number.POSITIVE_INFINITY)];
  if (a !== undefined && b !== undefined) {
    if (Number.isNaN(a) || Number.isNaN(b))
      throw new FormatError('a bound of its range is NaN; expected numbers');
    return element(call, fn.clip(a, b));
  }
  return call.apply({
    kind: 'clip',
    operands: { x, low, high },
    device: (t, from, to) => {
      const raised = from ? ops.maximum(t!, from) : t!;
      return to ? ops.minimum(raised, to) : raised;
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
    device: (t, s) => ops.sub(ops.relu(t!), ops.mul(s!, ops.relu(ops.neg(t!)))),
    each: (a, s) => (a > 0 ? a : s * a),
  });
};

const cast: Builder = (call) => {
  const to = ELEMENT_TYPES.get(call.int('to', 0));
  if (to === undefined) throw new FormatError(`a cast to type ${call.int('to', 0)} is not supported`);
  return castTo(call, to.type);
};

function castTo(call: Call, type: NumberType): Value {
  const x = call.input(0);
  if (!isConstant(x) && type === 'int' && x.type === 'float') {
    throw new FormatError('a cast to whole numbers of what depends on the picture is not supported');
  }
  const fold = (v: Constant | undefined) => constant(type, v!.shape, v!.data);
  if (type !== 'bool' || x.type === 'bool') return identity('identity', { fold, type })(call) as Value;
  return call.apply({
    kind: 'cast',
    operands: { x },
    device: (t) => not(ops.equal(t!, ops.full(t!.device, [], 0))),
    fold,
    type,
  });
}

/** What changes no element, though perhaps what its numbers mean. */
export const identity =
  (
    kind: string,
    { fold, type }: { fold?: (x: Constant | undefined) => Constant; type?: NumberType } = {},
  ): Builder =>
  (call) => {
    const x = call.input(0);
    if (isConstant(x)) return fold ? call.fold(() => fold(x), x) : x;
    const same = call.layer([x], {}, (name, input) => layers.identity(name, input, kind));
    return type ? { ...same, type } : same;
  };

/** Does nothing when a network is explained; its mask says that everything is kept. */
const dropout: Builder = (call) => {
  const training = call.constant(2)?.data[0] ?? 0;
  const ratio = call.constant(1)?.data[0] ?? call.float('ratio', 0.5);
  if (training !== 0 && ratio !== 0) throw new FormatError('dropout in training mode is not supported');
  const y = identity('dropout')(call) as Value;
  if (!call.wants(1)) return y;
  const mask = call.apply({
    kind: 'constant',
    operands: { x: call.input(0) },
    device: (t) => ops.affine(t!, 0, 1),
    each: () => 1,
    type: 'bool',
    part: 'mask',
  });
  return [y, mask];
};

/** Exact unless tanh is asked for. */
const gelu: Builder = (call) =>
  element(call, call.text('approximate', 'none') === 'tanh' ? fn.functions.tanhGelu : fn.functions.gelu);

const compare = (
  kind: string,
  device: (a: Tensor, b: Tensor) => Tensor,
  holds: (a: number, b: number) => boolean,
) => binary(kind, device, (a, b) => Number(holds(a, b)), { type: 'bool' });

const { functions: f } = fn;
export const elementwise: Readonly<Record<string, Builder>> = {
  Abs: unary(f.abs),
  Neg: unary(f.neg),
  Sqrt: unary(f.sqrt),
  Exp: unary(f.exp),
  Log: unary(f.log),
  Erf: unary(f.erf),
  Tanh: unary(f.tanh),
  Relu: unary(f.relu),
  LeakyRelu: unaryWith({ alpha: 0.01 }, fn.leakyRelu),
  Elu: unaryWith({ alpha: 1 }, fn.elu),
  Selu: unaryWith({ alpha: 1.6732632423543772, gamma: 1.0507009873554805 }, fn.selu),
  Sigmoid: unary(f.sigmoid),
  HardSigmoid: unaryWith({ alpha: 0.2, beta: 0.5 }, fn.hardSigmoid),
  HardSwish: unary(f.hardSwish),
  Celu: unaryWith({ alpha: 1 }, fn.celu),
  Softplus: unary(f.softplus),
  Softsign: unary(f.softsign),
  ThresholdedRelu: unaryWith({ alpha: 1 }, fn.thresholdedRelu),
  Reciprocal: unary(f.reciprocal),
  Sign: unary(f.sign),
  Mish: unary(f.mish),
  Gelu: gelu,
  Swish: (call) => element(call, fn.swish(call.float('alpha', 1))),
  PRelu: prelu,
  Clip: clip,
  Add: addition,
  Sub: binary('sub', ops.sub, (a, b) => a - b),
  Mul: binary('mul', ops.mul, (a, b) => a * b, { said: productOf }),
  Div: division,
  Pow: power,
  Sum: sumOfAll,
  Mean: meanOfAll,
  Min: variadic('min', ops.minimum, Math.min),
  Max: variadic('max', ops.maximum, Math.max),
  Equal: compare('equal', ops.equal, (a, b) => a === b),
  Greater: compare('greater', ops.greater, (a, b) => a > b),
  Less: compare(
    'less',
    (a, b) => ops.greater(b, a),
    (a, b) => a < b,
  ),
  GreaterOrEqual: compare(
    'greaterOrEqual',
    (a, b) => not(ops.greater(b, a)),
    (a, b) => a >= b,
  ),
  LessOrEqual: compare(
    'lessOrEqual',
    (a, b) => not(ops.greater(a, b)),
    (a, b) => a <= b,
  ),
  Not: (call) =>
    call.apply({
      kind: 'not',
      operands: { x: call.input(0) },
      device: (x) => not(x!),
      each: (a) => Number(a === 0),
      type: 'bool',
    }),
  IsNaN: (call) =>
    call.apply({
      kind: 'isNaN',
      operands: { x: call.input(0) },
      device: (x) => isNan(x!),
      each: (a) => Number(Number.isNaN(a)),
      type: 'bool',
    }),
  And: compare('and', ops.mul, (a, b) => a !== 0 && b !== 0),
  Or: compare('or', ops.maximum, (a, b) => a !== 0 || b !== 0),
  Xor: compare(
    'xor',
    (a, b) => not(ops.equal(a, b)),
    (a, b) => (a !== 0) !== (b !== 0),
  ),
  Where: (call) =>
    call.apply({
      kind: 'where',
      operands: { mask: call.input(0), a: call.input(1), b: call.input(2) },
      device: (mask, a, b) => where(mask!, a!, b!),
      each: (mask, a, b) => (mask !== 0 ? a! : b!),
      type: call.input(1).type,
    }),
  Cast: cast,
  CastLike: (call) => castTo(call, call.input(1).type),
  Identity: identity('identity'),
  Dropout: dropout,
};
