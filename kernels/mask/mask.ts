// Launch of Score-CAM's fused mask.

import { type Launch, launch } from '../kernel.ts';

/** x [channels, pixels] under `masks` masks [masks, pixels] -> [masks, channels, pixels]. */
export function mask(masks: number, channels: number, pixels: number): Launch {
  const count = masks * channels * pixels;
  return launch('mask', count, [count, channels, pixels]);
}
