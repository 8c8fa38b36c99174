// Writes digits with a planted shortcut of a shade drawn by chance, and their boxes, for `limelight evaluate`:
//   LIMELIGHT_DATA=<folder> node --conditions=source --import tsx models/train/decoys.node.ts <out> [count]
//   limelight evaluate --data <out>/boxes.csv --model digit-dense=<weights>.safetensors --layer features

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { makeFolder } from '../../engine/platform/node/folder.ts';
import { makeDecoy } from './data/decoys.ts';
import { readMnist } from './data/mnist.node.ts';
import { random } from './data/random.ts';

const [folder, [, , out, count = '300']] = [process.env.LIMELIGHT_DATA, process.argv];
if (!folder || !out) {
  console.error('usage: LIMELIGHT_DATA=folder node … models/train/decoys.node.ts <out> [count]');
  process.exit(2);
}
await makeFolder(out);
const { test } = await readMnist(folder);
const next = random(777);
const rows = Array.from({ length: Number(count) }, (_, i) => {
  const decoy = makeDecoy(test, i, 'any', next);
  const png = new PNG({ width: test.width, height: test.height });
  decoy.pixels.forEach((grey, at) => {
    png.data.set([grey, grey, grey, 255], 4 * at);
  });
  writeFileSync(join(out, `${i}.png`), PNG.sync.write(png, { colorType: 0 }));
  return [`${i}.png`, decoy.class, ...decoy.box].join();
});
writeFileSync(join(out, 'boxes.csv'), `file,class,x0,y0,x1,y1\n${rows.join('\n')}\n`);
