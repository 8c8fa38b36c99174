// Launches of convolutions, and a weight gradient, of which a thread computes a tile in its registers.

import {
  type Constants,
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  type Launch,
  launch,
  launchTiles,
  loop,
  type SizedLaunch,
} from '../kernel.ts';
import { type PartsLaunch, shortParts } from '../parts.ts';
import { figuresOf, type Profile } from '../profile.ts';
import {
  type ConvGeometry,
  type Convolution,
  ceil4,
  corner,
  inSize,
  LONGEST,
  outSize,
  type Packing,
  packing,
  reachX,
  taps,
  tilesOf,
  type Window,
  weightCount,
} from './geometry.ts';

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
