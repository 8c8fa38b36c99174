// PNG and JPEG files built by hand from their specifications, so that the decoders are tested against known
// pixels rather than against the encoder of the same library.

import { crc32, deflateSync } from 'node:zlib';

/** The pass of each pixel in an 8 x 8 tile of an interlaced PNG, as the specification draws it. */
export const ADAM7 = [
  '16462646',
  '77777777',
  '56565656',
  '77777777',
  '36463646',
  '77777777',
  '56565656',
  '77777777',
];

export function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

export interface PngFixture {
  readonly width: number;
  readonly height: number;
  /** Bits per sample; 8 unless told. */
  readonly depth?: number;
  readonly colourType: number;
  readonly interlaced?: boolean;
  /** Scanlines, each starting with its filter byte; compressed here unless `compressed` is given. */
  readonly scanlines?: readonly number[];
  readonly compressed?: Uint8Array;
  /** Chunks between the header and the data. */
  readonly extra?: readonly Buffer[];
}

export function png(fixture: PngFixture): Buffer {
  const { width, height, depth = 8, colourType, interlaced = false, scanlines = [], extra = [] } = fixture;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([depth, colourType, 0, 0, interlaced ? 1 : 0], 8);
  const compressed = fixture.compressed ?? deflateSync(Buffer.from(scanlines));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...extra,
    chunk('IDAT', compressed),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

export interface JpegFixture {
  readonly width: number;
  readonly height: number;
  /** For each 8 x 8 block, row by row, the sample of each component. */
  readonly blocks: readonly (readonly number[])[];
  /** Component identifiers; 1, 2, 3 ... unless told. */
  readonly ids?: readonly number[];
  /** Low byte of the start-of-frame marker; 0xc0 (baseline) unless told, 0xc2 is progressive. */
  readonly frame?: number;
  readonly precision?: number;
  /** Segments before the frame. */
  readonly segments?: readonly Buffer[];
  /** How often the scans after the first are repeated, in a progressive file. */
  readonly repeat?: number;
}

export function segment(marker: number, data: Uint8Array | readonly number[]): Buffer {
  const length = data.length + 2;
  return Buffer.concat([Buffer.from([0xff, marker, length >> 8, length & 255]), Buffer.from(data)]);
}

export const adobe = (transform: number) =>
  segment(0xee, [...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, transform]);

export function exif(orientation: number, little: boolean): Buffer {
  const tiff = Buffer.alloc(26 + 12);
  const u16 = (value: number, at: number) =>
    little ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at);
  tiff.write(little ? 'II' : 'MM');
  u16(42, 2);
  u32(8, 4);
  u16(2, 8);
  // An entry before it: the width, as one long.
  u16(0x0100, 10);
  u16(4, 12);
  u32(1, 14);
  u32(99, 18);
  u16(0x0112, 22);
  u16(3, 24);
  u32(1, 26);
  u16(orientation, 30);
  return segment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), tiff]));
}

/**
 * A JPEG of blocks of one colour each. Quantiser 8 makes a sample exactly 128 + DC. The DC table has the
 * categories 0 to 11 as 4-bit codes, the AC table only "end of block" as one bit.
 */
export function jpeg(fixture: JpegFixture): Buffer {
  const { width, height, blocks, frame = 0xc0, precision = 8, segments = [], repeat = 1 } = fixture;
  const ids = fixture.ids ?? blocks[0]!.map((_, i) => i + 1);
  const every = ids.map((_, i) => i);
  const components = ids.flatMap((id) => [id, 0x11, 0]);
  const scan = (of: readonly number[], first: number, last: number) => {
    const bits: string[] = [];
    const previous = ids.map(() => 0);
    for (const block of blocks) {
      for (const c of of) {
        if (first === 0) {
          const difference = block[c]! - 128 - previous[c]!;
          previous[c] = block[c]! - 128;
          const category = difference === 0 ? 0 : 32 - Math.clz32(Math.abs(difference));
          const value = difference > 0 ? difference : difference + 2 ** category - 1;
          bits.push(category.toString(2).padStart(4, '0'));
          if (category > 0) bits.push(value.toString(2).padStart(category, '0'));
        }
        if (last > 0) bits.push('0');
      }
    }
    const text = bits.join('');
    const bytes = (text.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '1'), 2));
    return Buffer.concat([
      segment(0xda, [of.length, ...of.flatMap((c) => [ids[c]!, 0]), first, last, 0]),
      Buffer.from(bytes.flatMap((byte) => (byte === 0xff ? [0xff, 0] : [byte]))),
    ]);
  };
  const refinements = Array.from({ length: repeat }, () => every.map((c) => scan([c], 1, 63))).flat();
  const dcCodes = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const acCodes = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    ...segments,
    segment(0xdb, [0, ...new Array<number>(64).fill(8)]),
    segment(frame, [
      precision,
      height >> 8,
      height & 255,
      width >> 8,
      width & 255,
      ids.length,
      ...components,
    ]),
    segment(0xc4, [0x00, ...dcCodes, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    segment(0xc4, [0x10, ...acCodes, 0]),
    ...(frame === 0xc2 ? [scan(every, 0, 0), ...refinements] : [scan(every, 0, 63)]),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** Pseudo-random integers below `limit` (mulberry32). */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}
