// Launch of Grad-CAM++'s weights.

import { type Launch, launch } from '../kernel.ts';

/** Feature map and gradient [planes, inner] -> weights [planes]. */
export const alphaWeights = (planes: number, inner: number): Launch =>
  launch('alphaWeights', planes, [planes, inner]);
