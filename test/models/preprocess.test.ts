// From pictures to inputs: resizing to the bit as Pillow does it, cropping as torchvision does, normalisation.

import { readFileSync } from 'node:fs';
import test from 'tape';
import type { Pixels } from '../../models/pixels.ts';
import {
  checkPreprocessing,
  type Interpolation,
  type Preprocessing,
  PreprocessingError,
  preprocess,
  presets,
  resizePixels,
  visiblePixels,
} from '../../models/preprocess.ts';
import { device } from '../device.ts';

type Sides = readonly [width: number, height: number];
interface Scaled {
  readonly from: Sides;
  readonly to: Sides;
  readonly interpolation: Interpolation;
  readonly rgb: string;
}
interface Reference {
  readonly resized: readonly Scaled[];
  readonly padded: readonly Scaled[];
  readonly framed: readonly {
    from: Sides;
    resize: number;
    crop: number;
    interpolation: Interpolation;
    rgb: string;
  }[];
}
const reference: Reference = JSON.parse(
  readFileSync(new URL('./references/pillow.json', import.meta.url), 'utf8'),
);

/** The picture of references/pillow.py. */
function picture([width, height]: Sides): Pixels {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) rgb[3 * (y * width + x) + c] = (37 * x + 91 * y + 53 * c + 7 * x * y) % 256;
    }
  }
  return { width, height, rgb };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const plain = { channels: 3, scale: 1, mean: [0], std: [1] } as const;

test('resizing is that of Pillow to the bit', (t) => {
  for (const { from, to, interpolation, rgb } of reference.resized) {
    const got = resizePixels(picture(from), [to[1], to[0]], interpolation);
    t.deepEqual([got.width, got.height], to);
    t.equal(hex(got.rgb), rgb, `${interpolation} ${from} -> ${to}`);
  }
  t.end();
});

test('resizing the shorter side and cropping the middle is that of torchvision', (t) => {
  for (const { from, resize, crop, interpolation, rgb } of reference.framed) {
    const preprocessing = { ...plain, size: [crop, crop], resize, interpolation } as const;
    const got = visiblePixels({ preprocessing }, picture(from));
    t.equal(hex(got.rgb), rgb, `${interpolation} ${from}: ${resize} / ${crop}`);
  }
  t.end();
});

test('padding is that of Pillow, with black', (t) => {
  for (const { from, to, interpolation, rgb } of reference.padded) {
    const preprocessing = { ...plain, size: [to[1], to[0]], resize: 'pad', interpolation } as const;
    const got = visiblePixels({ preprocessing }, picture(from));
    t.equal(hex(got.rgb), rgb, `${from} -> ${to}`);
  }
  const thin = visiblePixels({ preprocessing: { ...plain, size: [4, 4], resize: 'pad' } }, picture([100, 1]));
  t.equal(thin.rgb.filter((value) => value > 0).length, 12, 'a line stays a line');
  t.end();
});

test('a height and width to scale to are taken whatever the aspect, and the middle is cut out', (t) => {
  for (const { from, to, interpolation, rgb } of reference.resized) {
    const size = [to[1], to[0]] as const;
    const stretched = { preprocessing: { ...plain, size, resize: size, interpolation } };
    t.equal(hex(visiblePixels(stretched, picture(from)).rgb), rgb, `${interpolation} ${from} -> ${to}`);
  }
  const cut = { preprocessing: { ...plain, size: [2, 3], resize: [4, 5] } } as const;
  const whole = resizePixels(picture([13, 7]), [4, 5]);
  const rows = [1, 2].map((y) => hex(whole.rgb.subarray(3 * (5 * y + 1), 3 * (5 * y + 4))));
  t.equal(hex(visiblePixels(cut, picture([13, 7])).rgb), rows.join(''));
  t.end();
});

