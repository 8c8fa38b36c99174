// Launches of the pooling kernels.

import { type Constants, type Launch, launch, type Params } from '../kernel.ts';

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
  return launch('maxPool', count, params, maxPoolConstants(g));
}

/** Constants of max-pool.wgsl. */
export const maxPoolConstants = ({ kernel, stride }: Pick<PoolGeometry, 'kernel' | 'stride'>): Constants => ({
  KERNEL_Y: kernel[0],
  KERNEL_X: kernel[1],
  STRIDE_X: stride[1],
  COLUMNS: 3 * stride[1] + kernel[1],
});

/** Index of each window's maximum: [planes, H, W] -> u32 [planes, OH, OW]. */
export function maxPoolIndices(g: PoolGeometry): Launch {
  const count = outputCount(g);
  const [dilationY, dilationX] = g.dilation;
  return launch('maxPoolIndices', count, { count, ...sizes(g), ...window(g), dilationY, dilationX });
}

/** Adjoint of choosing by the indices of a max pooling: [planes, OH, OW] -> [planes, H, W]. */
export function planeScatter(g: PoolGeometry): Launch {
  const count = inputCount(g);
  const [strideY, strideX] = g.stride;
  const [reachY, reachX] = [0, 1].map((i) => (g.kernel[i]! - 1) * g.dilation[i]! + 1) as [number, number];
  return launch('planeScatter', count, { count, ...sizes(g), reachY, reachX, strideY, strideX });
}

/** Average pooling, or its adjoint. */
export function avgPool(g: PoolGeometry, adjoint: boolean): Launch {
  const count = adjoint ? inputCount(g) : outputCount(g);
  const [, , bottom, right] = g.padding;
  const countPadding = Number(g.countIncludePad);
  const params = { count, ...sizes(g), ...window(g), bottom, right, countPadding };
  return launch('avgPool', count, params, { ADJOINT: Number(adjoint) });
}
