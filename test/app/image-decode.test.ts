// Decoding pictures: every kind of PNG and JPEG against known pixels, and files that are not what they claim.

import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import jpegJs from 'jpeg-js';
import test, { type Test } from 'tape';
import { decodeImage, encodePng, ImageError } from '../../app/image/decode.ts';
import type { Pixels } from '../../models/pixels.ts';
import { ADAM7, adobe, chunk, exif, jpeg, type PngFixture, png, random, segment } from './image-fixtures.ts';

const [GREY, RGB, PALETTE, GREY_ALPHA, RGBA] = [0, 2, 3, 4, 6];

async function equal(
  t: Test,
  bytes: Uint8Array,
  expected: Pixels | { width: number; height: number; rgb: number[] },
  what: string,
): Promise<void> {
  const { width, height, rgb } = await decodeImage(bytes, what);
  t.deepEqual([width, height, ...rgb], [expected.width, expected.height, ...expected.rgb], what);
}

async function refused(t: Test, bytes: Uint8Array, pattern: RegExp, what: string): Promise<void> {
  try {
    await decodeImage(bytes, 'holiday.png');
    t.fail(`${what}: decoded`);
  } catch (error) {
    t.ok(error instanceof ImageError, `${what}: ImageError (${error})`);
    t.match(String(error), /^ImageError: holiday\.png: /, `${what}: names the file`);
    t.match(String(error), pattern, `${what}: says why`);
  }
}

const pngKinds: { what: string; fixture: PngFixture; rgb: number[] }[] = [
  {
    what: '8-bit RGB with the Sub and Up filters',
    fixture: {
      width: 2,
      height: 2,
      colourType: RGB,
      scanlines: [1, 10, 20, 30, 1, 2, 3, 2, 5, 5, 5, 0, 0, 255],
    },
    rgb: [10, 20, 30, 11, 22, 33, 15, 25, 35, 11, 22, 32],
  },
  {
    what: '16-bit RGB',
    fixture: {
      width: 1,
      height: 1,
      depth: 16,
      colourType: RGB,
      scanlines: [0, 0xff, 0xff, 0x80, 0x80, 0x01, 0x00],
    },
    rgb: [255, 128, 1],
  },
  {
    what: '8-bit grey',
    fixture: { width: 2, height: 1, colourType: GREY, scanlines: [0, 7, 250] },
    rgb: [7, 7, 7, 250, 250, 250],
  },
  {
    what: '16-bit grey and alpha',
    fixture: { width: 1, height: 1, depth: 16, colourType: GREY_ALPHA, scanlines: [0, 0, 0, 0x80, 0x80] },
    rgb: [127, 127, 127],
  },
  {
    what: '1-bit grey, a row that is not a whole byte',
    fixture: { width: 3, height: 2, depth: 1, colourType: GREY, scanlines: [0, 0b10100000, 0, 0b01000000] },
    rgb: [255, 0, 255, 0, 255, 0].flatMap((v) => [v, v, v]),
  },
  {
    what: '2-bit grey',
    fixture: { width: 4, height: 1, depth: 2, colourType: GREY, scanlines: [0, 0b00011011] },
    rgb: [0, 85, 170, 255].flatMap((v) => [v, v, v]),
  },
  {
    what: '4-bit palette with a transparent entry',
    fixture: {
      width: 3,
      height: 1,
      depth: 4,
      colourType: PALETTE,
      scanlines: [0, 0x01, 0x20],
      extra: [
        chunk('PLTE', Buffer.from([1, 2, 3, 100, 110, 120, 9, 8, 7])),
        chunk('tRNS', Buffer.from([255, 0])),
      ],
    },
    rgb: [1, 2, 3, 255, 255, 255, 9, 8, 7],
  },
  {
    what: 'RGB with a transparent colour',
    fixture: {
      width: 2,
      height: 1,
      colourType: RGB,
      scanlines: [0, 1, 2, 3, 3, 2, 1],
      extra: [chunk('tRNS', Buffer.from([0, 1, 0, 2, 0, 3]))],
    },
    rgb: [255, 255, 255, 3, 2, 1],
  },
  {
    what: 'RGBA over white',
    fixture: {
      width: 3,
      height: 1,
      colourType: RGBA,
      scanlines: [0, 9, 8, 7, 255, 9, 8, 7, 0, 0, 100, 255, 51],
    },
    rgb: [9, 8, 7, 255, 255, 255, 204, 224, 255],
  },
];

