// How large a picture may be: limits for every format, checked on the header, before any allocation.

import { availableMemory } from '#platform';
import type { Available } from '../../engine/platform/interface.ts';
import { MAX_PIXELS } from '../../models/pixels.ts';
import { ImageError } from './errors.ts';

/** Bytes that decoding takes for each pixel at most, as measured: what decoders keep, and their results. */
export const DECODING_BYTES = { PNG: 45, JPEG: 28, WebP: 18 } as const;

/**
 * @throws ImageError for a picture without pixels, with more than `MAX_PIXELS`, or for whose decoding, at so many bytes a
 * pixel, the free memory does not suffice.
 */
export function checkSize(
  width: number,
  height: number,
  bytes: number,
  available: Available | undefined = availableMemory(),
): void {
  if (width === 0 || height === 0) {
    throw new ImageError(`the picture has no pixels (its header says ${width} x ${height})`);
  }
  if (width * height > MAX_PIXELS) {
    const limit = MAX_PIXELS / 1e6;
    throw new ImageError(`the picture is ${width} x ${height}; at most ${limit} megapixels are supported`);
  }
  const needed = width * height * bytes;
  if (available === undefined || needed <= available.bytes) return;
  const megabytes = (count: number) => `${Math.ceil(count / 1e6)} MB`;
  throw new ImageError(
    `the picture is ${width} x ${height}, for which decoding may take ${megabytes(needed)}; ` +
      `${available.by} leaves ${megabytes(available.bytes)}. Make the picture smaller`,
  );
}
