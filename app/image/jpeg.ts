// JPEG in, by libjpeg-turbo, which refuses the four colours of print: those by jpeg-js. The header is read here first, for
// what both leave open: the size limit before any allocation, the EXIF orientation, and files whose decoding would take
// minutes.

import { decode } from 'jpeg-js';
import { MAX_PIXELS, type Pixels } from '../../models/pixels.ts';
import { decodeBy } from './codec.ts';
import { ImageError } from './errors.ts';
import { checkSize, DECODING_BYTES } from './limits.ts';

/** What jpeg-js may take; enough for 40 megapixels. The process peaks at about twice this. */
const MAX_PRINT_MB = 1024;
/** A photo has about ten progressive scans; thousands of them over a large picture only burn time. */
const MAX_SCANNED_PIXELS = 16 * MAX_PIXELS;
/** The largest unit of compressed data covers 32 x 32 pixels and takes at least one bit. */
const MAX_PIXELS_PER_BYTE = 8 * 32 * 32;

/** Start-of-frame markers that are not supported, by their low nibble (T.81, table B.1). */
const frames: Record<number, string> = {
  3: 'lossless',
  5: 'hierarchical',
  6: 'hierarchical',
  7: 'lossless',
  9: 'arithmetic-coded',
  10: 'arithmetic-coded',
  11: 'lossless',
  13: 'hierarchical',
  14: 'hierarchical',
  15: 'lossless',
};

/**
 * How to read the upright picture from the stored one, by EXIF orientation 1 to 8: swap the coordinates, then
 * mirror the stored column, then the stored row.
 */
const orientations: { swap: boolean; mirrorX: boolean; mirrorY: boolean }[] = [
  { swap: false, mirrorX: false, mirrorY: false },
  { swap: false, mirrorX: true, mirrorY: false },
  { swap: false, mirrorX: true, mirrorY: true },
  { swap: false, mirrorX: false, mirrorY: true },
  { swap: true, mirrorX: false, mirrorY: false },
  { swap: true, mirrorX: false, mirrorY: true },
  { swap: true, mirrorX: true, mirrorY: true },
  { swap: true, mirrorX: true, mirrorY: false },
];

interface Header {
  readonly width: number;
  readonly height: number;
  /** Component identifiers in file order. */
  readonly components: readonly number[];
  /** EXIF orientation, 1 to 8. */
  readonly orientation: number;
  /** The colour transform of the Adobe marker: 0 none, 1 YCbCr, 2 YCCK. */
  readonly adobe: number | undefined;
}

/** Decodes a baseline or progressive JPEG, upright. Throws ImageError, or whatever the decoders throw. */
export async function decodeJpeg(bytes: Uint8Array): Promise<Pixels> {
  const { width, height, components, adobe, orientation } = readHeader(bytes);
  const pixels = width * height;
  if (pixels > bytes.length * MAX_PIXELS_PER_BYTE) throw cutOff();
  if (pixels * countScans(bytes) > MAX_SCANNED_PIXELS) {
    throw new ImageError(
      'this JPEG has too many scans to decode in reasonable time; save it as baseline JPEG',
    );
  }
  if (components.length === 4) return upright(decodePrint(bytes, adobe), orientation);
  const decoded = await decodeBy('jpeg', bytes, 'ignored');
  const [damage] = decoded.complaints.filter((line) => !HARMLESS.test(line));
  if (damage !== undefined) throw /premature end/i.test(damage) ? cutOff() : new Error(damage);
  return upright(decoded.pixels, orientation);
}

/** Complaints about files of which every pixel is known all the same. */
const HARMLESS =
  /extraneous bytes before marker|Invalid SOS parameters|Inconsistent progression|Unknown Adobe/i;

/** Decodes CMYK and YCCK, inks stored inverted as Adobe does. */
function decodePrint(bytes: Uint8Array, adobe: number | undefined): Pixels {
  if (adobe === undefined) {
    throw new ImageError('this JPEG has four colours but does not say which; save it again as RGB');
  }
  const { width, height, data } = decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: MAX_PIXELS / 1e6,
    maxMemoryUsageInMB: MAX_PRINT_MB,
  });
  return { width, height, rgb: data };
}

