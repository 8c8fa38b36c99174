// Pictures in and out of the page: a file decoded by the browser, pixels on a canvas.

import { LimelightError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';

/** A file is not a picture that this browser can read. */
export class PictureError extends LimelightError {}

/** Larger pictures are scaled to this many pixels on their long side, since some networks take any size. */
const LONGEST = 256;

/** Decodes a picture; what is transparent in it is laid over white. Throws PictureError, which names it. */
export async function decodePicture(file: Blob, name: string): Promise<Pixels> {
  const bitmap = await createImageBitmap(file).catch((cause: unknown) => {
    throw new PictureError(`${name}: this browser cannot read it as a picture; choose a PNG or JPEG file`, {
      cause,
    });
  });
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
  const context = new OffscreenCanvas(width!, height!).getContext('2d')!;
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, width!, height!);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width!, height!);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width!, height!).data;
  return { width: width!, height: height!, rgb: Uint8Array.from(rgba.filter((_, i) => i % 4 < 3)) };
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
