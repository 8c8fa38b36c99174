// Launches of the convolution kernels, and which of them a geometry allows.

import { type Constants, type Launch, launch, signed } from '../kernel.ts';

/** A convolution; padding as [top, left, bottom, right], sizes in pixels. */
export interface ConvGeometry {
  readonly batch: number;
  readonly inChannels: number;
  readonly input: readonly [height: number, width: number];
  readonly outChannels: number;
  readonly output: readonly [height: number, width: number];
  readonly kernel: readonly [y: number, x: number];
  readonly stride: readonly [y: number, x: number];
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [y: number, x: number];
  readonly groups: number;
}

/** A launch together with the size, in elements, of the buffer it fills. */
export interface SizedLaunch {
  readonly launch: Launch;
  readonly elements: number;
}

const ceil4 = (n: number) => Math.ceil(n / 4);

function naive(kernel: string, count: number, g: ConvGeometry): Launch {
  const words = [g.batch, g.inChannels, ...g.input, g.outChannels, ...g.output, ...g.kernel, ...g.stride];
  return launch(kernel, count, [
    count,
    ...[...words, g.padding[0], g.padding[1], ...g.dilation, g.groups].map(signed),
  ]);
}

const outputCount = (g: ConvGeometry) => g.batch * g.outChannels * g.output[0] * g.output[1];
const inputCount = (g: ConvGeometry) => g.batch * g.inChannels * g.input[0] * g.input[1];
const weightCount = (g: ConvGeometry) =>
  (g.outChannels * g.inChannels * g.kernel[0] * g.kernel[1]) / g.groups;

/** (x, w) -> y by the definition. */
export const conv2dNaive = (g: ConvGeometry) => naive('conv2dNaive', outputCount(g), g);
/** (dy, w) -> dx by the definition. */
export const conv2dInputGradientNaive = (g: ConvGeometry) =>
  naive('conv2dInputGradientNaive', inputCount(g), g);
/** (x, dy) -> dw by the definition. */
export const conv2dWeightGradientNaive = (g: ConvGeometry) =>
  naive('conv2dWeightGradientNaive', weightCount(g), g);

/** A larger kernel is left to the naive variant: its written-out row would not compile in reasonable time. */
const WIDEST_KERNEL = 11;

/** Whether the register-tiled variants apply. */
export function isTileable(g: ConvGeometry): boolean {
  return (
    g.groups === 1 &&
    g.dilation[0] === 1 &&
    g.dilation[1] === 1 &&
    g.kernel[1] <= WIDEST_KERNEL &&
    g.stride[1] <= 4
  );
}

/** Whether the convolution is a matrix product over pixels. */
export function isPointwise(g: ConvGeometry): boolean {
  return isTileable(g) && [...g.kernel, ...g.stride].every((n) => n === 1) && g.padding.every((n) => n === 0);
}

/**
 * The adjoint in the input as a convolution of stride 1: dy with zeros between its pixels, kernel turned, channels
 * exchanged. `spread` is the forward stride, to be given to `padRows`.
 */
export function adjointGeometry(g: ConvGeometry): {
  geometry: ConvGeometry;
  spread: readonly [number, number];
} {
  const [top, left] = g.padding;
  const before = [g.kernel[0] - 1 - top, g.kernel[1] - 1 - left] as const;
  return {
    geometry: {
      ...g,
      inChannels: g.outChannels,
      outChannels: g.inChannels,
      input: g.output,
      output: g.input,
      stride: [1, 1],
      padding: [before[0], before[1], 0, 0],
    },
    spread: g.stride,
  };
}

/** Rows and vec4 columns of the padded copy that the tiled kernels read, whole tiles included. */
function paddedSize(g: ConvGeometry): { height: number; rowVectors: number; segment: number } {
  const segment = ceil4(3 * g.stride[1] + g.kernel[1]);
  return {
    height: (ceil4(g.output[0]) * 4 - 1) * g.stride[0] + g.kernel[0],
    rowVectors: (ceil4(g.output[1]) - 1) * g.stride[1] + segment,
    segment,
  };
}

/** x -> padded copy for the tiled kernels; `spread` zeros are put between pixels (1: none). */
export function padRows(g: ConvGeometry, spread: readonly [number, number] = [1, 1]): SizedLaunch {
  const { height, rowVectors } = paddedSize(g);
  const count = g.batch * g.inChannels * height * rowVectors;
  const words = [...g.input, height, rowVectors, g.padding[0], g.padding[1], ...spread];
  return { launch: launch('padRows', count, [count, ...words.map(signed)]), elements: 4 * count };
}