/** Reads the segments up to the first scan. */
function readHeader(bytes: Uint8Array): Header {
  let frame: Pick<Header, 'width' | 'height' | 'components'> | undefined;
  let orientation: number | undefined;
  let adobe: number | undefined;
  for (let at = 2; ; ) {
    // Encoders pad between segments with 0xff, or with whatever was in memory.
    while (at < bytes.length && (bytes[at] !== 0xff || bytes[at + 1] === 0xff || bytes[at + 1] === 0)) at++;
    if (at + 4 > bytes.length) throw cutOff();
    const marker = bytes[at + 1]!;
    const end = at + 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
    if (marker === 0xda) break;
    if (end > bytes.length) throw cutOff();
    const segment = bytes.subarray(at + 4, end);
    at = Math.max(end, at + 4);

    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) frame = readFrame(marker, segment);
    const name = String.fromCharCode(...segment.subarray(0, 5));
    if (marker === 0xe1 && name === 'Exif\0') orientation ??= exifOrientation(segment.subarray(6));
    if (marker === 0xee && name === 'Adobe') adobe = segment[11];
  }
  if (!frame) throw new Error('a scan before any frame');
  return { ...frame, orientation: orientation ?? 1, adobe };
}

function readFrame(marker: number, segment: Uint8Array): Pick<Header, 'width' | 'height' | 'components'> {
  const kind = frames[marker & 15];
  if (kind) throw new ImageError(`this is a ${kind} JPEG; baseline and progressive ones are supported`);
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  const precision = view.getUint8(0);
  if (precision !== 8) {
    throw new ImageError(`this JPEG has ${precision} bits per sample; 8 are supported`);
  }
  const [height, width, count] = [view.getUint16(1), view.getUint16(3), view.getUint8(5)];
  checkSize(width, height, DECODING_BYTES.JPEG);

  const components = Array.from({ length: count }, (_, i) => view.getUint8(6 + 3 * i));
  const factors = components.map((_, i) => view.getUint8(7 + 3 * i));
  // jpeg-js repeats pixels where libjpeg draws lines between them: up to 48 levels apart at edges of colours.
  if (count === 4 && new Set(factors).size > 1) {
    throw new ImageError(
      'this JPEG of four colours has some of them at a lower resolution, which is not decoded as other programs do; save it as RGB',
    );
  }
  // jpeg-js keeps coefficients of 4 bytes and samples of 1, then all components at full size, then RGB.
  if (count === 4 && width * height * (5 * count + count + 3) > MAX_PRINT_MB * 2 ** 20) {
    throw new ImageError(
      `this JPEG of four colours is ${width} x ${height} and takes more than ${MAX_PRINT_MB} MB to decode; ` +
        'make it smaller, or save it as RGB',
    );
  }
  return { width, height, components };
}

/**
 * The orientation tag of an EXIF block (a TIFF file: byte order, 42, offset of the first directory). 1 where
 * there is none or the block is damaged: broken metadata must not stop a good picture.
 */
function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const [ORIENTATION, SHORT] = [0x0112, 3];
  try {
    const little = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, little);
    const count = view.getUint16(directory, little);
    for (let i = 0; i < count; i++) {
      const entry = directory + 2 + 12 * i;
      if (view.getUint16(entry, little) !== ORIENTATION) continue;
      const value = view.getUint16(entry + 2, little) === SHORT ? view.getUint16(entry + 8, little) : 1;
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch {
    // An offset beyond the block.
  }
  return 1;
}

/** Counts the start-of-scan markers, wherever they stand: one too many does no harm here. */
function countScans(bytes: Uint8Array): number {
  let scans = 0;
  for (let at = bytes.indexOf(0xff); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xda) scans++;
  }
  return scans;
}

function upright({ width, height, rgb }: Pixels, orientation: number): Pixels {
  if (orientation === 1) return { width, height, rgb };
  const { swap, mirrorX, mirrorY } = orientations[orientation - 1]!;
  const [columns, rows] = swap ? [height, width] : [width, height];
  const out = new Uint8Array(rgb.length);
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [u, v] = swap ? [y, x] : [x, y];
      const column = mirrorX ? width - 1 - u : u;
      const row = mirrorY ? height - 1 - v : v;
      const from = 3 * (row * width + column);
      for (let c = 0; c < 3; c++) out[to++] = rgb[from + c]!;
    }
  }
  return { width: columns, height: rows, rgb: out };
}

function cutOff(): ImageError {
  return new ImageError('this JPEG file is cut off before its picture ends; copy or download it again');
}
