// Launches of the convolution kernels.

import {
  type Constants,
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  type Launch,
  launch,
  launchTiles,
  loop,
  NO_EPILOGUE,
  type Params,
  type SizedLaunch,
} from '../kernel.ts';
import { strided } from '../layout/layout.ts';
import { type SharedFactors, sharedProduct } from '../matmul/matmul.ts';
import { type Parts, type PartsLaunch, shortParts } from '../parts.ts';
import { figuresOf, type Profile } from '../profile.ts';
import {
  type ConvGeometry,
  type Convolution,
  ceil4,
  inputCount,
  outputCount,
  patchColumns,
  reachX,
  taps,
  tilesOf,
  type Window,
  weightCount,
  winogradBytes,
} from './geometry.ts';

/** Fields of the kernels' uniforms that are the geometry's. */
const inSize = ({ input: [height, width] }: ConvGeometry) => ({ height, width });
const outSize = ({ output: [outHeight, outWidth] }: ConvGeometry) => ({ outHeight, outWidth });
const corner = ({ padding: [top, left] }: ConvGeometry) => ({ top, left });
const kernelSize = ({ kernel: [kernelY, kernelX] }: ConvGeometry) => ({ kernelY, kernelX });
const steps = ([strideY, strideX]: readonly [number, number]) => ({ strideY, strideX });

/** By the definition, in parts of some channels or rows; what a part takes is `iterations` of its `chunk`. */
function naive(
  kernel: string,
  elements: number,
  g: ConvGeometry,
  { parts, chunk }: Parts,
  iterations: number,
  constants: Constants = {},
  further: Params = {},
): PartsLaunch {
  const { batch, inChannels, outChannels, groups } = g;
  const [dilationY, dilationX] = g.dilation;
  const window = { ...kernelSize(g), ...steps(g.stride), ...corner(g), dilationY, dilationX };
  const channels = { inChannels, outChannels, groups };
  const count = parts * elements;
  const split = { count, results: elements, chunk };
  const params = { ...split, batch, ...channels, ...inSize(g), ...outSize(g), ...window, ...further };
  return { launch: launch(kernel, count, params, constants, iterations), parts, elements };
}

/** Iterations of a part of a convolution by the definition; one tap, or one row, is not cut. */
const LONGEST = 32_768;

/** Iterations over a kernel's taps and, for each, some channels. */
const overTaps = ({ kernel }: ConvGeometry, channels: number) =>
  loop(kernel[0], loop(kernel[1], loop(channels)));
const channelParts = (g: ConvGeometry, channels: number) =>
  shortParts(channels, Math.max(1, Math.floor(LONGEST / taps(g))));

/** (x, w, bias, summand) -> y by the definition; where it has parts they are of sums alone. */
export function conv2dNaive(g: ConvGeometry, epilogue: Epilogue): PartsLaunch {
  const parts = channelParts(g, g.inChannels / g.groups);
  const applied = parts.parts === 1 ? epilogue : NO_EPILOGUE;
  const constants = epilogueConstants(applied);
  const iterations = overTaps(g, parts.chunk);
  return naive('conv2dNaive', outputCount(g), g, parts, iterations, constants, epilogueParams(applied));
}

/** (dy, w) -> dx of the convolution `g` by the definition. */
export function conv2dInputGradientNaive(g: ConvGeometry): PartsLaunch {
  const parts = channelParts(g, g.outChannels / g.groups);
  return naive('conv2dInputGradientNaive', inputCount(g), g, parts, overTaps(g, parts.chunk));
}

/** (x, dy) -> dw by the definition, in parts of some rows of some images. */
export function conv2dWeightGradientNaive(g: ConvGeometry): PartsLaunch {
  const [height, width] = g.output;
  const parts = shortParts(g.batch * height, Math.max(1, Math.floor(LONGEST / width)));
  const iterations = loop(parts.chunk, loop(width));
  return naive('conv2dWeightGradientNaive', weightCount(g), g, parts, iterations);
}

