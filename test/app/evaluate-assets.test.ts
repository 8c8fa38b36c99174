// limelight evaluate on real photographs with SqueezeNet, against maps that PyTorch computed.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import type { Measured } from '../../app/evaluation/record.ts';
import { fromRuns } from '../../app/evaluation/record.ts';
import { decodePng } from '../../app/image/decode.ts';
import { assetBytes, assetJson, hasAssets } from '../assets.ts';
import { inFolder, limelight } from './limelight.ts';

/** Pictures with the class that is explained and the name of its boxes in the expected answers. */
const pairs = [
  ['cat_indoor', 285, 'cat'],
  ['chickadee', 19, 'bird'],
  ['crow', 91, 'bird'],
  ['dog_bicycle_truck', 671, 'bicycle'],
  ['dog_bike_man', 444, 'bicycle'],
  ['dog_cat', 243, 'dog (bull mastiff 243)'],
  ['dog_cat', 282, 'cat (tiger cat 282)'],
  ['elephants', 386, 'elephant'],
  ['labrador', 208, 'dog'],
  ['owl', 82, 'owl'],
  ['red_panda', 387, 'red panda'],
  ['sunflower', 985, 'sunflower'],
] as const;

type Named = readonly [name: string, box: readonly [number, number, number, number]];
interface Images {
  readonly images: Readonly<Record<string, { readonly boxes_xyxy_224: readonly Named[] }>>;
}
interface Answer {
  readonly gradcam_13x13_features12_relu: readonly (readonly number[])[];
  readonly gradcam_peak_in_boxes: readonly string[];
}

const SIDE = 224;

/** A map at 224 x 224, bilinear between the centres of its cells. */
function upsampled(map: readonly (readonly number[])[]): Float64Array {
  const n = map.length;
  const out = new Float64Array(SIDE * SIDE);
  const at = (i: number) => {
    const centre = Math.min(Math.max(((i + 0.5) * n) / SIDE - 0.5, 0), n - 1);
    const low = Math.min(Math.floor(centre), n - 2);
    return [low, centre - low] as const;
  };
  for (let y = 0; y < SIDE; y++) {
    const [v, fy] = at(y);
    for (let x = 0; x < SIDE; x++) {
      const [u, fx] = at(x);
      const row = (r: number) => map[r]![u]! * (1 - fx) + map[r]![u + 1]! * fx;
      out[y * SIDE + x] = row(v) * (1 - fy) + row(v + 1) * fy;
    }
  }
  return out;
}

test('evaluate: photographs with boxes and a mask, SqueezeNet', async (t) => {
  if (!hasAssets(t)) {
    t.end();
    return;
  }
  const { images } = assetJson<Images>('expected_imagenet.json');
  const answers = assetJson<Record<string, Answer>>('expected_squeezenet_cam.json');
  await inFolder((folder) => {
    const assets = process.env.LIMELIGHT_ASSETS!;
    const lines = ['file,class,x0,y0,x1,y1'];
    for (const [name, index, label] of pairs) {
      copyFileSync(join(assets, `images/${name}.png`), join(folder, `${name}.png`));
      for (const [found, box] of images[name]!.boxes_xyxy_224) {
        if (found === label) lines.push([`${name}.png`, index, ...box].join());
      }
    }
    copyFileSync(join(assets, 'images/crow.mask.png'), join(folder, 'crow.mask.png'));
    writeFileSync(join(folder, 'boxes.csv'), `${lines.join('\n')}\n`);
    const { status, stderr } = limelight(
      ...['evaluate', '--data', join(folder, 'boxes.csv'), '--masks', folder, '--out', folder],
      ...['--model', `squeezenet1_0=${join(assets, 'models/squeezenet1_0.safetensors')}`],
      ...['--labels', join(assets, 'models/imagenet1000.labels.json'), '--preset', 'torch', '--size', '224'],
      ...['--method', 'grad-cam', '--metric', 'pointing,energy,confidence'],
    );
    t.equal(status, 0, stderr);
    const measured = new Map(
      readFileSync(join(folder, 'evaluation.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as Measured)
        .map((line) => [line.name, line.sums['grad-cam']!] as const),
    );
    const mask = decodePng(assetBytes('images/crow.mask.png'));
    for (const name of new Set(pairs.map(([one]) => one))) {
      let [hits, energy, area, count] = [0, 0, 0, 0];
      for (const [, index, label] of pairs.filter(([one]) => one === name)) {
        const boxes = images[name]!.boxes_xyxy_224.filter(([found]) => found === label).map(([, box]) => box);
        const map = upsampled(answers[`${name}|${index}`]!.gradcam_13x13_features12_relu);
        const isInside = (i: number) =>
          name === 'crow'
            ? mask.rgb[3 * i]! > 0
            : boxes.some(([x0, y0, x1, y1]) => {
                const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
                return x >= x0 && x < x1 && y >= y0 && y < y1;
              });
        const [total, within] = [map, map.filter((_, i) => isInside(i))].map((values) =>
          values.reduce((sum, value) => sum + value, 0),
        ) as [number, number];
        energy += within / total;
        area +=
          Float64Array.from({ length: SIDE ** 2 }, (_, i) => Number(isInside(i))).reduce((a, b) => a + b) /
          SIDE ** 2;
        const peak = map.indexOf(map.reduce((a, b) => Math.max(a, b)));
        hits += Number(isInside(peak));
        if (name !== 'crow') {
          t.equal(
            isInside(peak),
            answers[`${name}|${index}`]!.gradcam_peak_in_boxes.includes(label),
            `${name}|${index}`,
          );
        }
        count++;
      }
      const sums = measured.get(`${name}.png`)!;
      t.deepEqual([...fromRuns(sums.pointing!)], [hits, count], `${name}: ${hits} of ${count} peaks hit`);
      const [found, share, n] = fromRuns(sums.energy!);
      t.ok(Math.abs(found! - energy) < 1e-4 && n === count, `${name}: energy ${found} is ${energy}`);
      t.ok(Math.abs(share! - area) < 1e-9, `${name}: area ${share}`);
    }
  });
  t.end();
});
