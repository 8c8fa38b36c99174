// Pictures in and out of the page: a file decoded by the browser, pixels on a canvas.

import { LimelightError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';
import { ImageError } from '../image/errors.ts';
import { decodeJpeg } from '../image/jpeg.ts';
import { checkSize } from '../image/limits.ts';
import { signatureOf } from '../image/signature.ts';
import { decodeWebp } from '../image/webp.ts';

/** A file is not a picture that this browser can read. */
class PictureError extends LimelightError {}

/** Decoded as the command line does it, where browsers may differ. */
const decoders: Readonly<Record<string, (bytes: Uint8Array) => Promise<Pixels>>> = {
  JPEG: decodeJpeg,
  WebP: decodeWebp,
};

/**
 * Decodes a picture of any format that this browser reads, in its size, to the numbers that the command line has; what is
 * transparent in it is laid over white. Throws PictureError, which names it.
 */
export async function decodePicture(file: Blob, name: string): Promise<Pixels> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const decode = decoders[signatureOf(bytes) ?? ''];
  try {
    return await (decode ? decode(bytes) : decodeByBrowser(file));
  } catch (cause) {
    if (cause instanceof ImageError) throw new PictureError(`${name}: ${cause.message}`, { cause });
    throw new PictureError(`${name}: this browser cannot read it as a picture; choose a PNG or JPEG file`, {
      cause,
    });
  }
}

/** Rows that are read at once: a large picture is there twice anyway. */
const BAND = 256;

async function decodeByBrowser(file: Blob): Promise<Pixels> {
  // Numbers as the file has them: colour profiles are for eyes.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const { width, height } = bitmap;
  checkSize(width, height, 0);
  const rgb = new Uint8Array(3 * width * height);
  const context = new OffscreenCanvas(width, Math.min(height, BAND)).getContext('2d', {
    willReadFrequently: true,
  })!;
  context.fillStyle = '#ffffff';
  for (let y = 0; y < height; y += BAND) {
    context.fillRect(0, 0, width, BAND);
    context.drawImage(bitmap, 0, -y);
    const rgba = context.getImageData(0, 0, width, Math.min(BAND, height - y)).data;
    for (let from = 0, to = 3 * width * y; from < rgba.length; from += 4, to += 3) {
      rgb[to] = rgba[from]!;
      rgb[to + 1] = rgba[from + 1]!;
      rgb[to + 2] = rgba[from + 2]!;
    }
  }
  bitmap.close();
  return { width, height, rgb };
}

/** Puts pixels on a canvas, which takes their size. */
export function paint(canvas: HTMLCanvasElement, { width, height, rgb }: Pixels): void {
  canvas.width = width;
  canvas.height = height;
  const shown = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    shown.data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    shown.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(shown, 0, 0);
}
