// Reads a picture file: recognises the format by its first bytes and hands over to its decoder.

import type { Background, Opaque } from './alpha.ts';
import { ImageError } from './errors.ts';
import { decodeJpeg } from './jpeg.ts';
import { decodePng } from './png.node.ts';
import { signatureOf } from './signature.ts';
import { decodeWebp } from './webp.ts';

export { ImageError } from './errors.ts';
export { decodePng, encodePng } from './png.node.ts';

type Decoder = (bytes: Uint8Array, background: Background) => Promise<Opaque>;

const decoders = {
  PNG: async (bytes, background) => decodePng(bytes, background),
  JPEG: async (bytes) => ({ ...(await decodeJpeg(bytes)), transparent: false }),
  WebP: decodeWebp,
} as const satisfies Readonly<Record<string, Decoder>>;

type Format = keyof typeof decoders;

const isDecoded = (format: string | undefined): format is Format => Object.hasOwn(decoders, format ?? '');

/** The formats that are read, for messages and help. */
const FORMATS = 'PNG, JPEG and WebP';

/**
 * The format of a picture file, by its first bytes.
 *
 * @throws ImageError where the file is empty or of a format that is not decoded.
 */
export function formatOf(bytes: Uint8Array, name: string): Format {
  if (bytes.length === 0) throw new ImageError(`${name}: the file is empty; expected a picture`);
  const format = signatureOf(bytes);
  if (isDecoded(format)) return format;
  const found = format ? `it looks like ${format}` : 'the format of this file is not known';
  throw new ImageError(
    `${name}: ${found}; ${FORMATS} are read. Convert it to one of them, as by ImageMagick: magick ${name}[0] picture.png`,
  );
}

/**
 * Decodes a PNG, JPEG or WebP file of at most 64 megapixels to RGB. Transparent pixels are laid over `background`,
 * 16-bit samples are reduced to 8 bits, and the EXIF orientation of a JPEG is applied. The bytes decide the
 * format, never the extension of `name`, which serves the error messages.
 *
 * @throws ImageError where the file is empty, of another format, damaged, cut off or too large.
 */
export async function decodeImage(
  bytes: Uint8Array,
  name = 'the picture',
  background: Background = 'white',
): Promise<Opaque> {
  const format = formatOf(bytes, name);
  try {
    return await decoders[format](bytes, background);
  } catch (cause) {
    const what = cause instanceof ImageError ? cause.message : damaged(format);
    throw new ImageError(`${name}: ${what}`, { cause });
  }
}

function damaged(format: Format): string {
  return `this ${format} file is damaged and cannot be decoded; export or download it again`;
}
