// How large a picture may be: one limit for every format, checked on the header, before any allocation.

import { MAX_PIXELS } from '../../models/pixels.ts';
import { ImageError } from './errors.ts';

/** @throws ImageError for a picture without pixels, or with more than `MAX_PIXELS`. */
export function checkSize(width: number, height: number): void {
  if (width === 0 || height === 0) {
    throw new ImageError(`the picture has no pixels (its header says ${width} x ${height})`);
  }
  if (width * height > MAX_PIXELS) {
    const limit = MAX_PIXELS / 1e6;
    throw new ImageError(`the picture is ${width} x ${height}; at most ${limit} megapixels are supported`);
  }
}
