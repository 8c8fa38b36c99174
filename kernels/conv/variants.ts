// The ways to compute a convolution or its input gradient, and a weight gradient, and which of them a geometry gets.

import { MOST_ITERATIONS } from '../kernel.ts';
import { type DeviceClass, type Figures, figuresOf, type Profile } from '../profile.ts';
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
import * as plans from './plans.ts';

/** What the choice depends on. */
type Choosing = Pick<Profile, 'class' | 'tuned' | 'without'>;

interface Row<Problem, Plan> {
  readonly variant: string;
  /** The only class of devices that is given it; every one when left out. */
  readonly of?: DeviceClass;
  /** Where it gives the right result. */
  readonly allows: (problem: Problem) => boolean;
  /** Where it is likely the fastest of the rows from here on. */
  readonly suits: (problem: Problem, profile: Choosing) => boolean;
  readonly plan: Plan;
}

/** The first row of a table that is allowed and suits; the last one always does. */
const choose = <Problem, Plan>(
  table: readonly Row<Problem, Plan>[],
  problem: Problem,
  profile: Choosing,
): Row<Problem, Plan> =>
  table.find(
    ({ variant, of = profile.class, allows, suits }) =>
      of === profile.class && !profile.without.has(variant) && allows(problem) && suits(problem, profile),
  ) ?? table.at(-1)!;

const always = () => true;

/** Bytes of patches beyond which other variants, which need less memory, are used. */
const LARGEST_PATCHES = 64 * 2 ** 20;

/** Elements of the input's patches, or of the result's for an adjoint. */
const patchesOf = ({ geometry: g, adjoint }: Convolution) =>
  adjoint
    ? g.batch * g.outChannels * taps(g) * g.input[0] * g.input[1]
    : g.batch * g.inChannels * taps(g) * patchColumns(g);

/** Iterations of a thread, roughly, up to which kernels are used that do not go in parts: half of what is allowed. */
const LONGEST = MOST_ITERATIONS / 2;
const groupIn = ({ inChannels, groups }: ConvGeometry) => inChannels / groups;

const allowsPatches = (c: Convolution) => {
  const { groups, dilation, kernel } = c.geometry;
  const gathered = c.adjoint ? taps(c.geometry) / (c.spread[0] * c.spread[1]) : kernel[1];
  return groups === 1 && isOne(dilation) && gathered <= LONGEST && 4 * patchesOf(c) <= LARGEST_PATCHES;
};

const patches = { variant: 'patches', allows: allowsPatches, plan: plans.patches } as const;

/**
 * The table of variants. Its bounds were measured on llvmpipe; on SwiftShader Winograd leads just so, at
 * 5x5 direct is faster than rows by a third, and the bounds of strides and of small work were not measured:
 * - patches, where there is a stride: at 3x3 and 64 channels or more up to twice as fast as the direct sum, with fewer
 *   the same, and large kernels compile in a tenth of the time. For every adjoint of a stride, too, whose input a direct
 *   sum would have to spread with zeros: 7 to 24 times as fast for 7x7 and 11x11 kernels;
 * - Winograd from 16 channels on both sides, since its transforms cost what they save where there are fewer, and from four
 *   million multiply-adds, since its three launches cost more than the direct sum's one where there are fewer;
 * - direct for small kernels. 5x5 runs 0 to 15 % faster than by rows, but compiles for twice as long (1.0 s to 0.6 s).
 */
export const convVariants = [
  {
    variant: 'pointwise',
    allows: ({ geometry: g }) => g.groups === 1 && isOne(g.kernel) && g.padding.every((n) => n === 0),
    suits: ({ geometry: g }, { class: of }) => of === 'software' || isOne(g.stride),
    plan: plans.pointwise,
  },
  {
    variant: 'depthwise',
    allows: ({ geometry: g, adjoint }) =>
      g.groups > 1 && g.groups === g.inChannels && (!adjoint || g.outChannels === g.inChannels),
    suits: ({ geometry: g }) => taps(g) <= 25 && reachX(g) <= 13 && Math.max(...g.stride) <= 2,
    plan: plans.depthwise,
  },
  {
    ...patches,
    suits: ({ geometry: g, spread }, { class: of }) =>
      !isOne(spread) || (of === 'software' && !isOne(g.stride)),
  },
  {
    variant: 'winograd',
    allows: ({ geometry: g, spread }) =>
      g.groups === 1 && g.kernel.every((n) => n === 3) && [g.stride, g.dilation, spread].every(isOne),
    suits: ({ geometry: g }, profile) => suitsWinograd(g, figuresOf(profile)),
    plan: plans.winograd,
  },
  {
    variant: 'direct',
    allows: ({ geometry: g, spread }) => isOne(g.dilation) && isOne(spread) && groupIn(g) <= LONGEST,
    suits: ({ geometry: g }, { class: of }) =>
      taps(g) <= 9 && Math.max(...g.stride) <= 2 && (of === 'software' || g.outChannels / g.groups < 8),
    plan: plans.direct,
  },
  { variant: 'implicit', of: 'gpu', allows: always, suits: always, plan: plans.implicit },
  {
    variant: 'rows',
    of: 'software',
    allows: ({ geometry: g }) => groupIn(g) * (g.kernel[0] + 2) <= LONGEST,
    suits: ({ geometry: g }) => g.kernel[1] <= 11 && reachX(g) <= 32 && g.stride[1] <= 4,
    plan: plans.rows,
  },
  { ...patches, suits: always },
  { variant: 'naive', allows: always, suits: always, plan: plans.naive },
] as const satisfies readonly Row<Convolution, plans.ConvPlan>[];

/** How a convolution is computed. */
export type ConvVariant = (typeof convVariants)[number]['variant'];

/** Images whose intermediate results are larger are convolved directly, in less memory. */
const WINOGRAD_LARGEST = 64 * 2 ** 20;
function suitsWinograd(g: ConvGeometry, { winogradChannels, winogradWork }: Figures): boolean {
  const tiles = g.batch * tilesOf(g);
  const isWide = tiles >= 4 && Math.min(g.inChannels, g.outChannels) >= winogradChannels;
  const enough = isWide && outputCount(g) * g.inChannels * taps(g) >= winogradWork;
  return enough && winogradBytes(g) <= WINOGRAD_LARGEST;
}

/** The variant that computes a convolution. */
export const chooseConv = (c: Convolution, profile: Choosing) =>
  choose<Convolution, plans.ConvPlan>(convVariants, c, profile);

/** The table of variants of a weight gradient. */
const weightGradientVariants = [
  { variant: 'implicit', of: 'gpu', allows: always, suits: always, plan: plans.weightGradientImplicit },
  {
    variant: 'tiled',
    allows: (g) => g.groups === 1 && isOne(g.dilation) && g.output[1] <= LONGEST,
    suits: (g) => g.kernel[1] <= 11 && g.stride[1] <= 4,
    plan: plans.weightGradientTiled,
  },
  {
    variant: 'patches',
    allows: (g) => allowsPatches(forward(g)),
    suits: always,
    plan: plans.weightGradientOfPatches,
  },
  { variant: 'naive', allows: always, suits: always, plan: plans.weightGradientNaive },
] as const satisfies readonly Row<ConvGeometry, plans.WeightGradientPlan>[];

/** The variant that computes a convolution's weight gradient. */
export const chooseWeightGradient = (g: ConvGeometry, profile: Choosing) =>
  choose<ConvGeometry, plans.WeightGradientPlan>(weightGradientVariants, g, profile);
