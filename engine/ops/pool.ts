// Pooling over windows and over whole planes. A maximum is an index and a gather; gather and scatter, average and its
// adjoint, are each other's vjp.

import { selectAlong } from '../../kernels/layout/layout.ts';
import * as kernels from '../../kernels/pool/pool.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { inFirst, jointly } from '../facts.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { runChoices, runParts } from '../parts.ts';
import { windowPlaces } from '../places.ts';
import { type Shape, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { max, mean } from './reduce.ts';

/** Pixels along y and x; padding as [top, left, bottom, right]; the stride is the kernel when left out. */
export interface PoolOptions {
  readonly kernel: readonly [y: number, x: number];
  readonly stride?: readonly [y: number, x: number];
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
  /** Spread of a max pooling's window. */
  readonly dilation?: readonly [y: number, x: number];
  /** Round the output size up: a last window may hang over the padded input, if it starts inside it. */
  readonly ceilMode?: boolean;
  /** Whether an average counts padding in its divisor; default true, as in PyTorch. */
  readonly countIncludePad?: boolean;
}

type Geometry = kernels.PoolGeometry;

function geometryOf(name: string, x: Tensor, options: PoolOptions): Geometry {
  const {
    kernel,
    padding = [0, 0, 0, 0],
    dilation = [1, 1],
    ceilMode = false,
    countIncludePad = true,
  } = options;
  const stride = options.stride ?? kernel;
  const where = `${name}: input ${show(x.shape)}, kernel ${show(kernel)}`;
  if (x.shape.length !== 4) throw new ShapeError(`${where}: the input must have four axes`);
  if (![...kernel, ...stride, ...dilation].every((n) => Number.isInteger(n) && n > 0)) {
    throw new ShapeError(`${where}: kernel, stride and dilation must be whole numbers from 1`);
  }
  if (!padding.every(Number.isInteger)) {
    throw new ShapeError(`${where}: padding ${show(padding)} must be whole numbers`);
  }
  if (x.shape[2] === 0 || x.shape[3] === 0) throw new ShapeError(`${where}: there are no pixels`);
  const output = [0, 1].map((axis) => {
    const size = x.shape[2 + axis]!;
    const [before, after] = [padding[axis]!, padding[2 + axis]!];
    const reach = dilation[axis]! * (kernel[axis]! - 1) + 1;
    if (before >= reach || after >= reach || before < 0 || after < 0) {
      throw new ShapeError(`${where}: padding ${show(padding)} must be smaller than the window`);
    }
    const steps = (size + before + after - reach) / stride[axis]!;
    const count = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // PyTorch's rule: a window must start inside the input or its left padding.
    return ceilMode && (count - 1) * stride[axis]! >= size + before ? count - 1 : count;
  });
  if (output.some((n) => n < 1)) throw new ShapeError(`${where}: the window is larger than the padded input`);
  return {
    planes: x.shape[0]! * x.shape[1]!,
    input: [x.shape[2]!, x.shape[3]!],
    output: [output[0]!, output[1]!],
    kernel,
    stride,
    padding,
    dilation,
    countIncludePad,
  };
}

/** Dilation spreads a window, so that all its elements may lie in the padding on either side. */
function refuseEmptyWindows(
  { input, output, kernel, stride, padding, dilation }: Geometry,
  shape: Shape,
): void {
  for (const axis of [0, 1] as const) {
    for (let o = 0; o < output[axis]; o++) {
      const start = o * stride[axis] - padding[axis];
      const skipped = Math.ceil(Math.max(0, -start) / dilation[axis]);
      if (skipped < kernel[axis] && start + skipped * dilation[axis] < input[axis]) continue;
      throw new ShapeError(
        `maxPool2d: input ${show(shape)}, kernel ${show(kernel)}: window ${o} along ${axis === 0 ? 'y' : 'x'} has no ` +
          `pixel, with padding ${show(padding)} and dilation ${show(dilation)}; use less of them`,
      );
    }
  }
}

const maxPoolingIndices: Operation<Geometry> = {
  name: 'max pooling',
  below: (_, g) => sizeOf(g.input),
  shape: ([x], g) => [x!.shape[0]!, x!.shape[1]!, ...g.output],
  forward: ([x], y, g) => {
    const choice = { outer: g.planes, n: sizeOf(g.input), inner: 1, m: sizeOf(g.output), smallest: false };
    runChoices(y.device, kernels.maxPoolIndices(g), choice, x!.storage, y.storage);
  },
};

const maxPoolingByIndices: Operation<Geometry> = {
  name: 'max pooling',
  indices: { input: 1, of: (_, g) => sizeOf(g.input) },
  shape: ([, indices]) => indices!.shape,
  forward: ([x, indices], y, { planes, input, output }) => {
    const launch = selectAlong(planes, sizeOf(input), 1, sizeOf(output));
    run(y.device, launch, [x!.storage, indices!.storage], y.storage);
  },
  vjp: (d, { inputs: [, indices], attributes }) => [apply(maxPoolingAdjoint, [d, indices!], attributes)],
  places: ([x], shape) => windowPlaces(x, shape),
  affine: inFirst,
};

const maxPoolingAdjoint: Operation<Geometry> = {
  name: 'max pooling adjoint',
  indices: { input: 1, of: (_, g) => sizeOf(g.input) },
  shape: ([d], g) => [d!.shape[0]!, d!.shape[1]!, ...g.input],
  forward: ([d, indices], y, g) =>
    runParts(y.device, kernels.planeScatter(g), [d!.storage, indices!.storage], y.storage),
  vjp: (d, { inputs: [, indices], attributes }) => [apply(maxPoolingByIndices, [d, indices!], attributes)],
};

/** The maximum alone, without the indices that its derivative needs. */
const maxPooling: Operation<Geometry> = {
  name: 'max pooling',
  shape: ([x], g) => [x!.shape[0]!, x!.shape[1]!, ...g.output],
  forward: ([x], y, g) => run(y.device, kernels.maxPool(g), [x!.storage], y.storage),
  places: ([x], shape) => windowPlaces(x, shape),
  piecewise: jointly,
};

/**
 * Largest element of each window, x [N, C, H, W] -> [N, C, OH, OW], NaN where it has one; of equals the first takes the derivative. Padding never wins, so
 * a window must have a pixel: where dilation leaves one none (frameworks give minus infinity or the lowest number for it,
 * and the derivative has nowhere to go) it is a ShapeError, as a maximum over an empty axis is.
 */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor => maxPoolSelect(x, x, options);

/** The elements of `values`, of x's shape, that stand where the largest element of each window of x does. */
export function maxPoolSelect(x: Tensor, values: Tensor, options: PoolOptions): Tensor {
  const g = geometryOf('maxPool2d', x, options);
  refuseEmptyWindows(g, x.shape);
  if (!sameShape(x.shape, values.shape)) {
    throw new ShapeError(`maxPoolSelect: values ${show(values.shape)} for windows of ${show(x.shape)}`);
  }
  if (values === x && !isRecorded([x]) && kernels.isPlainMaxPool(g)) return apply(maxPooling, [x], g);
  return apply(maxPoolingByIndices, [values, apply(maxPoolingIndices, [x], g)], g);
}

const averagePooling: Operation<Geometry> = {
  name: 'average pooling',
  shape: ([x], g) => [x!.shape[0]!, x!.shape[1]!, ...g.output],
  forward: ([x], y, g) => runParts(y.device, kernels.avgPool(g, false), [x!.storage], y.storage),
  vjp: (d, { attributes }) => [apply(averagePoolingAdjoint, [d], attributes)],
  places: ([x], shape) => windowPlaces(x, shape),
  affine: jointly,
};

const averagePoolingAdjoint: Operation<Geometry> = {
  name: 'average pooling adjoint',
  shape: ([d], g) => [d!.shape[0]!, d!.shape[1]!, ...g.input],
  forward: ([d], y, g) => runParts(y.device, kernels.avgPool(g, true), [d!.storage], y.storage),
  vjp: (d, { attributes }) => [apply(averagePooling, [d], attributes)],
};

/** Mean of each window: x [N, C, H, W] -> [N, C, OH, OW]. A window may not be dilated. */
export function avgPool2d(x: Tensor, options: PoolOptions): Tensor {
  if (options.dilation?.some((n) => n !== 1)) {
    throw new ShapeError(`avgPool2d: a dilation of ${show(options.dilation)}; only max pooling has one`);
  }
  return apply(averagePooling, [x], geometryOf('avgPool2d', x, options));
}

/** Mean over each plane: [N, C, H, W] -> [N, C]. */
export const globalAvgPool = (x: Tensor): Tensor => mean(x, [2, 3]);

/** Maximum over each plane: [N, C, H, W] -> [N, C]. */
export const globalMaxPool = (x: Tensor): Tensor => max(x, [2, 3]);
