// Reads a picture file: recognises the format by its first bytes and hands over to its decoder.

import type { Pixels } from '../../models/pixels.ts';
import { ImageError } from './errors.ts';
import { decodeJpeg } from './jpeg.ts';
import { decodePng } from './png.node.ts';

export { ImageError } from './errors.ts';
export { encodePng } from './png.node.ts';

const decoders = { PNG: decodePng, JPEG: decodeJpeg };

type Format = keyof typeof decoders;

/** What the first bytes of a file, read as Latin-1, say about it; the first match wins. */
const signatures: [RegExp, string][] = [
  [/^\x89PNG/, 'PNG'],
  [/^\xff\xd8\xff/, 'JPEG'],
  [/^GIF8/, 'GIF'],
  [/^RIFF....WEBP/s, 'WebP'],
  [/^BM/, 'BMP'],
  [/^(II\*\0|MM\0\*)/, 'TIFF'],
  [/^....ftyp(avif|avis)/s, 'AVIF'],
  [/^....ftyp(hei|hev|mif1|msf1)/s, 'HEIC'],
  [/^(\xff\n|....JXL )/s, 'JPEG XL'],
  [/^(....jP {2}|\xffO\xffQ)/s, 'JPEG 2000'],
  [/^8BPS/, 'Photoshop'],
  [/^%PDF/, 'PDF'],
  [/^\s*(<!doctype html|<html)/i, 'HTML'],
  [/^\s*(<svg|<\?xml)/i, 'SVG or XML'],
];

/**
 * The format of a picture file, by its first bytes.
 *
 * @throws ImageError where the file is empty or of a format that is not decoded.
 */
export function formatOf(bytes: Uint8Array, name: string): Format {
  if (bytes.length === 0) throw new ImageError(`${name}: the file is empty; expected a PNG or JPEG picture`);
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  const format = signatures.find(([pattern]) => pattern.test(start))?.[1];
  if (format === 'PNG' || format === 'JPEG') return format;
  const found = format ? `this looks like a ${format} file` : 'the format of this file is not known';
  throw new ImageError(`${name}: ${found}; PNG and JPEG are supported, convert it to one of them`);
}

/**
 * Decodes a PNG or JPEG file of at most 64 megapixels to RGB. Transparent pixels are laid over white,
 * 16-bit samples are reduced to 8 bits, and the EXIF orientation of a JPEG is applied. The bytes decide the
 * format, never the extension of `name`, which serves the error messages.
 *
 * @throws ImageError where the file is empty, of another format, damaged, cut off or too large.
 */
export function decodeImage(bytes: Uint8Array, name: string): Pixels {
  const format = formatOf(bytes, name);
  try {
    return decoders[format](bytes);
  } catch (cause) {
    const what = cause instanceof ImageError ? cause.message : damaged(format);
    throw new ImageError(`${name}: ${what}`, { cause });
  }
}

function damaged(format: Format): string {
  return `this ${format} file is damaged and cannot be decoded; export or download it again`;
}
