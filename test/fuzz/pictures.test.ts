// PNG and JPEG files made by chance, and damaged ones, show what another decoder makes of them, where they are read. By
// hand, thousands: LIMELIGHT_MUTANTS=10000.

import jpegJs from 'jpeg-js';
import test from 'tape';
import { decodeImage, ImageError } from '../../app/image/decode.ts';
import { chunk, png as pngFile } from '../app/image-fixtures.ts';
import { mutated } from '../models/mutations.ts';
import { seededRandom } from '../reference/index.ts';
import { load } from './corpus.ts';
import { referencePng } from './png.ts';
import { readers } from './readers.ts';

const wanted = Number(process.env.LIMELIGHT_MUTANTS ?? 100);

/** RGB in 0 .. 255 over white. */
interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: ArrayLike<number>;
}

function png(bytes: Uint8Array): Picture {
  const { width, height, rgba } = referencePng(bytes);
  const rgb = Float64Array.from({ length: 3 * width * height }, (_, i) => {
    const at = 4 * Math.floor(i / 3);
    const alpha = rgba[at + 3]!;
    return 255 * (rgba[at + (i % 3)]! * alpha + 1 - alpha);
  });
  return { width, height, rgb };
}

function jpeg(bytes: Uint8Array): Picture {
  const { width, height, data } = jpegJs.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
  });
  return { width, height, rgb: data };
}

type Next = () => number;
const below = (next: Next, n: number) => Math.floor(next() * n);

const PNG_KINDS = [
  ...[1, 2, 4, 8, 16].map((depth) => [0, depth, 1] as const),
  ...[1, 2, 4, 8].map((depth) => [3, depth, 1] as const),
  ...[8, 16].flatMap((depth) => [[2, depth, 3] as const, [4, depth, 2] as const, [6, depth, 4] as const]),
];

/** A PNG of any kind whose bytes are drawn, with more rows than it needs, since interlaced ones have seven ends. */
function anyPng(next: Next): Uint8Array {
  const [colourType, depth, channels] = PNG_KINDS[below(next, PNG_KINDS.length)]!;
  const [width, height] = [1 + below(next, 12), 1 + below(next, 12)];
  const interlaced = next() < 0.5;
  const bytes = (length: number, most = 256) => Array.from({ length }, () => below(next, most));
  const passes = interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]];
  const scanlines = passes.flatMap(([x, y, across, down]) => {
    const [columns, rows] = [Math.ceil((width - x!) / across!), Math.ceil((height - y!) / down!)];
    if (columns <= 0 || rows <= 0) return [];
    const length = Math.ceil((columns * channels * depth) / 8);
    return Array.from({ length: rows }, () => [below(next, 5), ...bytes(length)]).flat();
  });
  const hasKey = colourType === 0 || colourType === 2;
  const extra = [
    ...(colourType === 3 ? [chunk('PLTE', Buffer.from(bytes(3 * 2 ** depth)))] : []),
    ...(colourType === 3 && next() < 0.5
      ? [chunk('tRNS', Buffer.from(bytes(1 + below(next, 2 ** depth))))]
      : []),
    ...(hasKey && next() < 0.5
      ? [
          chunk(
            'tRNS',
            Buffer.from(
              Array.from({ length: channels }, () => [
                depth > 8 ? below(next, 256) : 0,
                below(next, 2 ** Math.min(8, depth)),
              ]).flat(),
            ),
          ),
        ]
      : []),
  ];
  return pngFile({ width, height, depth, colourType, interlaced, scanlines, extra });
}

/** A JPEG of noise over a slope, of any size and quality. */
function anyJpeg(next: Next): Uint8Array {
  const [width, height] = [1 + below(next, 40), 1 + below(next, 40)];
  const noise = next() * 128;
  const data = Uint8Array.from(
    { length: 4 * width * height },
    (_, i) => ((3 * (i >> 2)) % 256) * 0.5 + noise * next(),
  );
  return jpegJs.encode({ width, height, data }, 1 + below(next, 100)).data;
}

/**
 * Whether decoders need not agree on a JPEG: they differ in how they make up for components with fewer samples, and
 * libjpeg guesses what scans that a damaged progressive file lacks would say.
 */
function isOpen(bytes: Uint8Array, isWhole: boolean): boolean {
  const at = bytes.findIndex((byte, i) => byte === 255 && bytes[i + 1]! >= 0xc0 && bytes[i + 1]! <= 0xc2);
  const sampling = Array.from({ length: bytes[at + 9]! }, (_, i) => bytes[at + 11 + 3 * i]);
  return sampling.some((of) => of !== sampling[0]) || (bytes[at + 1] === 0xc2 && !isWhole);
}

/**
 * Another decoder, files by chance, by how many levels of 256 the decoders may differ, and which share of a damaged file's
 * numbers may differ by more.
 */
const decoders = {
  // Samples of 16 bits and alpha are rounded to 8 bits each before they are put over white.
  png: { other: png, any: anyPng, most: 1.5, stray: 0 },
  // Damage takes blocks far out of range: there libjpeg's numbers turn over, and the other decoder's are cut off.
  jpeg: { other: jpeg, any: anyJpeg, most: 3, stray: 0.5 },
} as const;

for (const [name, { other, any, most, stray }] of Object.entries(decoders)) {
  test(`${name} files by chance, and damaged ones, against another decoder`, async (t) => {
    const next = seededRandom(1);
    const { good, repaired = (bytes: Uint8Array) => bytes } = readers[name]!;
    const files = [...(await good()), ...load(name)];
    const wrong: string[] = [];
    let [tried, read, both] = [0, 0, 0];
    for (; both < wanted && tried < 100 * wanted; tried++) {
      const file = files[tried % files.length]!;
      const whole = tried % 2 === 0 ? any(next) : file;
      const isWhole = tried % 4 === 0 || tried < files.length;
      const bytes = isWhole ? whole : repaired(mutated(whole, next));
      if (name === 'jpeg' && isOpen(bytes, isWhole)) continue;
      const found = await decodeImage(bytes, 'a').catch((error: unknown) => {
        if (!(error instanceof ImageError)) throw error;
      });
      if (!found) continue;
      read++;
      let expected: Picture;
      try {
        expected = other(bytes);
      } catch {
        continue;
      }
      both++;
      const isSize = found.width === expected.width && found.height === expected.height;
      // 0 and 255 are where the other decoder cuts off.
      const isCut = (i: number) => [0, 1, 2].some((c) => expected.rgb[i - (i % 3) + c]! % 255 === 0);
      const differ = found.rgb.filter(
        (v, i) => Math.abs(v - expected.rgb[i]!) > most && (isWhole || stray === 0 || !isCut(i)),
      );
      const off = differ.length / found.rgb.length;
      if (!isSize || off > (isWhole ? 0 : stray))
        wrong.push(
          `${(100 * off).toFixed(1)} % off, ${found.width} x ${found.height}: ${Buffer.from(bytes).toString('base64')}`,
        );
    }
    t.deepEqual(wrong, [], `${both} of ${tried} were decoded by both, ${read} were read`);
    t.equal(both, wanted);
  });
}
