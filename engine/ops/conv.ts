// Convolution, its input gradient (transposed convolution) and its weight gradient: one trilinear form in x, w and dy,
// so each one's vjp is the other two, and derivatives of every order are closed.

import * as kernels from '../../kernels/conv/conv.ts';
import { sum as sumKernel } from '../../kernels/reduce/reduce.ts';
import { type Device, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import type { Storage } from '../memory.ts';
import { apply, type Operation } from '../operation.ts';
import { empty, show, type Tensor } from '../tensor.ts';
import { add } from './elementwise.ts';
import { reshape } from './layout.ts';
import { runMatmul } from './matmul.ts';

/** Pixels along y and x; padding as [top, left, bottom, right]. */
export interface ConvOptions {
  readonly stride?: readonly [y: number, x: number];
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation?: readonly [y: number, x: number];
  readonly groups?: number;
}

type Geometry = kernels.ConvGeometry;

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

/** A buffer filled by one launch, for the next one to read. */
function prepare(device: Device, { launch, elements }: kernels.SizedLaunch, input: Storage): Tensor {
  const made = empty(device, [elements], 'f32', 'conv2d');
  run(device, launch, [input], made.storage);
  return made;
}

/** Pads, packs and convolves with the tiled kernels. */
function runTiled(
  device: Device,
  g: Geometry,
  spread: readonly [number, number],
  packing: kernels.SizedLaunch,
  x: Storage,
  w: Storage,
  y: Storage,
): void {
  const padded = prepare(device, kernels.padRows(g, spread), x);
  const packed = prepare(device, packing, w);
  run(device, kernels.conv2dTiled(g), [padded.storage, packed.storage], y);
  padded.dispose();
  packed.dispose();
}

const forward: Operation<Geometry> = {
  name: 'conv2d',
  shape: (_, g) => outputShape(g),
  forward: ([x, w], y, g) => {
    const { device } = y;
    if (kernels.isPointwise(g)) {
      const pixels = g.input[0] * g.input[1];
      const a = { batch: 0, row: g.inChannels, column: 1 };
      const b = { batch: g.inChannels * pixels, row: pixels, column: 1 };
      const product = { batch: g.batch, m: g.outChannels, n: pixels, k: g.inChannels, a, b };
      return runMatmul(device, product, w!.storage, x!.storage, y.storage);
    }
    if (!kernels.isTileable(g))
      return run(device, kernels.conv2dNaive(g), [x!.storage, w!.storage], y.storage);
    const packing = kernels.packWeights(g.outChannels, g.inChannels, g.kernel[0] * g.kernel[1], false);
    runTiled(device, g, [1, 1], packing, x!.storage, w!.storage, y.storage);
  },
  vjp: (d, { inputs: [x, w], needs, attributes }) => [
    needs[0] ? apply(inputGradient, [d, w!], attributes) : undefined,
    needs[1] ? apply(weightGradient, [x!, d], attributes) : undefined,
  ],
};

const inputGradient: Operation<Geometry> = {
  name: 'conv2d input gradient',
  shape: (_, g) => inputShape(g),
  forward: ([dy, w], dx, g) => {
    const { device } = dx;
    if (kernels.isPointwise(g)) {
      const pixels = g.input[0] * g.input[1];
      const a = { batch: 0, row: 1, column: g.inChannels };
      const b = { batch: g.outChannels * pixels, row: pixels, column: 1 };
      const product = { batch: g.batch, m: g.inChannels, n: pixels, k: g.outChannels, a, b };
      return runMatmul(device, product, w!.storage, dy!.storage, dx.storage);
    }
    if (!kernels.isTileable(g)) {
      return run(device, kernels.conv2dInputGradientNaive(g), [dy!.storage, w!.storage], dx.storage);
    }
    const { geometry, spread } = kernels.adjointGeometry(g);
    const packing = kernels.packWeights(g.outChannels, g.inChannels, g.kernel[0] * g.kernel[1], true);
    runTiled(device, geometry, spread, packing, dy!.storage, w!.storage, dx.storage);
  },
  vjp: (d, { inputs: [dy, w], needs, attributes }) => [
    needs[0] ? apply(forward, [d, w!], attributes) : undefined,
    needs[1] ? apply(weightGradient, [d, dy!], attributes) : undefined,
  ],
};

const weightGradient: Operation<Geometry> = {
  name: 'conv2d weight gradient',
  shape: (_, g) => weightShape(g),
  forward: ([x, dy], dw, g) => {
    const { device } = dw;
    if (!kernels.isTileable(g)) {
      return run(device, kernels.conv2dWeightGradientNaive(g), [x!.storage, dy!.storage], dw.storage);
    }
    const padded = prepare(device, kernels.padRows(g), x!.storage);
    const packed = prepare(device, kernels.packPixels(g), dy!.storage);
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

/** x [N, C, H, W], w [O, C/groups, KH, KW], bias [O] -> [N, O, OH, OW]; cross-correlation, as networks define it. */
export function conv2d(x: Tensor, w: Tensor, options: ConvOptions = {}, bias?: Tensor): Tensor {
  const g = geometryOf('conv2d', x.shape, w.shape, options);
  const y = apply(forward, [x, w], g);
  return bias === undefined ? y : addBias(y, bias);
}

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

/** y [N, O, H, W] plus bias [O]. */
export function addBias(y: Tensor, bias: Tensor): Tensor {
  if (bias.shape.length !== 1 || bias.shape[0] !== y.shape[1]) {
    throw new ShapeError(`bias: ${show(bias.shape)} for ${y.shape[1]} channels of ${show(y.shape)}`);
  }
  return add(y, reshape(bias, [1, -1, ...y.shape.slice(2).map(() => 1)]));
}
