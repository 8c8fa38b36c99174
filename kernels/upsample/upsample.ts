// Launch of bilinear resampling and its adjoint.

import { type Launch, launch, loop } from '../kernel.ts';
import { type PartsLaunch, windowParts } from '../parts.ts';

/** Planes of `input` [height, width] resampled to `output`; the adjoint goes from `output` to `input`. */
export interface ResampleGeometry {
  readonly planes: number;
  readonly input: readonly [height: number, width: number];
  readonly output: readonly [height: number, width: number];
  readonly alignCorners: boolean;
}

/** Input pixels per output pixel along one axis. */
function resampleRatio(input: number, output: number, alignCorners: boolean): number {
  if (!alignCorners) return input / output;
  return output > 1 ? (input - 1) / (output - 1) : 0;
}

const constantsOf = (g: ResampleGeometry, adjoint: boolean) => ({
  ADJOINT: Number(adjoint),
  ALIGN_CORNERS: Number(g.alignCorners),
});

/** What both directions are told. */
function paramsOf(g: ResampleGeometry) {
  const [height, width] = g.input;
  const [outHeight, outWidth] = g.output;
  const ratioY = resampleRatio(height, outHeight, g.alignCorners);
  const ratioX = resampleRatio(width, outWidth, g.alignCorners);
  return { height, width, outHeight, outWidth, ratioY, ratioX, quarters: Math.ceil(outWidth / 4) };
}

/** x [planes, H, W] -> [planes, OH, OW]. */
export function bilinear(g: ResampleGeometry): Launch {
  const params = paramsOf(g);
  const count = g.planes * params.outHeight * params.quarters;
  const unused = { results: 0, across: 1, tile: 0 };
  return launch('bilinear', count, { count, ...params, ...unused }, constantsOf(g, false), loop(4));
}

/** Adjoint of `bilinear`: [planes, OH, OW] -> [planes, H, W]; its parts add up. */
export function bilinearAdjoint(g: ResampleGeometry): PartsLaunch {
  const params = paramsOf(g);
  const elements = g.planes * params.height * params.width;
  // As `reach` in the kernel: one input pixel to either side, rounded, and one output more; all of one pixel.
  const reach = (size: number, outSize: number, ratio: number) =>
    size === 1 || ratio === 0 ? outSize : Math.min(outSize, Math.ceil(2 / ratio) + 5);
  const { parts, iterations, ...cut } = windowParts(
    reach(params.height, params.outHeight, params.ratioY),
    reach(params.width, params.outWidth, params.ratioX),
  );
  const count = parts * elements;
  const whole = { count, ...params, results: elements, ...cut };
  return {
    launch: launch('bilinear', count, whole, constantsOf(g, true), iterations),
    parts,
    elements,
  };
}