test('PNG of every kind', async (t) => {
  for (const { what, fixture, rgb } of pngKinds) {
    await equal(t, png(fixture), { width: fixture.width, height: fixture.height, rgb }, what);
  }
  const { fixture, rgb } = pngKinds[0]!;
  await equal(
    t,
    Buffer.concat([png(fixture), Buffer.from('more')]),
    { width: 2, height: 2, rgb },
    'bytes after the end',
  );
  const shifted = Buffer.concat([Buffer.from([1, 2, 3]), png(fixture)]).subarray(3);
  await equal(t, shifted, { width: 2, height: 2, rgb }, 'a view into a larger buffer');
});

test('interlaced PNG of every small size', async (t) => {
  const wrong: string[] = [];
  for (let width = 1; width <= 9; width++) {
    for (let height = 1; height <= 9; height++) {
      const value = (x: number, y: number) => 10 * y + x;
      const scanlines: number[] = [];
      const rgb: number[] = [];
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) rgb.push(value(x, y), value(x, y), value(x, y));
      }
      for (const pass of '1234567') {
        for (let y = 0; y < height; y++) {
          const row: number[] = [];
          for (let x = 0; x < width; x++) if (ADAM7[y % 8]![x % 8] === pass) row.push(value(x, y));
          if (row.length > 0) scanlines.push(0, ...row);
        }
      }
      const decoded = await decodeImage(
        png({ width, height, colourType: GREY, interlaced: true, scanlines }),
        'adam7',
      );
      if (String([...decoded.rgb]) !== String(rgb)) wrong.push(`${width} x ${height}`);
    }
  }
  t.deepEqual(wrong, [], 'all of 1 x 1 to 9 x 9');
});

test('encodePng keeps every pixel', async (t) => {
  for (const [width, height] of [
    [1, 1],
    [7, 3],
    [1, 13],
  ] as const) {
    const next = random(width);
    const pixels = { width, height, rgb: Uint8Array.from({ length: width * height * 3 }, () => next(256)) };
    await equal(t, encodePng(pixels), pixels, `${width} x ${height}`);
  }
});

function fill(width: number, height: number, colours: readonly (readonly number[])[]): number[] {
  // Every 8 x 8 block in its colour.
  const columns = Math.ceil(width / 8);
  const rgb: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rgb.push(...colours[(y >> 3) * columns + (x >> 3)]!);
  }
  return rgb;
}

test('JPEG of every kind', async (t) => {
  const grey = { width: 11, height: 9, blocks: [[0], [255], [77], [128]] };
  const greyPixels = fill(11, 9, [
    [0, 0, 0],
    [255, 255, 255],
    [77, 77, 77],
    [128, 128, 128],
  ]);
  await equal(t, jpeg(grey), { width: 11, height: 9, rgb: greyPixels }, 'baseline grey');
  await equal(
    t,
    jpeg({ ...grey, frame: 0xc2 }),
    { width: 11, height: 9, rgb: greyPixels },
    'progressive grey',
  );
  await equal(t, jpeg({ ...grey, frame: 0xc1 }), { width: 11, height: 9, rgb: greyPixels }, 'extended grey');

  // Full-range YCbCr of BT.601: R = Y + 1.402 (Cr - 128), and so on.
  const blocks = [
    [100, 128, 178],
    [100, 178, 128],
  ];
  const rgb = fill(16, 8, [
    [170, 64, 100],
    [100, 83, 189],
  ]);
  await equal(t, jpeg({ width: 16, height: 8, blocks }), { width: 16, height: 8, rgb }, 'baseline YCbCr');
  await equal(
    t,
    jpeg({ width: 16, height: 8, blocks, frame: 0xc2 }),
    { width: 16, height: 8, rgb },
    'progressive YCbCr',
  );
  await equal(
    t,
    jpeg({ width: 16, height: 8, blocks, segments: [adobe(1)] }),
    { width: 16, height: 8, rgb },
    'Adobe YCbCr',
  );

  const plain = { width: 16, height: 8, rgb: fill(16, 8, blocks) };
  await equal(t, jpeg({ width: 16, height: 8, blocks, segments: [adobe(0)] }), plain, 'Adobe RGB');
  await equal(
    t,
    jpeg({ width: 16, height: 8, blocks, ids: [82, 71, 66] }),
    plain,
    'components named R, G, B',
  );

  // Adobe stores 255 minus the ink.
  const inks = [
    [0, 255, 255, 255],
    [255, 255, 255, 0],
    [255, 155, 255, 255],
  ];
  const printed = fill(24, 8, [
    [0, 255, 255],
    [0, 0, 0],
    [255, 155, 255],
  ]);
  await equal(
    t,
    jpeg({ width: 24, height: 8, blocks: inks, segments: [adobe(0)] }),
    { width: 24, height: 8, rgb: printed },
    'CMYK',
  );
  const ycck = { width: 8, height: 8, blocks: [[200, 128, 128, 255]], segments: [adobe(2)] };
  await equal(t, jpeg(ycck), { width: 8, height: 8, rgb: fill(8, 8, [[55, 55, 55]]) }, 'YCCK');
  const coarse = Buffer.from(jpeg(ycck));
  // Behind marker, length, precision, size, count and the first component's name: its sampling factors.
  coarse[coarse.indexOf(Buffer.from([0xff, 0xc0])) + 11] = 0x22;
  await decodeImage(coarse, 'print.jpg').then(
    () => t.fail('colours of several resolutions are decoded'),
    (error: Error) => t.match(error.message, /print\.jpg: .*four colours.*lower resolution.*save it as RGB/),
  );
});