/** Rows and vec4 columns of the padded copy that the tiled kernels read, whole tiles included. */
interface PaddedSize {
  readonly paddedHeight: number;
  readonly rowVectors: number;
}

function paddedSize(g: ConvGeometry): PaddedSize {
  const segment = ceil4(3 * g.stride[1] + reachX(g));
  const reachY = (g.kernel[0] - 1) * g.dilation[0] + 1;
  return {
    paddedHeight: (ceil4(g.output[0]) * 4 - 1) * g.stride[0] + reachY,
    rowVectors: (ceil4(g.output[1]) - 1) * g.stride[1] + segment,
  };
}

/** x with zeros around its planes and `spread` - 1 between its pixels. */
function padded(
  g: ConvGeometry,
  size: PaddedSize,
  [SPREAD_Y, SPREAD_X]: readonly [number, number],
): SizedLaunch {
  const count = g.batch * g.inChannels * size.paddedHeight * size.rowVectors;
  const params = { count, ...inSize(g), ...size, ...corner(g) };
  return { launch: launch('padRows', count, params, { SPREAD_Y, SPREAD_X }), elements: 4 * count };
}

/** Channels of one group of the convolution whose weights are [O, C/groups, KH, KW], and vec4 of its result. */
function packing({ geometry: g }: Convolution) {
  const [groupIn, groupOut] = [g.inChannels / g.groups, g.outChannels / g.groups];
  const vectors = ceil4(groupOut);
  return { groups: g.groups, vectors, groupIn, groupOut };
}

type Packing = ReturnType<typeof packing>;

function packedWeights(
  { adjoint, geometry: g }: Convolution,
  { groups, vectors, groupIn, groupOut }: Packing,
): SizedLaunch {
  const count = groupIn * taps(g) * groups * vectors;
  // As they are stored, which for an adjoint is the other way round.
  const stored = adjoint ? { groupOut: groupIn, groupIn: groupOut } : { groupOut, groupIn };
  const params = { count, groups, ...stored, taps: taps(g), vectors };
  const constants = { ADJOINT: Number(adjoint) };
  return { launch: launch('packWeights', count, params, constants), elements: 4 * count };
}

/** The two launches of the direct variant: w packed, (x, x, w, bias, summand) -> y. */
export function conv2dDirect(
  c: Convolution,
  epilogue: Epilogue,
  profile: Profile,
): { w: SizedLaunch; y: Launch } {
  const { geometry: g } = c;
  const packed = packing(c);
  const rows = Math.min(figuresOf(profile).directRows, g.output[0] > 4 ? 8 : 4); // four are all of a small map
  const [tilesY, tilesX] = [Math.ceil(g.output[0] / rows), ceil4(g.output[1])];
  const tiles = g.batch * tilesY * tilesX;
  const params = {
    tilesX,
    tilesY,
    tiles,
    ...packed,
    ...inSize(g),
    ...corner(g),
    ...outSize(g),
    ...epilogueParams(epilogue),
  };
  const isAligned = g.input[1] % 4 === 0 && g.padding[1] >= 0;
  const constants = {
    ...directConstants(g, rows, isAligned ? g.padding[1] : undefined),
    ...epilogueConstants(epilogue),
  };
  return {
    w: packedWeights(c, packed),
    y: launchTiles(
      'conv2dDirect',
      tiles * g.groups * packed.vectors,
      params,
      constants,
      loop(packed.groupIn) + loop(rows),
    ),
  };
}

