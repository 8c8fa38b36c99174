// The roofline model (Williams, Waterman, Patterson 2009): work that needs `flops` and `bytes` cannot take less time than
// the slower of the two takes at the adapter's measured peaks.

import type { Work } from './problems.ts';

export interface Peaks {
  /** Floating-point operations a second; a fused multiply-add counts as two. */
  readonly flops: number;
  /** Bytes a second, read and written, of buffers larger than the caches. */
  readonly bandwidth: number;
}

/** Milliseconds below which the work cannot be done. */
export const leastTime = ({ flops, bytes }: Work, peaks: Peaks): number =>
  1000 * Math.max(flops / peaks.flops, bytes / peaks.bandwidth);

/** Share of the roofline reached, 0 to 1; above 1 where the work is done by fewer operations, or stays in a cache. */
export const roofShare = (work: Work, milliseconds: number, peaks: Peaks): number =>
  leastTime(work, peaks) / milliseconds;

/** Operations a byte. */
export const intensity = ({ flops, bytes }: Work): number => flops / bytes;

/** Operations a second that are attainable at an intensity. */
export const roof = (operationsPerByte: number, peaks: Peaks): number =>
  Math.min(peaks.flops, operationsPerByte * peaks.bandwidth);