test('JPEG with texture decodes close to what was encoded', async (t) => {
  const [width, height] = [21, 13];
  const data = Buffer.alloc(width * height * 4, 255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set([10 * x, 15 * y, 128 + 5 * (x - y)], 4 * (y * width + x));
  }
  const decoded = await decodeImage(jpegJs.encode({ width, height, data }, 98).data, 'texture.jpg');
  t.deepEqual(
    [decoded.width, decoded.height, decoded.rgb.length],
    [width, height, width * height * 3],
    'size',
  );
  let worst = 0;
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) worst = Math.max(worst, Math.abs(decoded.rgb[3 * i + c]! - data[4 * i + c]!));
  }
  t.ok(worst <= 8, `largest difference ${worst}`);
});

interface Reference {
  readonly size: readonly [width: number, height: number];
  readonly cases: readonly { readonly title: string; readonly file: string; readonly rgb: string }[];
}
const reference: Reference = JSON.parse(
  readFileSync(new URL('./references/pictures.json', import.meta.url), 'utf8'),
);
const fromBase64 = (text: string) => Buffer.from(text, 'base64');

test('JPEG and WebP are decoded as Pillow decodes them', async (t) => {
  for (const { title, file, rgb } of reference.cases) {
    const decoded = await decodeImage(fromBase64(file), title);
    t.deepEqual([decoded.width, decoded.height], reference.size, title);
    const expected = fromBase64(rgb);
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - decoded.rgb[i]!)), 0);
    // The four colours of print come from another library, which rounds in another place.
    t.ok(worst <= (title.includes('CMYK') ? 1 : 0), `${title}: largest difference ${worst}`);
    t.equal(decoded.transparent, title.includes('alpha'), `${title}: transparent`);
  }
});

test('a background stands behind what is transparent', async (t) => {
  const file = png({ width: 2, height: 1, colourType: RGBA, scanlines: [0, 9, 8, 7, 0, 0, 100, 255, 51] });
  for (const [background, expected] of [
    ['white', [255, 255, 255, 204, 224, 255]],
    ['black', [0, 0, 0, 0, 20, 51]],
    ['ignored', [9, 8, 7, 0, 100, 255]],
  ] as const) {
    const { rgb, transparent } = await decodeImage(file, 'a.png', background);
    t.deepEqual([...rgb], expected, background);
    t.ok(transparent);
  }
  t.notOk((await decodeImage(png(pngKinds[0]!.fixture), 'opaque.png')).transparent);
});

