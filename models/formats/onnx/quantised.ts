// ONNX's quantised operators, as float32 computes them: whole numbers up to 2^24 are exact there. Weights that are known
// become floats when the file is read.
//
// A rounding has no useful derivative. Forward the value is the rounded one; backward its derivative is taken for 1, and
// for 0 where the value was cut off at the ends of the range (the straight-through estimator, Bengio 2013): what is
// explained is the network that was quantised, at the values that it has.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import * as fn from '../../layers/functions.ts';
import { type Constant, constant, gather, map, reshape } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf } from '../kit.ts';
import {
  type Builder,
  type Call,
  type Computed,
  choose,
  element,
  isConstant,
  type Value,
  withInputs,
} from './call.ts';
import { elementwise } from './elementwise.ts';
import { layout } from './layout.ts';
import { conv, gemm, linear, matMul, neural } from './neural.ts';
import { ELEMENT_TYPES } from './tensors.ts';

/** Ends of the ranges of whole numbers. */
const RANGES: Readonly<Record<string, readonly [low: number, high: number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
};

/** Adding it leaves no bit for fractions, and rounds halves to even as the addition does. */
const NO_FRACTION = 1.5 * 2 ** 23;
const MOST_ROUNDED = 2 ** 21;

/** The nearest whole number, halves to even; without a derivative. */
function rounded(x: Tensor): Tensor {
  const small = ops.clamp(ops.stopGradient(x), -MOST_ROUNDED, MOST_ROUNDED);
  return ops.affine(ops.affine(small, 1, NO_FRACTION), 1, -NO_FRACTION);
}

/** round(x) + zero, cut off at the ends of a range; backward as x + zero, cut off. */
function fitted(x: Tensor, zero: Tensor | undefined, low: number, high: number): Tensor {
  const shifted = (t: Tensor) => ops.clamp(zero ? ops.add(t, zero) : t, low, high);
  const through = shifted(x);
  return ops.add(through, ops.stopGradient(ops.sub(shifted(rounded(x)), through)));
}

/** A scale or zero point, one number or one for each place along an axis, so that it meets x by broadcasting. */
function along(call: Call, x: Value, given: Value | undefined): Value | undefined {
  if (given === undefined || given.shape.length === 0) return given;
  const axis = axisOf(call.int('axis', 1), x.shape.length);
  const block = call.int('block_size', 0);
  const shape = x.shape.map((_, i) => (i === axis ? given.shape[0]! : 1));
  if (!isConstant(given)) {
    const device = (t: Tensor) => ops.reshape(t, shape);
    return call.part('along').apply({ kind: 'reshape', operands: { given }, device: (t) => device(t!) });
  }
  if (given.shape.length > 1 && block > 0) {
    const places = Array.from({ length: x.shape[axis]! }, (_, i) => Math.floor(i / block));
    return call.fold(() => gather(given, constant('int', [places.length], places), axis), given);
  }
  if (given.data.length === 1) return call.fold(() => reshape(given, []), given);
  return call.fold(
    () => ({ ...reshape(given, shape), ...(given.element && { element: given.element }) }),
    given,
  );
}

/** (x - zero point) scale. */
const dequantize: Builder = (call) => {
  const x = call.input(0);
  const [scale, zero] = [along(call, x, call.input(1)), along(call, x, call.optional(2))];
  return call.apply({
    kind: 'dequantize',
    operands: { x, scale, zero },
    device: (t, s, z) => ops.mul(z ? ops.sub(t!, z) : t!, s!),
    each: (t, s, z = 0) => (t! - z) * s!,
    type: 'float',
  });
};

