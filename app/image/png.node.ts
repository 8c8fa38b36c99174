// PNG in and out, by pngjs. The container is checked here first: given a damaged deflate stream pngjs returns
// whatever its output buffer happened to hold, an interlaced one it inflates without limit, and a second
// header overrides the first.

import { inflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import type { Pixels } from '../../models/pixels.ts';
import { type Background, type Opaque, opaque } from './alpha.ts';
import { ImageError } from './errors.ts';
import { checkSize, DECODING_BYTES } from './limits.ts';

const SIGNATURE_BYTES = 8;
/** Length, type and checksum around the data of every chunk. */
const CHUNK_OVERHEAD = 12;
const RGB = 2;

/** Samples per pixel by PNG colour type: grey, RGB, palette, grey and alpha, RGBA. */
const channels: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Adam7: first column, first row, column step and row step of each pass. */
const interlaced = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];
const progressive = [[0, 0, 1, 1]];

/** Decodes a PNG of any kind. Throws ImageError, or whatever pngjs throws on a damaged file. */
export function decodePng(bytes: Uint8Array, background: Background = 'white'): Opaque {
  const { end, header, compressed } = readChunks(bytes);
  const size = scanlineBytes(header);
  const scanlines = inflateSync(compressed, { maxOutputLength: size });
  if (scanlines.length !== size) throw cutOff();

  const { width, height, data } = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, end));
  return opaque(width, height, data, background);
}

/** Encodes a picture as an 8-bit RGB PNG. */
export function encodePng({ width, height, rgb }: Pixels): Uint8Array {
  const png = new PNG({ width, height });
  png.data = Buffer.from(rgb.buffer, rgb.byteOffset, rgb.byteLength);
  return PNG.sync.write(png, { colorType: RGB, inputColorType: RGB, inputHasAlpha: false });
}

/** Finds the header, the compressed data, and where the last chunk ends: files often carry bytes after it. */
function readChunks(bytes: Uint8Array): { end: number; header: DataView; compressed: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data: Uint8Array[] = [];
  let header: DataView | undefined;
  for (let at = SIGNATURE_BYTES; ; ) {
    if (at + CHUNK_OVERHEAD > bytes.length) throw cutOff();
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const start = at + 8;
    at = start + length + 4;
    if (at > bytes.length) throw cutOff();
    if ((type === 'IHDR') !== (header === undefined)) throw new Error('header missing or repeated');
    if (type === 'IHDR') {
      header = new DataView(bytes.buffer, bytes.byteOffset + start, length);
      checkSize(header.getUint32(0), header.getUint32(4), DECODING_BYTES.PNG);
    }
    if (type === 'IDAT') data.push(bytes.subarray(start, start + length));
    if (type === 'IEND') return { end: at, header: header!, compressed: Buffer.concat(data) };
  }
}

/** How many bytes the picture data must inflate to: for each row a filter byte and the packed samples. */
function scanlineBytes(header: DataView): number {
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const bits = header.getUint8(8) * (channels[header.getUint8(9)] ?? Number.NaN);
  let total = 0;
  for (const [x, y, stepX, stepY] of header.getUint8(12) ? interlaced : progressive) {
    const columns = Math.ceil((width - x!) / stepX!);
    const rows = Math.ceil((height - y!) / stepY!);
    if (columns > 0 && rows > 0) total += rows * (1 + Math.ceil((columns * bits) / 8));
  }
  if (!(total > 0)) throw new Error('unknown colour type');
  return total;
}

function cutOff(): ImageError {
  return new ImageError('this PNG file is cut off before its picture ends; copy or download it again');
}