test('WebP files that lie', async (t) => {
  const still = (title: string) => fromBase64(reference.cases.find((one) => one.title === title)!.file);
  const changed = (title: string, at: number, ...bytes: number[]) => {
    const copy = Buffer.from(still(title));
    copy.set(bytes, at);
    return copy;
  };
  await refused(t, changed('WebP lossy', 26, 0xff, 0x3f, 0xff, 0x3f), /64 megapixels/, 'lossy');
  await refused(t, changed('WebP lossless', 21, 0xff, 0xff, 0xff, 0x0f), /64 megapixels/, 'lossless');
  await refused(
    t,
    changed('WebP lossy with alpha', 24, 255, 255, 0, 255, 255, 0),
    /64 megapixels/,
    'with alpha',
  );
  await refused(t, changed('WebP lossy with alpha', 20, 0x12), /animation/, 'an animation');
  await refused(t, changed('WebP lossy', 12, 0x41), /damaged/, 'an unknown chunk');
  await refused(t, Buffer.from('RIFF\x24\0\0\0WEBPVP8 ', 'latin1'), /cut off/, 'a header alone');
});

test('EXIF orientation', async (t) => {
  // A picture of 2 x 1 blocks, A B; how each orientation shows it, by the definition of the tag.
  const [a, b] = [[40], [200]];
  const shown: Record<number, string> = {
    1: 'A B',
    2: 'B A',
    3: 'B A',
    4: 'A B',
    5: 'A/B',
    6: 'A/B',
    7: 'B/A',
    8: 'B/A',
  };
  const check = async (segments: Buffer[], expected: string, what: string) => {
    const { width, height, rgb } = await decodeImage(
      jpeg({ width: 16, height: 8, blocks: [a, b], segments }),
      what,
    );
    const names: Record<number, string> = { 40: 'A', 200: 'B' };
    const [first, last] = [names[rgb[0]!], names[rgb.at(-1)!]];
    t.deepEqual([width, height], expected.includes('/') ? [8, 16] : [16, 8], `${what}: size`);
    t.equal(`${first}${expected[1]}${last}`, expected, what);
  };
  for (const little of [false, true]) {
    for (let o = 1; o <= 8; o++)
      await check([exif(o, little)], shown[o]!, `${o}, ${little ? 'little' : 'big'} endian`);
  }

  // 2 x 2 blocks tell the mirrored orientations apart.
  const corners: Record<number, string> = {
    1: 'ABCD',
    2: 'BADC',
    3: 'DCBA',
    4: 'CDAB',
    5: 'ACBD',
    6: 'CADB',
    7: 'DBCA',
    8: 'BDAC',
  };
  for (let o = 1; o <= 8; o++) {
    const blocks = [...'ABCD'].map((letter) => [letter.charCodeAt(0)]);
    const bytes = jpeg({ width: 16, height: 16, blocks, segments: [exif(o, true)] });
    const { rgb } = await decodeImage(bytes, 'corners');
    const found = [0, 15, 240, 255].map((at) => String.fromCharCode(rgb[3 * at]!)).join('');
    t.equal(found, corners[o], `orientation ${o}: corners`);
  }

  for (const value of [0, 9, 65535])
    await check([exif(value, true)], 'A B', `orientation ${value} is ignored`);
  await check([exif(1, true), exif(6, true)], 'A B', 'the first EXIF block counts');
  const whole = exif(6, false);
  for (let length = 6; length < whole.length - 4; length++) {
    const cut = segment(0xe1, whole.subarray(4, length));
    const size = (await decodeImage(jpeg({ width: 16, height: 8, blocks: [a, b], segments: [cut] }), 'cut'))
      .width;
    if (size !== 16 && size !== 8) t.fail(`EXIF cut at ${length}`);
  }
  t.pass('a damaged EXIF block does not stop the picture');
});

test('files of other formats', async (t) => {
  const kinds: [string | Buffer, RegExp][] = [
    ['GIF89a\x01\0\x01\0', /GIF/],
    ['BM\x46\0\0\0', /BMP/],
    ['II*\0\x08\0\0\0', /TIFF/],
    ['\0\0\0\x20ftypavif', /AVIF/],
    ['\0\0\0\x18ftypheic', /HEIC/],
    ['\0\0\0\x0cJXL \r\n', /JPEG XL/],
    ['%PDF-1.7', /PDF/],
    ['<!DOCTYPE html><html>', /HTML/],
    ['<svg xmlns="http://www.w3.org/2000/svg"/>', /SVG/],
    ['a text', /not known/],
    ['\xff', /not known/],
    [Buffer.alloc(100), /not known/],
  ];
  for (const [content, pattern] of kinds) {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
    await refused(t, bytes, pattern, String(pattern));
    await refused(t, bytes, /PNG, JPEG and WebP are read/, String(pattern));
  }
  await refused(t, new Uint8Array(0), /empty/, 'an empty file');
});

