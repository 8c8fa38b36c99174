// Which of the convolution kernels a geometry allows, and which of them it gets.

import {
  type ConvGeometry,
  type Convolution,
  forward,
  isOne,
  outputCount,
  patchColumns,
  reachX,
  taps,
  tilesOf,
  winogradBytes,
} from './geometry.ts';

/** How a convolution is computed. */
export type ConvVariant = 'pointwise' | 'depthwise' | 'patches' | 'winograd' | 'direct' | 'rows' | 'naive';

/** Where each variant gives the right result. */
const allows: Readonly<Record<ConvVariant, (c: Convolution) => boolean>> = {
  pointwise: ({ geometry: g }) => g.groups === 1 && isOne(g.kernel) && g.padding.every((n) => n === 0),
  depthwise: ({ geometry: g, adjoint }) =>
    g.groups > 1 && g.groups === g.inChannels && (!adjoint || g.outChannels === g.inChannels),
  patches: (c) =>
    c.geometry.groups === 1 && isOne(c.geometry.dilation) && 4 * patchesOf(c) <= LARGEST_PATCHES,
  winograd: ({ geometry: g, spread }) =>
    g.groups === 1 && g.kernel[0] === 3 && g.kernel[1] === 3 && [g.stride, g.dilation, spread].every(isOne),
  direct: ({ geometry: g, spread }) => isOne(g.dilation) && isOne(spread),
  rows: () => true,
  naive: () => true,
};

/**
 * The table of variants: the first that is allowed and whose shape this is. Its bounds were measured on llvmpipe
 * (`npm run tune`); on SwiftShader Winograd leads just so, at 5x5 direct is faster than rows by a third, and the bounds
 * of strides and of small work were not measured:
 * - patches, where there is a stride: at 3x3 and 64 channels or more up to twice as fast as the direct sum, with fewer
 *   the same, and large kernels compile in a tenth of the time. For every adjoint of a stride, too, whose input a direct
 *   sum would have to spread with zeros: 7 to 24 times as fast for 7x7 and 11x11 kernels;
 * - Winograd from 16 channels on both sides, since its transforms cost what they save where there are fewer, and from four
 *   million multiply-adds, since its three launches cost more than the direct sum's one where there are fewer;
 * - direct for small kernels. 5x5 runs 0 to 15 % faster than by rows, but compiles for twice as long (1.0 s to 0.6 s).
 */
const table: readonly { readonly variant: ConvVariant; readonly suits: (c: Convolution) => boolean }[] = [
  { variant: 'pointwise', suits: () => true },
  {
    variant: 'depthwise',
    suits: ({ geometry: g }) => taps(g) <= 25 && reachX(g) <= 13 && Math.max(...g.stride) <= 2,
  },
  { variant: 'patches', suits: ({ geometry: g, spread }) => !isOne(spread) || !isOne(g.stride) },
  { variant: 'winograd', suits: ({ geometry: g }) => suitsWinograd(g) },
  { variant: 'direct', suits: ({ geometry: g }) => taps(g) <= 9 && Math.max(...g.stride) <= 2 },
  {
    variant: 'rows',
    suits: ({ geometry: g }) => g.kernel[1] <= 11 && reachX(g) <= 32 && g.stride[1] <= 4,
  },
  { variant: 'patches', suits: () => true },
  { variant: 'naive', suits: () => true },
];

/** Bytes of patches beyond which other variants, which need less memory, are used. */
const LARGEST_PATCHES = 64 * 2 ** 20;

/** Elements of the input's patches, or of the result's for an adjoint. */
const patchesOf = ({ geometry: g, adjoint }: Convolution) =>
  adjoint
    ? g.batch * g.outChannels * taps(g) * g.input[0] * g.input[1]
    : g.batch * g.inChannels * taps(g) * patchColumns(g);

/** Images whose intermediate results are larger are convolved directly, in less memory. */
const WINOGRAD_LARGEST = 64 * 2 ** 20;
/** Multiply-adds. */
const ENOUGH_FOR_WINOGRAD = 2 ** 22;

function suitsWinograd(g: ConvGeometry): boolean {
  const tiles = g.batch * tilesOf(g);
  const isWide = tiles >= 4 && g.inChannels >= 16 && g.outChannels >= 16;
  const enough = isWide && outputCount(g) * g.inChannels * taps(g) >= ENOUGH_FOR_WINOGRAD;
  return enough && winogradBytes(g) <= WINOGRAD_LARGEST;
}

/** The variant that computes a convolution, when those in `without` are not to be used. */
export function chooseConv(c: Convolution, without: ReadonlySet<string>): ConvVariant {
  const row = table.find(({ variant, suits }) => !without.has(variant) && allows[variant](c) && suits(c));
  return row?.variant ?? 'naive';
}

/** How a weight gradient is computed: register-tiled, as a product with the input's patches, or by the definition. */
export function chooseWeightGradient(
  g: ConvGeometry,
  without: ReadonlySet<string>,
): 'tiled' | 'patches' | 'naive' {
  if (g.groups === 1 && isOne(g.dilation) && g.kernel[1] <= 11 && g.stride[1] <= 4) return 'tiled';
  return !without.has('patches') && allows.patches(forward(g)) ? 'patches' : 'naive';
}