/** The three launches of the variant by rows: x padded, w packed, (both, bias, summand) -> y. */
export function conv2dRows(
  c: Convolution,
  epilogue: Epilogue,
): { x: SizedLaunch; w: SizedLaunch; y: Launch } {
  const { geometry: g } = c;
  const size = paddedSize(g);
  const packed = packing(c);
  const tiles = g.batch * tilesOf(g);
  const grid = { tilesX: ceil4(g.output[1]), tilesY: ceil4(g.output[0]), tiles };
  const sizes = { ...size, ...outSize(g), kernelY: g.kernel[0], dilationY: g.dilation[0] };
  const params = { ...grid, ...packed, ...sizes, ...epilogueParams(epilogue) };
  const constants = { ...rowsConstants(g), ...epilogueConstants(epilogue) };
  const threads = tiles * g.groups * Math.ceil(packed.vectors / ROWS_CHANNELS);
  const writing = loop(4, ROWS_CHANNELS * loop(4, loop(4)));
  const iterations = loop(packed.groupIn, loop(g.kernel[0])) + writing;
  return {
    x: padded(g, size, c.spread),
    w: packedWeights(c, packed),
    y: launchTiles('conv2dRows', threads, params, constants, iterations),
  };
}

function rowConstants({ kernel, stride, dilation }: Window): Constants {
  const segment = ceil4(3 * stride[1] + (kernel[1] - 1) * dilation[1] + 1);
  return {
    KERNEL_X: kernel[1],
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    ROW_VECTORS: segment,
    ROW_ELEMENTS: 4 * segment,
  };
}

/**
 * Constants of conv2d-direct.wgsl, for tiles of some rows. `left` is the padding on the left of an input whose rows are
 * whole vec4, so that a tile's pixels from there on are; undefined for any other input.
 */
export function directConstants({ kernel, stride }: Window, rows: number, left?: number): Constants {
  const columns = 3 * stride[1] + kernel[1];
  const wholes = left === undefined ? 0 : Math.max(0, Math.floor((columns - left) / 4));
  return {
    KERNEL_Y: kernel[0],
    KERNEL_X: kernel[1],
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    TAPS: kernel[0] * kernel[1],
    ROWS: (rows - 1) * stride[0] + kernel[0],
    COLUMNS: columns,
    WHOLES: wholes,
    FIRST: wholes === 0 ? 0 : left!,
    AFTER: wholes === 0 ? 0 : left! + 4 * wholes,
    TILE_ROWS: rows,
    SUMS: 4 * rows,
    LATER: 4 * rows - 4,
  };
}

/** Vec4 of output channels in a tile of conv2d-rows.wgsl. */
const ROWS_CHANNELS = 2;

/** Constants of conv2d-rows.wgsl. */
export const rowsConstants = (window: Window): Constants => ({
  ...rowConstants(window),
  DILATION_X: window.dilation[1],
  CHANNEL_VECTORS: ROWS_CHANNELS,
  SUMS: 16 * ROWS_CHANNELS,
  LATER: 12 * ROWS_CHANNELS,
  WEIGHTS: ROWS_CHANNELS * window.kernel[1],
});

/** A strip is no longer than this, however many there are. */
const LONGEST_STRIP = 4096;

/** (x, w, bias, summand) -> y, a channel of the result from one channel of the input. */
export function conv2dDepthwise(
  { geometry: g, spread, adjoint }: Convolution,
  epilogue: Epilogue,
  profile: Profile,
): Launch {
  const stripsX = ceil4(g.output[1]);
  const across = g.batch * g.outChannels * stripsX;
  const { enoughThreads, shortestStrip } = figuresOf(profile);
  const wanted = Math.ceil((g.output[0] * across) / enoughThreads);
  const stripRows = Math.min(Math.max(wanted, shortestStrip), LONGEST_STRIP, g.output[0]);
  const stripsY = Math.ceil(g.output[0] / stripRows);
  const count = across * stripsY;
  const sizes = { ...inSize(g), ...outSize(g), ...corner(g) };
  const strips = { stripsX, stripsY, stripRows };
  const channels = { channels: g.outChannels, multiplier: g.outChannels / g.inChannels };
  const params = { count, ...strips, ...channels, ...sizes, ...epilogueParams(epilogue) };
  const constants = { ...depthwiseConstants(g, spread, adjoint), ...epilogueConstants(epilogue) };
  const iterations = loop(stripRows + constants.WARM_UP);
  return launchTiles('conv2dDepthwise', count, params, constants, iterations);
}