/** round(x / scale) + zero point, cut off at the ends of the zero point's range. */
const quantize: Builder = (call) => {
  const x = call.input(0);
  const given = call.optional(2);
  const element =
    (given && isConstant(given) && given.element) ||
    ELEMENT_TYPES.get(call.int('output_dtype', 2))?.name ||
    'uint8';
  const [low, high] = choose(RANGES, 'quantisation to', element);
  const [scale, zero] = [along(call, x, call.input(1)), along(call, x, given)];
  return call.apply({
    kind: 'quantize',
    operands: { x, scale, zero },
    device: (t, s, z) => fitted(ops.div(t!, s!), z, low, high),
    type: 'int',
    attributes: { range: [low, high] },
  });
};

/** Scale and zero point from the range of the values themselves, to uint8; constants of the derivative. */
const dynamicQuantize: Builder = (call) => {
  const x = call.input(0);
  const scaleOf = (t: Tensor) => {
    const axes = t.shape.map((_, axis) => axis);
    const zero = ops.full(t.device, [], 0);
    const low = ops.minimum(ops.reshape(ops.neg(ops.max(ops.neg(t), axes, false)), []), zero);
    const high = ops.maximum(ops.reshape(ops.max(t, axes, false), []), zero);
    const scale = ops.scale(ops.sub(high, low), 1 / 255);
    return { scale, zero: rounded(ops.clamp(ops.neg(ops.div(low, scale)), 0, 255)) };
  };
  const parts = {
    output: (t: Tensor) => {
      const { scale, zero } = scaleOf(ops.stopGradient(t));
      return fitted(ops.div(t, scale), zero, 0, 255);
    },
    scale: (t: Tensor) => scaleOf(ops.stopGradient(t)).scale,
    zero: (t: Tensor) => scaleOf(ops.stopGradient(t)).zero,
  };
  return (['output', 'scale', 'zero'] as const).map((part) =>
    call.apply({
      kind: 'dynamicQuantize',
      operands: { x },
      device: (t) => parts[part](t!),
      ...(part === 'scale' ? { type: 'float' } : { type: 'int' }),
      ...(part !== 'output' && { part }),
    }),
  );
};

/** A value less its zero point; a known one keeps its name. */
const centred = (call: Call, part: string, x: Value, zero: Value | undefined): Value => {
  const one = call.part(part, x, zero);
  if (zero === undefined || (isConstant(zero) && zero.data.every((n) => n === 0))) return asFloat(one, x);
  return asFloat(
    one,
    one.apply({
      kind: 'sub',
      operands: { x, zero: along(one, x, zero) },
      device: (t, z) => ops.sub(t!, z!),
      each: (t, z) => t! - z!,
    }),
  );
};

const asFloat = (call: Call, x: Value): Value =>
  isConstant(x) ? call.fold(() => map('float', (n) => n, x), x) : x;

/** A convolution or product of whole numbers less their zero points. */
const ofIntegers =
  (operation: Builder): Builder =>
  (call) => {
    const a = centred(call, 'a', call.input(0), call.optional(2));
    const b = centred(call, 'b', call.input(1), call.optional(3));
    const y = operation(call.part('product', a, b)) as Value;
    return call.apply({
      kind: 'identity',
      operands: { y },
      device: (t) => ops.reshape(t!, t!.shape),
      fold: (v) => v!,
      type: 'int',
      traits: { view: true },
    });
  };

/** x, weight and result each with scale and zero point: dequantised, computed, quantised. */
const ofQuantised =
  (operation: Builder): Builder =>
  (call) => {
    const [x, xScale, xZero, w, wScale, wZero, yScale, yZero, bias] = Array.from({ length: 9 }, (_, i) =>
      call.optional(i),
    );
    // Each output channel's weights have a scale: the first axis of a convolution, the last of a product.
    const value = dequantize(call.part('x', x, xScale, xZero)) as Value;
    const axis = operation === conv ? 0 : -1;
    const weight = scaledAlong(call.part('weight', w, wScale, wZero), axis);
    const shift =
      bias && isConstant(bias) && isConstant(xScale!) && isConstant(wScale!)
        ? call.fold(() => map('float', (b, s, t) => b! * s! * t!, bias, xScale, wScale), bias)
        : bias;
    if (shift && !isConstant(shift))
      throw new FormatError('a bias that depends on the picture is not supported');
    const y = operation(call.part('float', value, weight, shift as Constant | undefined)) as Value;
    return quantize(withInputs(call, y, yScale, yZero));
  };