test('pictures of impossible size are refused by their header', async (t) => {
  const huge = { width: 50_000, height: 50_000 };
  await refused(t, png({ ...huge, colourType: RGBA }), /50000 x 50000.*64 megapixels/, 'PNG');
  await refused(t, png({ ...huge, colourType: RGBA, interlaced: true }), /64 megapixels/, 'interlaced PNG');
  await refused(
    t,
    png({ width: 0xffffffff, height: 0xffffffff, colourType: GREY }),
    /64 megapixels/,
    'largest PNG',
  );
  await refused(t, jpeg({ ...huge, blocks: [[1]] }), /50000 x 50000.*64 megapixels/, 'JPEG');
  await refused(
    t,
    jpeg({ width: 8000, height: 8000, blocks: [[1]] }),
    /cut off/,
    'JPEG of 64 megapixels in 300 bytes',
  );
  await refused(
    t,
    png({ width: 8000, height: 8000, colourType: GREY, scanlines: [0, 1] }),
    /cut off/,
    'PNG likewise',
  );
  await refused(
    t,
    jpeg({ width: 8000, height: 8000, blocks: [[1, 2, 3, 4]], segments: [adobe(2)] }),
    /1024 MB/,
    'JPEG of four colours',
  );
  await refused(t, png({ width: 0, height: 5, colourType: GREY }), /no pixels/, 'PNG without columns');
  await refused(t, png({ width: 5, height: 0, colourType: GREY }), /no pixels/, 'PNG without rows');
  await refused(t, jpeg({ width: 0, height: 8, blocks: [[1]] }), /no pixels/, 'JPEG without columns');
  await refused(t, jpeg({ width: 8, height: 0, blocks: [[1]] }), /no pixels/, 'JPEG without rows');
});

test('PNG files that lie', async (t) => {
  const small = { width: 4, height: 2, colourType: GREY };
  const scanlines = [0, 1, 2, 3, 4, 0, 5, 6, 7, 8];
  const whole = png({ ...small, scanlines });
  const bomb = deflateSync(Buffer.alloc(50_000_000));
  await refused(t, png({ ...small, scanlines: scanlines.slice(0, 7) }), /cut off/, 'too little data');
  await refused(t, png({ ...small, interlaced: true, compressed: bomb }), /damaged/, 'a bomb, interlaced');
  await refused(t, png({ ...small, compressed: bomb }), /damaged/, 'a bomb');
  await refused(
    t,
    png({ ...small, compressed: Buffer.from('not deflated') }),
    /damaged/,
    'data that is not deflated',
  );
  await refused(t, png({ ...small, compressed: new Uint8Array(0) }), /damaged/, 'no data');
  await refused(t, png({ ...small, colourType: 5, scanlines }), /damaged/, 'an unknown colour type');
  await refused(t, png({ ...small, depth: 3, scanlines }), /damaged/, 'an unknown depth');
  await refused(t, png({ ...small, colourType: PALETTE, scanlines }), /damaged/, 'a palette that is missing');
  const palette = chunk('PLTE', Buffer.from([1, 2, 3]));
  await refused(
    t,
    png({ ...small, colourType: PALETTE, scanlines, extra: [palette] }),
    /damaged/,
    'colours beyond the palette',
  );
  const header = whole.subarray(8, 8 + 25);
  await refused(t, png({ ...small, scanlines, extra: [header] }), /damaged/, 'a second header');
  await refused(t, Buffer.concat([whole.subarray(0, 8), whole.subarray(33)]), /damaged/, 'no header');
  const flipped = Buffer.from(whole);
  flipped[45]! ^= 1;
  await refused(t, flipped, /damaged/, 'a wrong checksum');
});

