// WebP in, by libwebp: still pictures. The header is read here first, for the size limit before any allocation.

import type { Background, Opaque } from './alpha.ts';
import { decodeBy } from './codec.ts';
import { ImageError } from './errors.ts';
import { checkSize, DECODING_BYTES } from './limits.ts';

/** Decodes a WebP file. Throws ImageError, or whatever the decoder throws. */
export async function decodeWebp(bytes: Uint8Array, background: Background = 'white'): Promise<Opaque> {
  const [width, height] = sizeOf(bytes);
  checkSize(width, height, DECODING_BYTES.WebP);
  const { pixels } = await decodeBy('webp', bytes, background);
  if (pixels.width !== width || pixels.height !== height) throw new Error('two sizes');
  return pixels;
}

/**
 * Width and height by the first chunk after "RIFF", size and "WEBP" (RFC 9649): VP8X, of files with alpha and more; VP8L,
 * lossless; "VP8 ", lossy.
 */
function sizeOf(bytes: Uint8Array): [width: number, height: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 30 || view.getUint32(4, true) + 8 > view.byteLength) {
    throw new ImageError('this WebP file is cut off before its picture ends; copy or download it again');
  }
  const chunk = String.fromCharCode(...bytes.subarray(12, 16));
  const u24 = (at: number) => view.getUint16(at, true) + 65536 * view.getUint8(at + 2);
  if (chunk === 'VP8X') {
    if (view.getUint8(20) & 2) throw new ImageError('this WebP file is an animation; save one picture of it');
    return [u24(24) + 1, u24(27) + 1];
  }
  if (chunk === 'VP8L') {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
  }
  return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
}
