// What is measured of a picture does not depend on the pictures that are explained together with it.

import test from 'tape';
import { measure, type Plan, type Prepared, picturesTogether } from '../../app/evaluation/measure.ts';
import type { PictureLine } from '../../app/evaluation/record.ts';
import { metricOf } from '../../cam/metrics/index.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';

const [channels, height, width] = [3, 8, 6];

/** Pictures with other classes each; no number of them is repeated. */
function pictures(count: number): Prepared[] {
  const next = seededRandom(11);
  return Array.from({ length: count }, (_, i) => ({
    name: `picture ${i}`,
    digest: i.toString(16).padStart(64, 'a'),
    known: new Map(
      Array.from({ length: i % 3 }, (_, k) => [
        (i + k) % 5,
        { label: String(k), boxes: [[1, 1, 4, 5] as const] },
      ]),
    ),
    picture: {
      channels,
      height,
      width,
      data: Float32Array.from({ length: channels * height * width }, () => next()),
    },
    removed: undefined,
  }));
}

async function linesOf(plan: Plan, some: readonly Prepared[]): Promise<PictureLine[]> {
  const lines: PictureLine[] = [];
  for await (const line of measure(plan, some)) lines.push(line);
  return lines;
}

test('evaluate: pictures explained together are measured as each alone, to the last digit', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear);
  const plan: Plan = {
    network: { ...network, preprocessing: { ...network.preprocessing, size: [height, width] } },
    signed: false,
    methods: ['cam', 'grad-cam++'],
    metrics: ['pointing', 'energy', 'confidence'].map(metricOf),
    classes: new Map(),
  };
  const together = picturesTogether(plan);
  t.equal(together, 16, 'a small network takes sixteen');
  t.equal(picturesTogether({ ...plan, network }), 1, 'pictures of any size are explained one at a time');
  t.equal(picturesTogether({ ...plan, methods: ['cam', 'score-cam'] }), 1, 'so are they by slow methods');
  const all = pictures(9);
  // So bright that the feature map overflows.
  all[4] = { ...all[4]!, picture: { ...all[4]!.picture, data: all[4]!.picture.data.map((x) => x * 3e38) } };
  const lines = await linesOf(plan, all);
  t.deepEqual(
    lines.map(({ name }) => name),
    all.map(({ name }) => name),
    'a line each, in their order',
  );
  t.deepEqual(
    lines.map((line) => ('error' in line ? /feature map|logits/.test(line.error) : line.classes.length)),
    [1, 1, 2, 1, true, 2, 1, 1, 2],
    'the predicted class or those that are known, and the fault of one',
  );
  const alone: PictureLine[] = [];
  for (const one of [...all].reverse()) alone.unshift(...(await linesOf(plan, [one])));
  t.deepEqual(lines, alone, 'as each alone');
  const sound = all.filter((_, i) => i !== 4);
  const shuffled = [5, 2, 7, 0, 3, 1, 6, 4].map((i) => sound[i]!);
  const mixed = await linesOf(plan, shuffled);
  for (const line of mixed)
    t.deepEqual(
      line,
      lines.find(({ name }) => name === line.name),
      `${line.name} among others`,
    );
});