/** Constants of conv2d-depthwise.wgsl. */
export function depthwiseConstants(
  { kernel, stride, dilation }: Window,
  spread: readonly [number, number],
  adjoint: boolean,
) {
  const columns = 3 * stride[1] + (kernel[1] - 1) * dilation[1] + 1;
  const span = (kernel[0] - 1) * dilation[0] + 1;
  const fresh = Math.min(stride[0], span);
  const kept = span - fresh;
  return {
    KERNEL_Y: kernel[0],
    KERNEL_X: kernel[1],
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    DILATION_Y: dilation[0],
    DILATION_X: dilation[1],
    SPREAD_Y: spread[0],
    SPREAD_X: spread[1],
    ADJOINT: Number(adjoint),
    COLUMNS: columns,
    FRESH: fresh,
    KEPT: kept,
    WARM_UP: Math.ceil(kept / stride[0]),
    KEPT_PIXELS: kept * columns,
    WINDOW: (kept + fresh) * columns,
    TAPS: kernel[0] * kernel[1],
  };
}

/** Bytes of an intermediate result that are made at once; larger batches go in parts. */
const WINOGRAD_BYTES = 32 * 2 ** 20;
/** Winograd's convolution of some images of a batch: x -> transformed, products with `factor`, (products, bias, summand) -> y. */
export interface WinogradPart {
  readonly x: SizedLaunch;
  /** 36 products [outChannels, inChannels] [inChannels, columns]. */
  readonly columns: number;
  readonly y: Launch;
}

/** Winograd's F(4x4, 3x3): the weights' transformation, then one or more parts of the batch. */
export function conv2dWinograd(
  { geometry: g, adjoint }: Convolution,
  width: number,
  epilogue: Epilogue,
): { w: SizedLaunch; parts: WinogradPart[] } {
  const [tilesY, tilesX] = [ceil4(g.output[0]), ceil4(g.output[1])];
  const images = Math.max(1, Math.floor(WINOGRAD_BYTES / winogradBytes(g)));
  const parts: WinogradPart[] = [];
  for (let image = 0; image < g.batch; image += images) {
    const tiles = Math.min(images, g.batch - image) * tilesOf(g);
    const columns = 4 * ceil4(tiles);
    const grid = { tilesX, tilesY, tiles, columns, image };
    const [from, to] = [tiles * g.inChannels, tiles * g.outChannels];
    const source = { count: from, ...grid, channels: g.inChannels, ...inSize(g), ...corner(g) };
    const [height, width] = g.output;
    const target = {
      count: to,
      ...grid,
      channels: g.outChannels,
      height,
      width,
      ...epilogueParams(epilogue),
    };
    parts.push({
      x: {
        launch: launch('winogradInput', from, source, {}, 2 * loop(6)),
        elements: 36 * g.inChannels * columns,
      },
      columns,
      y: launch('winogradOutput', to, target, epilogueConstants(epilogue), loop(6) + loop(4)),
    });
  }
  const count = g.inChannels * width;
  const [outChannels, inChannels] = adjoint ? [g.inChannels, g.outChannels] : [g.outChannels, g.inChannels];
  const stored = { count, outChannels, inChannels, width };
  const w = launch('winogradWeights', count, stored, { ADJOINT: Number(adjoint) }, loop(6));
  return { w: { launch: w, elements: 36 * count }, parts };
}

