// Launches of convolutions as matrix products: of the pixels under each tap, gathered first or read where they lie.

import { type Epilogue, type Launch, launchTiles, loop, NO_EPILOGUE, type SizedLaunch } from '../kernel.ts';
import { strided } from '../layout/layout.ts';
import { type SharedFactors, sharedProduct } from '../matmul/matmul.ts';
import type { PartsLaunch } from '../parts.ts';
import type { Profile } from '../profile.ts';
import {
  type ConvGeometry,
  type Convolution,
  corner,
  inSize,
  kernelSize,
  packing,
  patchColumns,
  steps,
  taps,
  type Window,
} from './geometry.ts';

/** x -> the pixels under each tap [N, C * KH * KW, columns], for a product with the weights. */
export function packPatches(g: ConvGeometry): SizedLaunch & { readonly columns: number } {
  const columns = patchColumns(g);
  const count = (g.batch * g.inChannels * g.kernel[0] * columns) / 4;
  const [height, width] = g.output;
  const sizes = { channels: g.inChannels, ...inSize(g), outWidth: width, pixels: height * width };
  const window = { ...kernelSize(g), ...steps(g.stride), ...corner(g) };
  const params = { count, vectors: columns / 4, ...sizes, ...window };
  const elements = g.batch * g.inChannels * taps(g) * columns;
  return { launch: launchTiles('patches', count, params, {}, loop(g.kernel[1])), elements, columns };
}

/** The adjoint of `packPatches`, for the adjoint convolution `c`: [N, C * KH * KW, OH * OW] -> dx [N, C, H, W]. */
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
