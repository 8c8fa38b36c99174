// Launches of the kernels of normalisation; x as [batch, channels, inner], or as rows.

import { type Launch, launch, launchTiles } from '../kernel.ts';

/** x, scale [channels], shift [channels] -> x * scale + shift, channel by channel. */
export function scaleShift(batch: number, channels: number, inner: number): Launch {
  const quads = Math.ceil(inner / 4);
  const count = batch * channels * quads;
  return launch('scaleShift', count, { count, channels, inner, quads });
}

/** x [planes, inner] -> mean and sum of squared deviations of each plane [planes, 2]. */
export const moments = (planes: number, inner: number): Launch =>
  launch('moments', planes, { count: planes, inner });

/** Those of planes [batch, channels, 2] -> means and biased variances of channels [2, channels]. */
export const mergeMoments = (batch: number, channels: number, inner: number): Launch =>
  launch('mergeMoments', channels, { channels, batch, inner });

/** x [rows, n], weight [n], bias [n] -> each row with mean 0 and variance 1, scaled and shifted. */
export const layerNorm = (rows: number, n: number, epsilon: number): Launch =>
  launchTiles('layerNorm', rows, { rows, n, epsilon });

/** a [count, inner], b [planes, inner], which is repeated -> dot products [count]. */
export const planeDot = (count: number, inner: number, planes: number): Launch =>
  launch('planeDot', count, { count, inner, planes });