/** w [O, C, KH, KW] -> packed for `conv2dTiled`; with `adjoint`, for the adjoint geometry. */
export function packWeights(
  outChannels: number,
  inChannels: number,
  taps: number,
  adjoint: boolean,
): SizedLaunch {
  const vectors = ceil4(adjoint ? inChannels : outChannels);
  const count = (adjoint ? outChannels : inChannels) * taps * vectors;
  return {
    launch: launch('packWeights', count, [count, outChannels, inChannels, taps, vectors], {
      ADJOINT: Number(adjoint),
    }),
    elements: 4 * count,
  };
}

/** (padded x, packed w) -> y, 4 channels x 4 x 4 pixels a thread. */
export function conv2dTiled(g: ConvGeometry): Launch {
  const { height, rowVectors, segment } = paddedSize(g);
  const [tilesY, tilesX] = [ceil4(g.output[0]), ceil4(g.output[1])];
  const tiles = g.batch * tilesY * tilesX;
  const channelVectors = ceil4(g.outChannels);
  const params = [
    tilesX,
    tilesY,
    tiles,
    channelVectors,
    g.inChannels,
    height,
    rowVectors,
    g.outChannels,
    ...g.output,
  ];
  const [kernelY, kernelX] = g.kernel;
  const shared: Constants = {
    KERNEL_X: kernelX,
    STRIDE_Y: g.stride[0],
    STRIDE_X: g.stride[1],
    ROW_VECTORS: segment,
    ROW_ELEMENTS: 4 * segment,
  };
  // Written out entirely a kernel of up to nine taps still compiles in a fraction of a second.
  return kernelY * kernelX <= 9 && g.stride[0] <= 2
    ? launch('conv2dDirect', tiles * channelVectors, params, {
        ...shared,
        KERNEL_Y: kernelY,
        TAPS: kernelY * kernelX,
        ROWS: 3 * g.stride[0] + kernelY,
      })
    : launch('conv2dRows', tiles * channelVectors, [...params, kernelY], shared);
}

/** dy -> channels innermost, for `conv2dWeightGradient`. */
export function packPixels(g: ConvGeometry): SizedLaunch {
  const columns = 4 * ceil4(g.output[1]);
  const channelVectors = ceil4(g.outChannels);
  const count = g.batch * g.output[0] * columns * channelVectors;
  return {
    launch: launch('packPixels', count, [count, g.outChannels, ...g.output, columns, channelVectors]),
    elements: 4 * count,
  };
}

/** Threads below which the rows of a weight gradient are split among more. */
const ENOUGH_THREADS = 2048;

/** (padded x, packed dy) -> [parts, O, C, KH, KW], to be added up over the parts. */
export function conv2dWeightGradient(g: ConvGeometry): SizedLaunch & { readonly parts: number } {
  const { height, rowVectors, segment } = paddedSize(g);
  const [kernelY, kernelX] = g.kernel;
  const tapRows = kernelY <= 3 && kernelX <= 3 ? kernelY : 1;
  const channelVectors = ceil4(g.outChannels);
  const rows = g.batch * g.output[0];
  const threads = (kernelY / tapRows) * g.inChannels * Math.ceil(channelVectors / 2);
  const wanted = Math.max(1, Math.min(Math.ceil(ENOUGH_THREADS / threads), rows));
  const chunk = Math.max(1, Math.ceil(rows / wanted));
  const parts = Math.max(1, Math.ceil(rows / chunk)); // one part of no rows for an empty batch
  const params = [
    g.outChannels,
    g.inChannels,
    g.output[0],
    ceil4(g.output[1]),
    channelVectors,
    height,
    rowVectors,
  ];
  return {
    launch: launch(
      'conv2dWeightGradient',
      threads * parts,
      [threads * parts, ...params, kernelY, rows, chunk],
      {
        TAP_ROWS: tapRows,
        KERNEL_X: kernelX,
        STRIDE_Y: g.stride[0],
        STRIDE_X: g.stride[1],
        SUMS: tapRows * kernelX,
        ROW_VECTORS: segment,
        ROW_ELEMENTS: 4 * segment,
      },
    ),
    elements: parts * weightCount(g),
    parts,
  };
}
