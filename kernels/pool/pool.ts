// Launches of the pooling kernels.

import { type Constants, type Launch, launch, loop, type Params } from '../kernel.ts';
import { type PartsLaunch, windowParts } from '../parts.ts';

/** A pooling over planes of height x width; padding as [top, left, bottom, right]. All in pixels. */
export interface PoolGeometry {
  readonly planes: number;
  readonly input: readonly [height: number, width: number];
  readonly output: readonly [height: number, width: number];
  readonly kernel: readonly [y: number, x: number];
  readonly stride: readonly [y: number, x: number];
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [y: number, x: number];
  readonly countIncludePad: boolean;
}

/** Fields of the kernels' uniforms that are the geometry's. */
const sizes = ({ input, output, padding }: PoolGeometry): Params => ({
  height: input[0],
  width: input[1],
  outHeight: output[0],
  outWidth: output[1],
  top: padding[0],
  left: padding[1],
});
const window = ({ kernel, stride }: PoolGeometry): Params => ({
  kernelY: kernel[0],
  kernelX: kernel[1],
  strideY: stride[0],
  strideX: stride[1],
});

const inputCount = (g: PoolGeometry) => g.planes * g.input[0] * g.input[1];
const outputCount = (g: PoolGeometry) => g.planes * g.output[0] * g.output[1];

/** The largest windows that are written out in full; others take their maximum by index. */
const LARGEST_WINDOW = 25;

/** Whether `maxPool` computes it. */
export const isPlainMaxPool = ({ kernel, stride, dilation }: PoolGeometry): boolean =>
  kernel[0] * kernel[1] <= LARGEST_WINDOW && stride[1] <= 4 && dilation.every((n) => n === 1);

/** Each window's maximum: [planes, H, W] -> [planes, OH, OW]. */
export function maxPool(g: PoolGeometry): Launch {
  const quarters = Math.ceil(g.output[1] / 4);
  const count = g.planes * g.output[0] * quarters;
  const params = { count, ...sizes(g), strideY: g.stride[0], quarters };
  return launch('maxPool', count, params, maxPoolConstants(g), loop(g.kernel[0]));
}

/** Constants of max-pool.wgsl. */
export const maxPoolConstants = ({ kernel, stride }: Pick<PoolGeometry, 'kernel' | 'stride'>): Constants => ({
  KERNEL_Y: kernel[0],
  KERNEL_X: kernel[1],
  STRIDE_X: stride[1],
  COLUMNS: 3 * stride[1] + kernel[1],
});

/** The launch of one part of a window's terms for each of `elements` results. */
function inWindows(
  kernel: string,
  elements: number,
  [rows, columns]: readonly [number, number],
  params: Params,
  constants: Constants = {},
): PartsLaunch {
  const { parts, iterations, ...cut } = windowParts(rows, columns);
  const count = parts * elements;
  const whole = { count, results: elements, ...cut, ...params };
  return { launch: launch(kernel, count, whole, constants, iterations), parts, elements };
}

/** Pixels from the first to the last of a window, both included. */
const reach = ({ kernel, dilation }: PoolGeometry) =>
  [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1] as const;

/** Windows that may cover a pixel. */
const covering = (g: PoolGeometry) =>
  [
    Math.min(Math.ceil(reach(g)[0] / g.stride[0]), g.output[0]),
    Math.min(Math.ceil(reach(g)[1] / g.stride[1]), g.output[1]),
  ] as const;

/** Index of each window's maximum: [planes, H, W] -> u32 [planes, OH, OW]; parts are for `best` of reduce.ts. */
export function maxPoolIndices(g: PoolGeometry): PartsLaunch {
  const [dilationY, dilationX] = g.dilation;
  const params = { ...sizes(g), ...window(g), dilationY, dilationX };
  return inWindows('maxPoolIndices', outputCount(g), g.kernel, params);
}

/** Adjoint of choosing by the indices of a max pooling: [planes, OH, OW] -> [planes, H, W]; its parts add up. */
export function planeScatter(g: PoolGeometry): PartsLaunch {
  const [strideY, strideX] = g.stride;
  const [reachY, reachX] = reach(g);
  const params = { ...sizes(g), reachY, reachX, strideY, strideX };
  return inWindows('planeScatter', inputCount(g), covering(g), params);
}

/** Average pooling, or its adjoint; its parts add up. */
export function avgPool(g: PoolGeometry, adjoint: boolean): PartsLaunch {
  const [, , bottom, right] = g.padding;
  const countPadding = Number(g.countIncludePad);
  const params = { ...sizes(g), ...window(g), bottom, right, countPadding };
  const [elements, terms] = adjoint ? [inputCount(g), covering(g)] : [outputCount(g), g.kernel];
  return inWindows('avgPool', elements, terms, params, { ADJOINT: Number(adjoint) });
}