test('JPEG files that lie', async (t) => {
  const small = { width: 8, height: 8, blocks: [[1]] };
  await refused(t, jpeg({ ...small, frame: 0xc3 }), /lossless JPEG/, 'lossless');
  await refused(t, jpeg({ ...small, frame: 0xc9 }), /arithmetic-coded JPEG/, 'arithmetic coding');
  await refused(t, jpeg({ ...small, precision: 12 }), /12 bits/, '12 bits');
  await refused(t, jpeg({ ...small, blocks: [[1, 2, 3, 4]] }), /four colours/, 'four unnamed colours');
  await refused(t, jpeg({ ...small, blocks: [[1, 2]] }), /damaged/, 'two colours');
  const huge = jpeg({
    width: 8,
    height: 8,
    blocks: [[1]],
    segments: [segment(0xc0, [8, 255, 255, 255, 255, 1, 1, 17, 0])],
  });
  await refused(t, huge, /64 megapixels/, 'a huge frame before a small one');
  const scans = jpeg({
    width: 2048,
    height: 2048,
    blocks: new Array(65536).fill([1]),
    frame: 0xc2,
    repeat: 1,
  });
  const last = scans.lastIndexOf(Buffer.from([0xff, 0xda]));
  const many = Buffer.concat([
    scans.subarray(0, last),
    ...new Array<Buffer>(300).fill(scans.subarray(last, -2)),
    scans.subarray(-2),
  ]);
  await refused(t, many, /too many scans/, 'hundreds of scans over a large picture');
  t.equal((await decodeImage(scans, 'scans')).width, 2048, 'the same picture with two scans');
});

/** Decodes, and says what went wrong if that was neither a picture nor an ImageError. */
async function misbehaves(bytes: Uint8Array): Promise<string | undefined> {
  try {
    const { width, height, rgb } = await decodeImage(bytes, 'fuzz');
    return width > 0 && height > 0 && rgb.length === width * height * 3 ? undefined : 'inconsistent picture';
  } catch (error) {
    return error instanceof ImageError ? undefined : String(error);
  }
}

function noisy(width: number, height: number): Buffer {
  const next = random(5);
  const data = Buffer.from(Uint8Array.from({ length: width * height * 4 }, () => next(256)));
  return jpegJs.encode({ width, height, data }, 60).data;
}

const fuzzed: [string, Buffer][] = [
  ...pngKinds.map(({ what, fixture }): [string, Buffer] => [what, png(fixture)]),
  ['JPEG', noisy(20, 20)],
  [
    'progressive JPEG',
    jpeg({
      width: 16,
      height: 8,
      blocks: [
        [1, 2, 3],
        [200, 100, 50],
      ],
      frame: 0xc2,
      segments: [exif(6, true)],
    }),
  ],
  ...reference.cases
    .filter(({ title }) => title.startsWith('WebP'))
    .map(({ title, file }): [string, Buffer] => [title, fromBase64(file)]),
  ['CMYK JPEG', jpeg({ width: 8, height: 8, blocks: [[1, 2, 3, 4]], segments: [adobe(2)] })],
];

test('files cut off at every length', async (t) => {
  for (const [what, bytes] of fuzzed) {
    const accepted: number[] = [];
    // A JPEG that fails costs a new decoder: all of its header, and of the rest a sample.
    for (let length = 0; length < bytes.length; length += what === 'JPEG' && length > 300 ? 29 : 1) {
      try {
        await decodeImage(bytes.subarray(0, length), what);
        accepted.push(length);
      } catch (error) {
        if (!(error instanceof ImageError)) t.fail(`${what} cut at ${length}: ${error}`);
      }
    }
    t.deepEqual(accepted, [], `${what}: refused at every length tried below ${bytes.length}`);
  }
});

test('files with random bytes changed', async (t) => {
  const next = random(2024);
  for (const [what, bytes] of fuzzed) {
    const failures = new Set<string>();
    // What fails in WebAssembly costs a new decoder.
    const rounds = what.includes('JPEG') || what.startsWith('WebP') ? 40 : 200;
    for (let round = 0; round < rounds; round++) {
      const damaged = Buffer.from(bytes);
      for (let i = next(4); i >= 0; i--) damaged[next(damaged.length)] = next(256);
      const failure = await misbehaves(damaged);
      if (failure) failures.add(failure);
    }
    t.deepEqual([...failures], [], what);
  }
});

test('PNG data damaged under a valid checksum', async (t) => {
  const next = random(7);
  const failures = new Set<string>();
  const compressed = deflateSync(
    Buffer.from(Uint8Array.from({ length: 9 * 28 }, (_, i) => (i % 28 ? next(256) : next(5)))),
  );
  for (let round = 0; round < 500; round++) {
    const damaged = Buffer.from(compressed);
    damaged[next(damaged.length)] = next(256);
    const failure = await misbehaves(png({ width: 9, height: 9, colourType: RGB, compressed: damaged }));
    if (failure) failures.add(failure);
  }
  t.deepEqual([...failures], [], 'a picture or an ImageError');
});
