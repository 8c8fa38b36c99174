// Launch of Score-CAM's fused mask.

import { type Launch, launch, loop, WORKGROUP } from '../kernel.ts';

/** Pixels that a thread of mask.wgsl computes. */
const PER_THREAD = 4;

/** x [channels, pixels] under `masks` masks [masks, pixels] -> [masks, channels, pixels]. */
export function mask(masks: number, channels: number, pixels: number): Launch {
  const blocks = Math.ceil(pixels / (WORKGROUP * PER_THREAD));
  const count = masks * channels * blocks;
  return launch('mask', count * WORKGROUP, { count, channels, pixels, blocks }, {}, loop(PER_THREAD));
}
