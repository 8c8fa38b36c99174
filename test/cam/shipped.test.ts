// The shipped networks on the shipped pictures: every digit and every tile of the mosaics is found where it is.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { full } from '../../engine/index.ts';
import {
  catalogEntry,
  disposeNetwork,
  loadNetwork,
  preprocess,
  readSafetensors,
} from '../../models/index.ts';
import { device } from '../device.ts';

const images = new URL('../../models/images/', import.meta.url);

test('all shipped weights take less than 5 MB, and each has a card that gives its size', (t) => {
  const folder = new URL('../../models/shipped/', import.meta.url);
  let total = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.safetensors'))) {
    const { size } = statSync(new URL(file, folder));
    const card = readFileSync(new URL(file.replace('.safetensors', '.md'), folder), 'utf8');
    t.match(card, new RegExp(`f16 safetensors, ${Math.round(size / 1000)} kB`), file);
    total += size;
  }
  t.ok(total < 5e6, `${total} bytes`);
  t.end();
});

/** What is in a picture: its class, and its box [x0, y0, x1, y1]. */
interface Found {
  readonly class: string;
  readonly box: readonly [number, number, number, number];
}

const listed = (file: string) =>
  JSON.parse(readFileSync(new URL(file, images), 'utf8')) as {
    file: string;
    digits?: Found[];
    tiles?: Found[];
  }[];

for (const [name, list, methods] of [
  ['digit-scenes', 'scenes.json', ['cam', 'grad-cam', 'grad-cam++']],
  // Not Ablation-CAM, which favours channels that are strong on average: another tile's may outshine the class's own.
  ['cifar10-gap', 'mosaic.json', ['cam', 'grad-cam']],
] as const) {
  test(`${name} finds what is in its pictures`, async (t) => {
    const entry = catalogEntry(name);
    const weights = readSafetensors(readFileSync(entry.weights!), name).tensors;
    const network = loadNetwork(await device(), entry, weights);
    for (const { file, digits, tiles } of listed(list)) {
      const input = preprocess(network, decodePng(readFileSync(new URL(file, images))));
      const items = digits ?? tiles!;
      for (const wanted of new Set(items.map((item) => item.class))) {
        const boxes = items.filter((item) => item.class === wanted).map(({ box }) => box);
        for (const e of await explain(network, input, { methods, classes: [wanted] })) {
          const map = await e.upsampled.data();
          const [, width] = e.upsampled.shape as [number, number];
          const at = map.indexOf(Math.max(...map));
          const [x, y] = [at % width, Math.floor(at / width)];
          const inside = boxes.some(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1);
          t.ok(inside, `${file}, ${wanted}, ${e.method}: the peak is at ${x}, ${y}`);
          disposeExplanation(e);
        }
      }
      input.dispose();
    }
    disposeNetwork(network);
  });
}

test('digit-vit: Grad-CAM on tokens favours the digits', async (t) => {
  const entry = catalogEntry('digit-vit');
  const weights = readSafetensors(readFileSync(entry.weights!), entry.name).tensors;
  const network = loadNetwork(await device(), entry, weights);
  let [inside, area, seen] = [0, 0, 0];
  for (const { file, digits } of listed('scenes.json')) {
    const input = preprocess(network, decodePng(readFileSync(new URL(file, images))));
    for (const { class: wanted, box } of digits!) {
      const [e] = await explain(network, input, { methods: ['grad-cam'], classes: [wanted] });
      t.deepEqual(e!.map.shape, [8, 8], 'the grid of patches');
      const map = await e!.upsampled.data();
      const [, width] = e!.upsampled.shape as [number, number];
      const [x0, y0, x1, y1] = box;
      const isInside = (i: number) =>
        i % width >= x0 && i % width < x1 && Math.floor(i / width) >= y0 && Math.floor(i / width) < y1;
      const total = map.reduce((a, b) => a + b, 0);
      if (e!.probability! > 0.5 && total > 0) {
        inside += map.reduce((a, b, i) => a + (isInside(i) ? b : 0), 0) / total;
        area += ((x1 - x0) * (y1 - y0)) / map.length;
        seen++;
      }
      disposeExplanation(e!);
    }
    input.dispose();
  }
  t.ok(seen >= 5, `${seen} of 8 digits are seen`);
  // Attention carries every token's content everywhere, so that maps are less sharp than a convolutional network's.
  t.ok(inside > 2 * area, `${(inside / area).toFixed(2)} times the digits' share of the picture`);
  disposeNetwork(network);
});

test('where a small picture leaves no map at the layer, one that still holds a map is advised', async (t) => {
  const entry = catalogEntry('digit-scenes');
  const weights = readSafetensors(readFileSync(entry.weights!), entry.name).tensors;
  const network = loadNetwork(await device(), entry, weights);
  const input = full(await device(), [1, 1, 4, 4], 0.5);
  const asked = { methods: ['grad-cam'], classes: ['7'] };
  await explain(network, input, asked).then(
    () => t.fail('one cell is explained'),
    (error: Error) => {
      t.match(error.message, /^layer "features" gives \[1, 48, 1, 1\], which is no feature map/);
      t.match(error.message, /choose another, such as "stage1"$/);
    },
  );
  const [found] = await explain(network, input, { ...asked, layer: 'stage1' });
  t.ok(found!.map.size > 1, 'the advice can be followed');
  disposeExplanation(found!);
  input.dispose();
  disposeNetwork(network);
});