/** A quantised value as a float, from three inputs in a row: numbers, scale, zero point. */
const valueAt = (call: Call, first: number): Value => {
  const part = call.part(`x${first}`, ...[0, 1, 2].map((i) => call.optional(first + i)));
  return dequantize(part) as Value;
};

/** A function of quantised values whose result is quantised: its inputs are the values, and then the result's scale. */
const between =
  (operation: Builder, values = 1): Builder =>
  (call) => {
    if (call.int('channels_last', 0) !== 0) throw new FormatError('channels_last is not supported');
    const inputs = Array.from({ length: values }, (_, i) => valueAt(call, 3 * i));
    const y = operation(call.part('float', ...inputs)) as Value;
    return quantize(withInputs(call, y, call.optional(3 * values), call.optional(3 * values + 1)));
  };

/** Quantised values one after another along an axis; the result's scale comes first. */
const concatenated: Builder = (call) => {
  const inputs = Array.from({ length: Math.ceil((call.inputs.length - 2) / 3) }, (_, i) =>
    valueAt(call, 2 + 3 * i),
  );
  const y = layout.Concat!(call.part('float', ...inputs)) as Value;
  return quantize(withInputs(call, y, call.optional(0), call.optional(1)));
};

/** A value whose scale is that of its last axis' places, or another's. */
const scaledAlong = (call: Call, axis: number): Value =>
  dequantize({
    ...call,
    int: (name, otherwise) => (name === 'axis' ? axis : call.int(name, otherwise)),
  }) as Value;

/** x times weights that are quantised by columns, and a bias: a float. */
function timesQuantised(
  call: Call,
  x: Value,
  at: Readonly<Record<'w' | 'scale' | 'zero' | 'bias', number>>,
): Value {
  const [w, scale, zero, bias] = [at.w, at.scale, at.zero, at.bias].map((i) => call.optional(i));
  const weight = scaledAlong(call.part('weight', w, scale, zero), -1);
  if (bias === undefined) return matMul(withInputs(call, x, weight)) as Value;
  const y = matMul(call.part('product', x, weight)) as Value;
  return elementwise.Add!(withInputs(call, y, bias)) as Value;
}

/** alpha A B + C, whose bias is of whole numbers in units of the product's; a float where the result has no scale. */
const qGemm: Builder = (call) => {
  const [b, bScale, bZero, c, yScale, yZero] = [3, 4, 5, 6, 7, 8].map((i) => call.optional(i));
  const aScale = call.input(1);
  const weight = scaledAlong(call.part('weight', b, bScale, bZero), call.int('transB', 0) !== 0 ? 0 : -1);
  const unit = call.float('alpha', 1);
  const bias =
    c && [c, aScale, bScale].every((value) => value && isConstant(value))
      ? call.fold(
          () =>
            map(
              'float',
              (n, s, t) => n! * s! * t! * unit,
              c as Constant,
              aScale as Constant,
              bScale as Constant,
            ),
          c as Constant,
        )
      : c;
  const to = (call: Call) => gemm(withInputs(call, valueAt(call, 0), weight, bias)) as Value;
  return yScale
    ? quantize(withInputs(call, to(call.part('float', ...call.inputs)), yScale, yZero))
    : to(call);
};

/** Rounded as a dynamic quantisation rounds it, and a float again. */
const dynamically = (call: Call): Value =>
  dequantize(
    call.part('rounded', ...[dynamicQuantize(call.part('quantised', call.input(0)))].flat()),
  ) as Value;

