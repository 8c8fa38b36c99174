// Launch of bilinear resampling and its adjoint.

import { type Launch, launch } from '../kernel.ts';

/** Planes of `input` [height, width] resampled to `output`; the adjoint goes from `output` to `input`. */
export interface ResampleGeometry {
  readonly planes: number;
  readonly input: readonly [height: number, width: number];
  readonly output: readonly [height: number, width: number];
  readonly alignCorners: boolean;
}

/** Input pixels per output pixel along one axis. */
export function resampleRatio(input: number, output: number, alignCorners: boolean): number {
  if (!alignCorners) return input / output;
  return output > 1 ? (input - 1) / (output - 1) : 0;
}

export function bilinear(g: ResampleGeometry, adjoint: boolean): Launch {
  const quarters = Math.ceil(g.output[1] / 4);
  const count = g.planes * (adjoint ? g.input[0] * g.input[1] : g.output[0] * quarters);
  const [height, width] = g.input;
  const [outHeight, outWidth] = g.output;
  const ratioY = resampleRatio(height, outHeight, g.alignCorners);
  const ratioX = resampleRatio(width, outWidth, g.alignCorners);
  const params = { count, height, width, outHeight, outWidth, ratioY, ratioX, quarters };
  const constants = { ADJOINT: Number(adjoint), ALIGN_CORNERS: Number(g.alignCorners) };
  return launch('bilinear', count, params, constants);
}