/** x -> the pixels under each tap [N, C * KH * KW, columns], for a product with the weights. */
export function patches(g: ConvGeometry): SizedLaunch & { readonly columns: number } {
  const columns = patchColumns(g);
  const count = (g.batch * g.inChannels * g.kernel[0] * columns) / 4;
  const [height, width] = g.output;
  const sizes = { channels: g.inChannels, ...inSize(g), outWidth: width, pixels: height * width };
  const window = { ...kernelSize(g), ...steps(g.stride), ...corner(g) };
  const params = { count, vectors: columns / 4, ...sizes, ...window };
  const elements = g.batch * g.inChannels * taps(g) * columns;
  return { launch: launchTiles('patches', count, params, {}, loop(g.kernel[1])), elements, columns };
}

/** The adjoint of `patches`, for the adjoint convolution `c`: [N, C * KH * KW, OH * OW] -> dx [N, C, H, W]. */
export function gatherPatches({ geometry: g, spread }: Convolution): Launch {
  const [height, width] = g.output;
  const vectors = Math.ceil(width / (4 * spread[1]));
  const count = g.batch * g.outChannels * height * vectors * spread[1];
  // The padding of the convolution whose adjoint it is.
  const [top, left] = [g.kernel[0] - 1 - g.padding[0], g.kernel[1] - 1 - g.padding[1]];
  const [outHeight, outWidth] = g.input;
  const sizes = { count, vectors, height, width, outHeight, outWidth };
  const params = { ...sizes, ...kernelSize(g), ...steps(spread), top, left };
  const [down, across] = [0, 1].map((i) => Math.ceil(g.kernel[i]! / spread[i]!)) as [number, number];
  return launchTiles('gatherPatches', count, params, {}, loop(down, loop(across)));
}

/** Planes of `input` -> planes of `output`: every `stride`-th pixel, or `spread` - 1 zeros between pixels. */
export function respacePixels(planes: number, { geometry: g, spread }: Convolution): SizedLaunch {
  const [input, output] = [g.input, g.output];
  const axis = (i: 0 | 1) => ({
    outputSize: output[i],
    inputSize: input[i],
    mul: g.stride[i],
    add: 0,
    div: spread[i],
  });
  const launch = strided([
    { outputSize: planes, inputSize: planes, inputStride: input[0] * input[1], mul: 1, add: 0, div: 1 },
    { ...axis(0), inputStride: input[1] },
    { ...axis(1), inputStride: 1 },
  ]);
  return { launch, elements: planes * output[0] * output[1] };
}

/** x padded for `conv2dWeightGradient`. */
export const padForWeightGradient = (g: ConvGeometry): SizedLaunch => padded(g, paddedSize(g), [1, 1]);

/** dy -> channels innermost, for `conv2dWeightGradient`. */
export function packPixels(g: ConvGeometry): SizedLaunch {
  const columns = 4 * ceil4(g.output[1]);
  const channelVectors = ceil4(g.outChannels);
  const count = g.batch * g.output[0] * columns * channelVectors;
  const params = { count, outChannels: g.outChannels, ...outSize(g), columns, channelVectors };
  return { launch: launch('packPixels', count, params), elements: 4 * count };
}

/** Rows of the kernel whose sums one thread keeps: all of a small kernel, one of a large one. */
const tapRows = ({ kernel }: Window) => (kernel[0] <= 3 && kernel[1] <= 3 ? kernel[0] : 1);

/** Constants of conv2d-weight-gradient.wgsl. */
export const weightGradientConstants = (window: Window): Constants => ({
  ...rowConstants(window),
  TAP_ROWS: tapRows(window),
  SUMS: tapRows(window) * window.kernel[1],
});

