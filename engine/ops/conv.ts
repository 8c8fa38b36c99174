// Convolution, its input gradient (transposed convolution) and its weight gradient: one trilinear form in x, w and dy,
// so each one's vjp is the other two, and derivatives of every order are closed.

import * as geometry from '../../kernels/conv/geometry.ts';
import { chooseConv, chooseWeightGradient } from '../../kernels/conv/variants.ts';
import { ShapeError } from '../errors.ts';
import { separately } from '../facts.ts';
import { apply, type Operation } from '../operation.ts';
import { windowPlaces } from '../places.ts';
import { planned, runPlan } from '../plan.ts';
import { show, sizeOf, type Tensor } from '../tensor.ts';
import { described, type Following, followed, NO_ADDENDS, type StoredEpilogue } from './epilogue.ts';

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

/** Computes a convolution, or the adjoint of one in its input, of x and w into y. */
function runConv(
  convolution: geometry.Convolution,
  [x, w]: readonly Tensor[],
  y: Tensor,
  epilogue: StoredEpilogue = NO_ADDENDS,
): void {
  const { profile } = y.device;
  const after = described(epilogue, 'rows');
  const plan = planned(profile, ['conv2d', convolution, after], () =>
    chooseConv(convolution, profile).plan(convolution, after, profile),
  );
  runPlan(y.device, plan, { x: x!.storage, w: w!.storage, y: y.storage, ...epilogue.addends }, 'conv2d');
}

const forward: Operation<Geometry> = {
  name: 'conv2d',
  shape: (_, g) => outputShape(g),
  forward: (inputs, y, g) => runConv(geometry.forward(g), inputs, y),
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
  forward: (inputs, dx, g) => runConv(geometry.inputGradient(g), inputs, dx),
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
    const { profile } = dw.device;
    const plan = planned(profile, ['weight gradient', g], () =>
      chooseWeightGradient(g, profile).plan(g, profile),
    );
    const buffers = { x: x!.storage, dy: dy!.storage, y: dw.storage };
    runPlan(dw.device, plan, buffers, 'conv2d weight gradient');
  },
  vjp: (d, { inputs: [x, dy], needs, attributes }) => [
    needs[0] ? apply(inputGradient, [dy!, d], attributes) : undefined,
    needs[1] ? apply(forward, [x!, d], attributes) : undefined,
  ],
};

const convolved = followed(forward, 1, (inputs, y, g, epilogue) =>
  runConv(geometry.forward(g), inputs, y, epilogue),
);

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
