// PNG as its specification has it (W3C, 2003), by zlib alone: what a second decoder makes of a file. It is strict: what
// the specification forbids is refused, whatever decoders put up with.

import { crc32, inflateSync } from 'node:zlib';
import { ADAM7 } from '../app/image-fixtures.ts';

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** RGBA of each pixel in 0 .. 1, row by row. Throws where the file is no PNG. */
export function referencePng(bytes: Uint8Array): { width: number; height: number; rgba: Float64Array } {
  const chunks = chunksOf(Buffer.from(bytes));
  const all = (type: string) => chunks.filter((chunk) => chunk.type === type).map(({ data }) => data);
  const [header] = all('IHDR');
  const [width, height] = [header!.readUInt32BE(0), header!.readUInt32BE(4)];
  const [depth, kind, compression, filter, interlace] = [...header!.subarray(8, 13)] as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (!DEPTHS[kind]?.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1)
    throw new Error('no such kind');
  if (width * height === 0 || width * height > 1e6) throw new Error('none, or too large to compare');
  const [channels, most] = [CHANNELS[kind]!, 2 ** depth - 1];
  const [palette] = all('PLTE');
  const [transparent] = all('tRNS');
  const rgba = new Float64Array(4 * width * height);
  const data = inflateSync(Buffer.concat(all('IDAT')));
  let at = 0;

  /** The samples of the next image of so many pixels: all of a picture, or a pass of an interlaced one. */
  function samples(columns: number, rows: number): number[][] {
    const [rowBytes, step] = [
      Math.ceil((columns * channels * depth) / 8),
      Math.max(1, (channels * depth) / 8),
    ];
    let above = new Uint8Array(rowBytes);
    return Array.from({ length: rows }, () => {
      if (at + 1 + rowBytes > data.length) throw new Error('cut off');
      const kind = data[at]!;
      const row = Uint8Array.from(data.subarray(at + 1, at + 1 + rowBytes));
      at += 1 + rowBytes;
      for (const i of row.keys()) {
        const [a, b, c] = [row[i - step] ?? 0, above[i]!, above[i - step] ?? 0];
        row[i]! += predicted(kind, a, b, c);
      }
      above = row;
      const bits = (i: number) => (row[(i * depth) >> 3]! >> (8 - depth - ((i * depth) & 7))) & most;
      const sample = depth === 16 ? (i: number) => 256 * row[2 * i]! + row[2 * i + 1]! : bits;
      return Array.from({ length: columns * channels }, (_, i) => sample(i));
    });
  }

  function colour(pixel: readonly number[]): number[] {
    if (kind === 3) {
      const [index] = pixel as [number];
      if (palette === undefined || 3 * index + 2 >= palette.length) throw new Error('not in the palette');
      const alpha = transparent?.[index] ?? 255;
      return [...palette.subarray(3 * index, 3 * index + 3), alpha].map((v) => v / 255);
    }
    const hasAlpha = kind === 4 || kind === 6;
    const colours = hasAlpha ? pixel.slice(0, -1) : pixel;
    const isKey = !hasAlpha && transparent && colours.every((v, i) => v === transparent.readUInt16BE(2 * i));
    const alpha = hasAlpha ? pixel.at(-1)! / most : isKey ? 0 : 1;
    const rgb = colours.length === 1 ? Array<number>(3).fill(colours[0]!) : colours;
    return [...rgb.map((v) => v / most), alpha];
  }

  for (const pass of interlace ? '1234567' : ' ') {
    const isIn = (x: number, y: number) => pass === ' ' || ADAM7[y % 8]![x % 8] === pass;
    const range = (n: number) => Array.from({ length: n }, (_, i) => i);
    const rows = range(height).filter((y) => range(Math.min(8, width)).some((x) => isIn(x, y)));
    const columns = range(width).filter((x) => rows.some((y) => isIn(x, y)));
    if (columns.length === 0) continue;
    for (const [i, row] of samples(columns.length, rows.length).entries()) {
      for (const [j, x] of columns.entries())
        rgba.set(colour(row.slice(channels * j, channels * (j + 1))), 4 * (width * rows[i]! + x));
    }
  }
  return { width, height, rgba };
}

/** What a filter predicts from the bytes on the left, above, and above on the left. */
function predicted(kind: number, a: number, b: number, c: number): number {
  const [p, q, r] = [b - c, a - c, a + b - 2 * c].map(Math.abs) as [number, number, number];
  const paeth = p <= q && p <= r ? a : q <= r ? b : c;
  const found = [0, a, b, (a + b) >> 1, paeth][kind];
  if (found === undefined) throw new Error('no such filter');
  return found;
}

function chunksOf(bytes: Buffer): { type: string; data: Buffer }[] {
  if (bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('no signature');
  const chunks: { type: string; data: Buffer }[] = [];
  for (let at = 8; chunks.at(-1)?.type !== 'IEND'; ) {
    const end = at + 8 + bytes.readUInt32BE(at);
    if (bytes.readUInt32BE(end) !== crc32(bytes.subarray(at + 4, end))) throw new Error('checksum');
    chunks.push({ type: bytes.toString('latin1', at + 4, at + 8), data: bytes.subarray(at + 8, end) });
    at = end + 4;
  }
  if (chunks[0]!.type !== 'IHDR') throw new Error('no header first');
  return chunks;
}