/** Weights [N, K] of 2 to 8 bits each, packed in blocks along K that share a scale and perhaps a zero point. */
const blockwise: Builder = (call) => {
  const [x, packed, scales, zeros, order, bias] = [0, 1, 2, 3, 4, 5].map((i) => call.optional(i));
  const [K, N, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) =>
    call.int(name, name === 'bits' ? 4 : 0),
  );
  if (order) throw new FormatError('weights in an order of their own (g_idx) are not supported');
  if (![packed, scales].every((value) => value && isConstant(value)) || (zeros && !isConstant(zeros))) {
    throw new FormatError('weights that depend on the picture are not supported');
  }
  choose({ 2: 2, 4: 4, 8: 8 }, 'packing by bits', String(bits));
  const blocks = Math.ceil(K! / block!);
  const [data, scale] = [packed as Constant, scales as Constant];
  const perByte = 8 / bits!;
  const bytesOfRow = (count: number) => Math.ceil((count * bits!) / 8);
  /** The i-th of a row's numbers, the lowest bits of a byte first. */
  const unpacked = (from: Constant, rowBytes: number, row: number, i: number) =>
    (from.data[row * rowBytes + Math.floor(i / perByte)]! >> ((i % perByte) * bits!)) & (2 ** bits! - 1);
  const isPacked = zeros !== undefined && zeros.type === 'int';
  const zeroOf = (row: number, b: number) => {
    if (zeros === undefined) return 2 ** (bits! - 1);
    return isPacked
      ? unpacked(zeros as Constant, bytesOfRow(blocks), row, b)
      : (zeros as Constant).data[row * blocks + b]!;
  };
  if (data.data.length !== N! * blocks * bytesOfRow(block!) || scale.data.length !== N! * blocks) {
    throw new FormatError(
      `[${data.shape.join(', ')}] does not hold ${N} x ${K} weights of ${bits} bits in blocks of ${block}`,
    );
  }
  const numbers = () =>
    Float32Array.from({ length: N! * K! }, (_, at) => {
      const [row, k] = [Math.floor(at / K!), at % K!];
      const b = Math.floor(k / block!);
      return (
        (unpacked(data, blocks * bytesOfRow(block!), row, k) - zeroOf(row, b)) * scale.data[row * blocks + b]!
      );
    });
  const weight = call.fold(() => constant('float', [N!, K!], numbers()), data, scale);
  return linear(call, x as Computed, weight, bias as Constant | undefined);
};

const { functions: f } = fn;
const microsoft: Readonly<Record<string, Builder>> = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  QLinearAdd: between(elementwise.Add!, 2),
  QLinearMul: between(elementwise.Mul!, 2),
  QLinearAveragePool: between(neural.AveragePool!),
  QLinearGlobalAveragePool: between(neural.GlobalAveragePool!),
  QLinearSoftmax: between((call) => neural.Softmax!({ ...call, opset: call.int('opset', 13) })),
  QLinearSigmoid: between((call) => element(call, f.sigmoid)),
  QLinearLeakyRelu: between(elementwise.LeakyRelu!),
  QLinearConcat: concatenated,
  QGemm: qGemm,
  DynamicQuantizeMatMul: (call) =>
    timesQuantised(call, dynamically(call), { w: 1, scale: 2, zero: 3, bias: 4 }),
  MatMulIntegerToFloat: (call) =>
    timesQuantised(
      call,
      dequantize(call.part('x', call.input(0), call.input(2), call.optional(4))) as Value,
      {
        w: 1,
        scale: 3,
        zero: 5,
        bias: 6,
      },
    ),
  MatMulNBits: blockwise,
};

export const quantised: Readonly<Record<string, Builder>> = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: ofIntegers(matMul),
  ConvInteger: ofIntegers(conv),
  QLinearMatMul: ofQuantised(matMul),
  QLinearConv: ofQuantised(conv),
  ...Object.fromEntries(
    Object.entries(microsoft).map(([name, builder]) => [`com.microsoft.${name}`, builder]),
  ),
};
