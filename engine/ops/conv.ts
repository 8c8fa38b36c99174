// Convolution, its input gradient (transposed convolution) and its weight gradient: one trilinear form in x, w and dy,
// so each one's vjp is the other two, and derivatives of every order are closed.

import * as kernels from '../../kernels/conv/conv.ts';
import * as geometry from '../../kernels/conv/geometry.ts';
import { type ConvVariant, chooseConv, chooseWeightGradient } from '../../kernels/conv/variants.ts';
import { matmulTiled, packedRows } from '../../kernels/matmul/matmul.ts';
import { sum as sumKernel } from '../../kernels/reduce/reduce.ts';
import { type Device, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { separately } from '../facts.ts';
import type { Storage } from '../memory.ts';
import { apply, type Operation } from '../operation.ts';
import { filled, packedOnce } from '../pack.ts';
import { windowPlaces } from '../places.ts';
import { empty, show, sizeOf, type Tensor } from '../tensor.ts';
import { type Following, followed, type StoredEpilogue } from './epilogue.ts';
import { described, operands, runMatmul } from './matmul.ts';

/** Pixels along y and x; padding as [top, left, bottom, right]. */
export interface ConvOptions {
  readonly stride?: readonly [y: number, x: number];
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation?: readonly [y: number, x: number];
  readonly groups?: number;
}

type Geometry = geometry.ConvGeometry;

function geometryOf(
  name: string,
  x: readonly number[],
  w: readonly number[],
  options: ConvOptions,
): Geometry {
  const { stride = [1, 1], padding = [0, 0, 0, 0], dilation = [1, 1], groups = 1 } = options;
  const where = `${name}: input ${show(x)}, weight ${show(w)}`;
  if (x.length !== 4 || w.length !== 4) throw new ShapeError(`${where}: both must have four axes`);
  const positive = [...stride, ...dilation, groups, w[2]!, w[3]!].every((n) => Number.isInteger(n) && n > 0);
  if (!positive || !padding.every(Number.isInteger)) {
    throw new ShapeError(
      `${where}: stride, dilation, groups and kernel must be whole numbers from 1, padding whole`,
    );
  }
  if (x[1] !== w[1]! * groups || w[0]! % groups !== 0) {
    throw new ShapeError(
      `${where}: ${x[1]} input channels in ${groups} groups do not fit weights for ${w[1]} each`,
    );
  }
  const [top, left, bottom, right] = padding;
  const out = (size: number, pads: number, axis: 0 | 1) =>
    Math.floor((size + pads - dilation[axis] * (w[2 + axis]! - 1) - 1) / stride[axis]) + 1;
  const output = [out(x[2]!, top + bottom, 0), out(x[3]!, left + right, 1)] as const;
  if (output.some((n) => n < 1)) throw new ShapeError(`${where}: the kernel is larger than the padded input`);
  return {
    batch: x[0]!,
    inChannels: x[1]!,
    input: [x[2]!, x[3]!],
    outChannels: w[0]!,
    output,
    kernel: [w[2]!, w[3]!],
    stride,
    padding,
    dilation,
    groups,
  };
}

const inputShape = (g: Geometry) => [g.batch, g.inChannels, ...g.input];
const weightShape = (g: Geometry) => [g.outChannels, g.inChannels / g.groups, ...g.kernel];
const outputShape = (g: Geometry) => [g.batch, g.outChannels, ...g.output];

/** One convolution, forward or adjoint, to be launched: storages of its input, weights and result. */
interface Call {
  readonly device: Device;
  readonly convolution: geometry.Convolution;
  readonly x: Storage;
  readonly w: Storage;
  readonly y: Storage;
  readonly epilogue: StoredEpilogue;
}

/** How each variant but the naive one, which needs the geometry before it was made a convolution, is launched. */
const variants: Readonly<Record<Exclude<ConvVariant, 'naive'>, (call: Call) => void>> = {
  pointwise({ device, convolution, x, w, y, epilogue }) {
    const { geometry: g, spread, adjoint } = convolution;
    // A stride goes before the product and its adjoint after it, so that the product is over the fewest pixels.
    const [m, k, n] = [g.outChannels, g.inChannels, sizeOf(adjoint ? g.input : g.output)];
    const a = adjoint ? { batch: 0, row: 1, column: m } : { batch: 0, row: k, column: 1 };
    const product = { batch: g.batch, m, n, k, a, b: { batch: k * n, row: n, column: 1 } };
    if ([...g.stride, ...spread].every((step) => step === 1)) runMatmul(device, product, w, x, y, epilogue);
    else if (adjoint) {
      const few = empty(device, [g.batch, m, n], 'f32', 'conv2d');
      runMatmul(device, product, w, x, few.storage);
      run(device, kernels.respacePixels(g.batch * m, convolution).launch, [few.storage], y);
      few.dispose();
    } else {
      const few = filled(device, kernels.respacePixels(g.batch * k, convolution), x, 'conv2d');
      runMatmul(device, product, w, few.storage, y, epilogue);
      few.dispose();
    }
  },
  depthwise({ device, convolution, x, w, y, epilogue }) {
    run(
      device,
      kernels.conv2dDepthwise(convolution, described(epilogue)),
      [x, w, ...operands(epilogue, w)],
      y,
    );
  },
  patches({ device, convolution, x, w, y, epilogue }) {
    const { geometry: g, adjoint } = convolution;
    const taps = g.kernel[0] * g.kernel[1];
    if (adjoint) {
      const [m, k, n] = [g.outChannels * taps, g.inChannels, g.input[0] * g.input[1]];
      const a = { batch: 0, row: 1, column: m };
      const products = empty(device, [g.batch, m, n], 'f32', 'conv2d');
      const b = { batch: k * n, row: n, column: 1 };
      runMatmul(device, { batch: g.batch, m, n, k, a, b }, w, x, products.storage);
      run(device, kernels.gatherPatches(convolution), [products.storage], y);
      products.dispose();
      return;
    }
    const [m, k, n] = [g.outChannels, g.inChannels * taps, g.output[0] * g.output[1]];
    const { columns, ...pixels } = kernels.patches(g);
    const patches = filled(device, pixels, x, 'conv2d');
    const a = { batch: 0, row: k, column: 1 };
    const b = { batch: k * columns, row: columns, column: 1 };
    runMatmul(device, { batch: g.batch, m, n, k, a, b }, w, patches.storage, y, epilogue);
    patches.dispose();
  },
  winograd({ device, convolution, x, w, y, epilogue }) {
    const { outChannels: m, inChannels: k } = convolution.geometry;
    const width = packedRows({ m });
    const { w: transformation, parts } = kernels.conv2dWinograd(convolution, width, described(epilogue));
    const factor = packedOnce(device, transformation, w, 'conv2d');
    for (const part of parts) {
      const n = part.columns;
      const pixels = filled(device, part.x, x, 'conv2d');
      const products = empty(device, [36, m, n], 'f32', 'conv2d');
      const packed = { aBatch: k * width, bRow: n, bBatch: k * n };
      const launch = matmulTiled({ batch: 36, m, n, k }, packed, described({}));
      const factors = [factor.storage, pixels.storage];
      run(device, launch, [...factors, ...operands({}, factor.storage)], products.storage);
      pixels.dispose();
      run(device, part.y, [products.storage, ...operands(epilogue, w)], y);
      products.dispose();
    }
    factor.dispose();
  },
  direct({ device, convolution, x, w, y, epilogue }) {
    const launches = kernels.conv2dDirect(convolution, described(epilogue));
    const packed = packedOnce(device, launches.w, w, 'conv2d');
    run(device, launches.y, [x, x, packed.storage, ...operands(epilogue, w)], y);
    packed.dispose();
  },
  rows({ device, convolution, x, w, y, epilogue }) {
    const launches = kernels.conv2dRows(convolution, described(epilogue));
    const padded = filled(device, launches.x, x, 'conv2d');
    const packed = packedOnce(device, launches.w, w, 'conv2d');
    run(device, launches.y, [padded.storage, packed.storage, ...operands(epilogue, w)], y);
    padded.dispose();
    packed.dispose();
  },
};

function runForward(g: Geometry, x: Tensor, w: Tensor, y: Tensor, epilogue: StoredEpilogue): void {
  const { device } = y;
  const convolution = geometry.forward(g);
  const variant = chooseConv(convolution, device.without);
  const storages = { x: x.storage, w: w.storage, y: y.storage };
  if (variant === 'naive') {
    const launch = kernels.conv2dNaive(g, described(epilogue));
    run(device, launch, [x.storage, w.storage, ...operands(epilogue, w.storage)], y.storage);
  } else variants[variant]({ device, convolution, ...storages, epilogue });
}

const forward: Operation<Geometry> = {
  name: 'conv2d',
  shape: (_, g) => outputShape(g),
  forward: ([x, w], y, g) => runForward(g, x!, w!, y, {}),
  vjp: (d, { inputs: [x, w], needs, attributes }) => [
    needs[0] ? apply(inputGradient, [d, w!], attributes) : undefined,
    needs[1] ? apply(weightGradient, [x!, d], attributes) : undefined,
  ],
  places: ([x], shape) => windowPlaces(x, shape),
  affine: separately,
  multiplyAdds: (_, shape, g) => (sizeOf(shape) / g.outChannels) * sizeOf(weightShape(g)),
};

const inputGradient: Operation<Geometry> = {
  name: 'conv2d input gradient',
  shape: (_, g) => inputShape(g),
  forward: ([dy, w], dx, g) => {
    const { device } = dx;
    const convolution = geometry.inputGradient(g);
    const variant = chooseConv(convolution, device.without);
    const storages = { x: dy!.storage, w: w!.storage, y: dx.storage };
    if (variant !== 'naive') return variants[variant]({ device, convolution, ...storages, epilogue: {} });
    run(device, kernels.conv2dInputGradientNaive(g), [dy!.storage, w!.storage], dx.storage);
  },
  vjp: (d, { inputs: [dy, w], needs, attributes }) => [
    needs[0] ? apply(forward, [d, w!], attributes) : undefined,
    needs[1] ? apply(weightGradient, [d, dy!], attributes) : undefined,
  ],
  places: ([dy], shape) => windowPlaces(dy, shape),
  affine: separately,
  multiplyAdds: ([dy], _, g) => (dy!.size / g.outChannels) * sizeOf(weightShape(g)),
};

const weightGradient: Operation<Geometry> = {
  name: 'conv2d weight gradient',
  shape: (_, g) => weightShape(g),
  forward: ([x, dy], dw, g) => {
    const { device } = dw;
    const variant = chooseWeightGradient(g, device.without);
    if (variant === 'naive') {
      return run(device, kernels.conv2dWeightGradientNaive(g), [x!.storage, dy!.storage], dw.storage);
    }
    if (variant === 'patches') return weightGradientOfPatches(g, x!, dy!, dw);
    const padded = filled(device, kernels.padForWeightGradient(g), x!.storage, 'conv2d');
    const packed = filled(device, kernels.packPixels(g), dy!.storage, 'conv2d');
    const { launch, elements, parts } = kernels.conv2dWeightGradient(g);
    if (parts === 1) run(device, launch, [padded.storage, packed.storage], dw.storage);
    else {
      const partial = empty(device, [elements], 'f32', 'conv2d weight gradient');
      run(device, launch, [padded.storage, packed.storage], partial.storage);
      run(device, sumKernel(1, parts, dw.size, 1, 1), [partial.storage], dw.storage);
      partial.dispose();
    }
    padded.dispose();
    packed.dispose();
  },
  vjp: (d, { inputs: [x, dy], needs, attributes }) => [
    needs[0] ? apply(inputGradient, [dy!, d], attributes) : undefined,
    needs[1] ? apply(forward, [x!, d], attributes) : undefined,
  ],
};

/** A product of dy and the input's patches for each image, and their sum. */
function weightGradientOfPatches(g: Geometry, x: Tensor, dy: Tensor, dw: Tensor): void {
  const { device } = dw;
  const [m, n, k] = [g.outChannels, dw.size / g.outChannels, g.output[0] * g.output[1]];
  const { columns, ...pixels } = kernels.patches(g);
  const patches = filled(device, pixels, x.storage, 'conv2d weight gradient');
  const a = { batch: m * k, row: k, column: 1 };
  const b = { batch: n * columns, row: 1, column: columns };
  const products = empty(device, [g.batch, m, n], 'f32', 'conv2d weight gradient');
  runMatmul(device, { batch: g.batch, m, n, k, a, b }, dy.storage, patches.storage, products.storage);
  patches.dispose();
  run(device, sumKernel(1, g.batch, dw.size, 1, 1), [products.storage], dw.storage);
  products.dispose();
}

const convolved = followed(forward, 1, ([x, w], y, g, epilogue) => runForward(g, x!, w!, y, epilogue));

/**
 * x [N, C, H, W], w [O, C/groups, KH, KW] -> [N, O, OH, OW]; cross-correlation, as networks define it. What follows it
 * costs no launch of its own, as long as a summand has the result's shape.
 */
export const conv2d = (x: Tensor, w: Tensor, options: ConvOptions = {}, after: Following = {}): Tensor =>
  convolved(x, w, geometryOf('conv2d', x.shape, w.shape, options), after);

/**
 * Transposed convolution, the adjoint of `conv2d` in its input: dy [N, O, OH, OW], w [O, C/groups, KH, KW] ->
 * [N, C, H, W] for the input size [H, W] whose convolution has the size of dy.
 */
export function convTranspose2d(
  dy: Tensor,
  w: Tensor,
  size: readonly [height: number, width: number],
  options: ConvOptions = {},
): Tensor {
  const x = [dy.shape[0]!, w.shape[1]! * (options.groups ?? 1), ...size];
  const g = geometryOf('convTranspose2d', x, w.shape, options);
  if (g.output.some((n, i) => n !== dy.shape[2 + i]) || g.outChannels !== dy.shape[1]) {
    throw new ShapeError(
      `convTranspose2d: a convolution of ${show(x)} gives ${show(outputShape(g))}, not ${show(dy.shape)}`,
    );
  }
  return apply(inputGradient, [dy, w], g);
}
