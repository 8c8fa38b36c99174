// F-CAM's loss against its three terms written out in float64, the dense CRF as a double sum over pixels.

import test from 'tape';
import { type Tensor, tensor } from '../../engine/index.ts';
import { disposeNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import type { LabelledImages } from '../../models/train/data/labelled-images.ts';
import { random } from '../../models/train/data/random.ts';
import { makeScene, SCENE_SIZE } from '../../models/train/data/scenes.ts';
import { fcamBatch, fcamLoss } from '../../models/train/fcam.ts';
import type { Batch } from '../../models/train/recipe.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';

const AREA = SCENE_SIZE * SCENE_SIZE;

/** Two digits that are no digits: a cross and a ring, 28 x 28. */
const digits: LabelledImages = {
  classes: [...'0123456789'],
  count: 2,
  width: 28,
  height: 28,
  channels: 1,
  labels: Uint8Array.of(3, 7),
  pixels: Uint8Array.from({ length: 2 * 784 }, (_, i) => {
    const [x, y] = [(i % 28) - 13.5, (Math.floor(i / 28) % 28) - 13.5];
    const isInk = i < 784 ? Math.min(Math.abs(x), Math.abs(y)) < 2 : Math.abs(Math.hypot(x, y) - 8) < 2;
    return isInk ? 220 : 0;
  }),
};

/** log-softmax of two numbers. */
const logOf = (a: number, b: number) => -Math.log(1 + Math.exp(b - a));

/** Every pixel that the batch takes, by the rows of 0 and 1 that choose it. */
const takenBy = ({ data, shape: [side] }: Batch['targets'][string]): number[] =>
  Array.from({ length: side! }, (_, i) => data.subarray(i * SCENE_SIZE, (i + 1) * SCENE_SIZE).indexOf(1));

function lossOf(
  scores: Float32Array,
  batch: Batch,
  grey: (n: number, pixel: number) => number,
  crf: number,
  t: number,
) {
  const { seeds, rows, columns, boxes } = batch.targets;
  const count = boxes!.shape[0]!;
  const p = (n: number, c: number, i: number) =>
    Math.exp(logOf(scores[(2 * n + c) * AREA + i]!, scores[(2 * n + 1 - c) * AREA + i]!));
  let [seeded, pairs, size] = [0, 0, 0];
  const spoken = seeds!.data.filter(Boolean).length;
  const taken = takenBy(rows!).flatMap((y) => takenBy(columns!).map((x) => y * SCENE_SIZE + x));
  for (let n = 0; n < count; n++) {
    for (const c of [0, 1]) {
      let area = 0;
      for (let i = 0; i < AREA; i++) {
        if (seeds!.data[(2 * n + c) * AREA + i]! > 0) seeded -= Math.log(p(n, c, i)) / spoken;
        area += p(n, c, i);
      }
      size += (-Math.log(area) / t) * (0.05 / count);
      for (const i of taken) {
        for (const j of taken) {
          const far = ((i % 64) - (j % 64)) ** 2 + (Math.floor(i / 64) - Math.floor(j / 64)) ** 2;
          const unlike = (grey(n, i) - grey(n, j)) ** 2;
          const w = Math.exp(-unlike / (2 * 15 ** 2) - far / (2 * ((100 / 224) * 64) ** 2));
          pairs += p(n, c, i) * w * p(n, c, j);
        }
      }
    }
  }
  // 2e-9 for the 224^4 pairs of the official code's pictures.
  return seeded - ((crf * 2e-9 * 224 ** 4) / 16 ** 4 / count) * pairs + size;
}

test('the loss is its three terms', async (t) => {
  const network = await open(await device(), 'digit-scenes');
  const next = random(9);
  const scenes = [0, 1].map(() => makeScene(digits, next, { digits: [1, 2] }));
  const batch = await fcamBatch(network, scenes, next);
  const uniform = seededRandom(2);
  const scores = Float32Array.from({ length: 2 * 2 * AREA }, () => 4 * uniform() - 2);
  const z = tensor(network.device, scores, [2, 2, SCENE_SIZE, SCENE_SIZE]);
  const targets = Object.fromEntries(
    Object.entries(batch.targets).map(([name, { data, shape }]): [string, Tensor] => [
      name,
      tensor(network.device, data, shape),
    ]),
  );
  for (const [crf, epoch] of [
    [1, 0],
    [20, 7],
    [0, 50],
  ] as const) {
    const [found] = await fcamLoss(() => crf)(z, targets, epoch).data();
    const expected = lossOf(scores, batch, (n, i) => scenes[n]!.pixels[i]!, crf, 1.01 ** epoch);
    t.ok(Math.abs(found! / expected - 1) < 1e-5, `${crf} x lambda, epoch ${epoch}: ${found} for ${expected}`);
  }
  disposeNetwork(network);
});

test('the class of the map is one that is on the scene, brought to 0..1', async (t) => {
  const network = await open(await device(), 'digit-scenes');
  const scenes = [makeScene(digits, random(3), { digits: [1, 1] })];
  const { inputs, targets } = await fcamBatch(network, scenes, random(1));
  t.deepEqual([...targets.boxes!.data], scenes[0]!.digits[0]!.box);
  const [map, features] = [inputs['class map']!, inputs.features!];
  const weight = await network.parameters.get('classifier.weight')!.data();
  const k = scenes[0]!.digits[0]!.class;
  const cam = Array.from({ length: 256 }, (_, i) =>
    Array.from({ length: 48 }, (_, c) => weight[k * 48 + c]! * features.data[c * 256 + i]!).reduce(
      (a, b) => a + b,
    ),
  );
  const [low, high] = [Math.min(...cam), Math.max(...cam)];
  const error = Math.max(...cam.map((value, i) => Math.abs((value - low) / (high - low) - map.data[i]!)));
  t.ok(error < 1e-5, `class ${network.classes[k]}, error ${error.toExponential(1)}`);
  disposeNetwork(network);
});