/** (padded x, packed dy) -> [O, C, KH, KW], in parts of some rows of some images. */
export function conv2dWeightGradient(g: ConvGeometry, profile: Profile): PartsLaunch {
  const vectors = ceil4(g.outChannels);
  const rows = g.batch * g.output[0];
  const threads = (g.kernel[0] / tapRows(g)) * g.inChannels * Math.ceil(vectors / 2);
  const busy = Math.ceil(rows / Math.ceil(figuresOf(profile).enoughThreads / threads));
  const longest = Math.floor(LONGEST / ceil4(g.output[1]));
  const { parts, chunk } = shortParts(rows, Math.max(1, Math.min(busy, longest)));
  const count = threads * parts;
  const { outChannels, inChannels } = g;
  const [outHeight, outWidth] = g.output;
  const params = {
    ...{ count, outChannels, inChannels, outHeight, columnVectors: ceil4(outWidth), channelVectors: vectors },
    ...{ ...paddedSize(g), kernelY: g.kernel[0], rows, chunk },
  };
  return {
    launch: launch(
      'conv2dWeightGradient',
      count,
      params,
      weightGradientConstants(g),
      loop(chunk, loop(ceil4(outWidth))),
    ),
    elements: weightCount(g),
    parts,
  };
}

/** Fields of conv2d-implicit.wgsl that are the geometry's. */
const implicitWindow = (g: ConvGeometry) => ({
  ...inSize(g),
  ...corner(g),
  ...steps(g.stride),
  pixels: g.output[0] * g.output[1],
  outWidth: g.output[1],
  dilationY: g.dilation[0],
  dilationX: g.dilation[1],
  scale: 1,
});

const implicitConstants = ({ kernel: [KERNEL_Y, KERNEL_X] }: Window) => ({ KERNEL_Y, KERNEL_X });

/** (w, x, bias, summand) -> y, a product of the weights with the pixels under each tap, read where they lie. */
export function conv2dImplicit(c: Convolution, epilogue: Epilogue, profile: Profile): PartsLaunch {
  const { adjoint, spread, geometry: g } = c;
  const { groups, groupIn, groupOut } = packing(c);
  const [k, plane] = [groupIn * taps(g), g.input[0] * g.input[1]];
  const size = { batch: g.batch * groups, pieces: groups, m: groupOut, n: g.output[0] * g.output[1], k };
  const [aRow, aOuter] = adjoint ? [taps(g), groupOut * taps(g)] : [k, taps(g)];
  const factors: SharedFactors = {
    kernel: 'conv2dImplicit',
    along: { a: true, b: false },
    params: {
      ...implicitWindow(g),
      ...{ aWhole: 0, aPiece: groupOut * k, aRow, aOuter },
      ...{ bWhole: g.inChannels * plane, bPiece: groupIn * plane, image: 0 },
    },
    constants: {
      ...implicitConstants(g),
      SPREAD_Y: spread[0],
      SPREAD_X: spread[1],
      ADJOINT: Number(adjoint),
      GRADIENT: 0,
    },
  };
  return sharedProduct(size, factors, epilogue, profile);
}

/** (dy, x, ..) -> [O, C/groups, KH, KW], a product over all pixels of all images. */
export function conv2dWeightGradientImplicit(g: ConvGeometry, profile: Profile): PartsLaunch {
  const { batch, groups, inChannels, outChannels } = g;
  const [pixels, plane] = [g.output[0] * g.output[1], g.input[0] * g.input[1]];
  const [groupIn, m] = [inChannels / groups, outChannels / groups];
  const factors: SharedFactors = {
    kernel: 'conv2dImplicit',
    along: { a: true, b: true },
    params: {
      ...implicitWindow(g),
      ...{ aWhole: 0, aPiece: m * pixels, aRow: pixels, aOuter: outChannels * pixels },
      ...{ bWhole: 0, bPiece: groupIn * plane, image: inChannels * plane },
    },
    constants: { ...implicitConstants(g), SPREAD_Y: 1, SPREAD_X: 1, ADJOINT: 0, GRADIENT: 1 },
  };
  const size = { batch: groups, pieces: groups, m, n: groupIn * taps(g), k: batch * pixels };
  return sharedProduct(size, factors, NO_EPILOGUE, profile);
}
