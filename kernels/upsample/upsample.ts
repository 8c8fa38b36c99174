// Launch of bilinear resampling and its adjoint.

import { bits, type Launch, launch } from '../kernel.ts';

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
  const ratios = [0, 1].map((axis) => bits(resampleRatio(g.input[axis]!, g.output[axis]!, g.alignCorners)));
  return launch('bilinear', count, [count, ...g.input, ...g.output, ...ratios, quarters], {
    ADJOINT: Number(adjoint),
    ALIGN_CORNERS: Number(g.alignCorners),
  });
}
