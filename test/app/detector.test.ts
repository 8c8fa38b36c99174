// Detectors on the command line: boxes listed, one of them explained, and drawn.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { encodePng } from '../../app/image/decode.ts';
import { pictureBox, visibleBox } from '../../models/preprocess.ts';
import { yolo } from '../models/yolo.ts';
import { seededRandom } from '../reference/index.ts';
import { inFolder, limelight } from './limelight.ts';

test('boxes are listed, and one of them is explained', async (t) => {
  await inFolder(async (folder) => {
    const [model, picture] = [join(folder, 'yolo.onnx'), join(folder, 'street.png')];
    writeFileSync(model, yolo('v8', 5).file());
    const random = seededRandom(3);
    const rgb = Uint8Array.from({ length: 3 * 120 * 80 }, () => 256 * random());
    writeFileSync(picture, encodePng({ width: 120, height: 80, rgb }));
    const run = (...args: string[]) =>
      limelight(
        'explain',
        picture,
        '--model',
        model,
        '--method',
        'grad-cam',
        '--out',
        folder,
        '--json',
        ...args,
      );

    const first = run();
    t.equal(first.status, 0, first.stderr);
    t.match(first.stderr, /street\.png: \d+ boxes[\s\S]*│ 0 +│ [\s\S]*│ 1 +│/);
    const best = JSON.parse(first.stdout);
    t.equal(best.box.number, 0, 'the class that is explained is that of the surest box');
    t.equal(best.box.score, best.logit);
    const [x0, y0, x1, y1] = best.box.edges;
    t.ok(0 <= x0 && x0 < x1 && x1 <= 120 && 0 <= y0 && y0 < y1 && y1 <= 80, 'edges in the picture');
    t.ok(existsSync(best.files.overlay));
    if (process.env.LIMELIGHT_KEEP)
      writeFileSync(process.env.LIMELIGHT_KEEP, readFileSync(best.files.overlay));

    const third = run('--target', 'box:2');
    t.equal(third.status, 0, third.stderr);
    const { box, target } = JSON.parse(third.stdout);
    t.deepEqual([box.number, target], [2, 'box:2']);
    t.ok(box.score < best.box.score);

    for (const [args, status, message] of [
      [['--target', 'box:999'], 1, /no box 999: the network finds boxes 0 to \d+ here/],
      [['--target', 'box:one'], 2, /give the number of a box/],
      [['--target', 'box:1', '--class', 'cat'], 2, /names its class; leave --class out/],
    ] as const) {
      const ended = run(...args);
      t.equal(ended.status, status);
      t.match(ended.stderr, message);
    }
    const list = limelight('predict', picture, '--model', model, '--json');
    t.deepEqual(JSON.parse(list.stdout).boxes[2], box, 'predict lists the same boxes');
    t.match(
      limelight('predict', picture, '--model', model).stdout,
      /street\.png: \d+ boxes, of which 20 are listed\n/,
    );
    t.match(limelight('inspect', model).stdout, /a detector: 84 boxes proposed, 3 classes; /);
    t.notOk(
      /value \/ 255\. Say it/.test(first.stderr),
      "Ultralytics' exporter says how pictures become inputs",
    );
    const other = limelight(
      'explain',
      picture,
      '--model',
      'cifar10-gap',
      '--target',
      'box:1',
      '--out',
      folder,
    );
    t.equal(other.status, 2);
    t.match(other.stderr, /box:1: cifar10-gap is no detector, it finds no boxes/);
  });
});

test('a box of what the network sees, in the picture', (t) => {
  const box = [30, 20, 90, 70] as const;
  const picture = { width: 120, height: 80 };
  for (const preprocessing of [
    { resize: 'pad', size: [64, 64] },
    { resize: 'pad', size: [96, 64] },
    { resize: [64, 64], size: [64, 64] },
    {},
  ] as const) {
    const network = { preprocessing: { channels: 3, scale: 255, mean: [0], std: [1], ...preprocessing } };
    const back = pictureBox(network, picture, visibleBox(network, picture, box)!);
    t.ok(
      back.every((edge, i) => Math.abs(edge - box[i]!) < 1e-9),
      `${JSON.stringify(preprocessing)}: ${back}`,
    );
  }
  const padded = {
    preprocessing: { channels: 3, scale: 255, mean: [0], std: [1], resize: 'pad', size: [64, 64] },
  } as const;
  t.deepEqual(pictureBox(padded, picture, [-5, 0, 70, 64]), [0, 0, 120, 80], 'cut off at the borders');
  t.end();
});