test('without a length to resize to, the picture just covers the size', (t) => {
  for (const [from, size] of [
    [
      [8, 8],
      [4, 2],
    ],
    [
      [8, 8],
      [2, 4],
    ],
    [
      [5, 3],
      [7, 11],
    ],
    [
      [1, 1],
      [3, 5],
    ],
    [
      [100, 1],
      [2, 3],
    ],
  ] as const) {
    const { width, height } = visiblePixels({ preprocessing: { ...plain, size } }, picture(from));
    t.deepEqual([height, width], size, `${from} -> ${size}`);
  }
  const same = picture([6, 5]);
  t.equal(visiblePixels({ preprocessing: plain }, same), same, 'no size: untouched');
  t.deepEqual(visiblePixels({ preprocessing: { ...plain, size: [5, 6] } }, same), same, 'that size already');
  // Square to narrow: one column goes, both rows stay.
  const halves = { width: 2, height: 2, rgb: Uint8Array.of(9, 9, 9, 9, 9, 9, 200, 200, 200, 200, 200, 200) };
  const covering = { preprocessing: { ...plain, size: [2, 1], interpolation: 'nearest' } } as const;
  t.deepEqual([...visiblePixels(covering, halves).rgb], [9, 9, 9, 200, 200, 200]);
  t.end();
});

const inputs: readonly (readonly [string, Preprocessing, readonly number[]])[] = [
  ['as it is', { channels: 3, ...presets.raw }, [10, 40, 20, 50, 30, 60]],
  ['blue first', { ...plain, order: 'bgr' }, [30, 60, 20, 50, 10, 40]],
  ['a number for each channel', { ...plain, mean: [1, 2, 3], std: [1, 2, 4] }, [9, 39, 9, 24, 6.75, 14.25]],
  ['grey', { ...plain, channels: 1 }, [0.299 * 10 + 0.587 * 20 + 0.114 * 30, 48.15]],
  ['-1 to 1', { ...presets.tf }, [10, 40, 20, 50, 30, 60].map((v) => v / 127.5 - 1)],
  [
    'caffe',
    { ...presets.caffe },
    [30 - 103.939, 60 - 103.939, 20 - 116.779, 50 - 116.779, 10 - 123.68, 40 - 123.68],
  ],
];
for (const [title, preprocessing, expected] of inputs) {
  test(`input values: ${title}`, async (t) => {
    const pixels = { width: 1, height: 2, rgb: Uint8Array.of(10, 20, 30, 40, 50, 60) };
    const x = preprocess({ device: await device(), preprocessing }, pixels);
    t.deepEqual(x.shape, [1, preprocessing.channels, 2, 1]);
    const values = await x.data();
    x.dispose();
    t.ok(
      values.every((value, i) => Math.abs(value - expected[i]!) < 1e-5),
      `${values}`,
    );
  });
}

test('a picture is no input of other channels', async (t) => {
  const pixels = { width: 1, height: 1, rgb: new Uint8Array(3) };
  const preprocessing = { ...plain, channels: 4 };
  const on = await device();
  t.throws(
    () => preprocess({ device: on, preprocessing }, pixels),
    /takes 4 channels.*give an array \[4, H, W\]/,
  );
});

const impossible: readonly (readonly [Partial<Preprocessing>, RegExp])[] = [
  [{ mean: [1, 2] }, /mean has 2 numbers; expected 1 or 3/],
  [{ channels: 1, std: [1, 2, 3] }, /std has 3 numbers; expected 1$/],
  [{ mean: [] }, /mean has 0 numbers/],
  [{ mean: [Number.NaN] }, /mean is NaN/],
  [{ std: [1, 0, 1] }, /std is 1, 0, 1, which divides by zero/],
  [{ scale: 0 }, /scale is 0, which divides by zero/],
  [{ scale: Number.NaN }, /divides by zero/],
  [{ size: [0, 4] }, /a side of 0, 4/],
  [{ size: [2.5, 4] }, /a side of 2\.5/],
  [{ size: [8, 4], resize: 7 }, /nothing of 8 x 4 can be cut out of a shorter side of 7/],
  [{ size: [8, 4], resize: [8, 3] }, /nothing of 8 x 4 can be cut out of 8 x 3/],
  [{ size: [8, 4], resize: [9.5, 4] }, /a side of 8, 4, 9\.5/],
  [{ resize: 7 }, /no size/],
  [{ resize: 'pad' }, /no size/],
];
test('a preprocessing that cannot work is refused', (t) => {
  for (const [part, message] of impossible) {
    t.throws(() => checkPreprocessing({ ...plain, ...part }), PreprocessingError);
    t.throws(() => checkPreprocessing({ ...plain, ...part }), message, JSON.stringify(part));
  }
  for (const preset of Object.values(presets))
    t.doesNotThrow(() => checkPreprocessing({ channels: 3, ...preset }));
  t.end();
});
