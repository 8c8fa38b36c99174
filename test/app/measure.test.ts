// What is measured of a picture does not depend on the pictures that are explained together with it.

import test from 'tape';
import { measure, type Plan, type Prepared, picturesTogether } from '../../app/evaluation/measure.ts';
import { fromRuns, type PictureLine } from '../../app/evaluation/record.ts';
import { metricOf } from '../../cam/metrics/index.ts';
import { conv, globalAvgPool, linear } from '../../models/layers.ts';
import { graphs, randomNetwork, randomTensors } from '../cam/networks.ts';
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
  t.equal(picturesTogether({ ...plan, network, size: [8, 6] }), 16, 'unless all of them have one');
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

test('evaluate: the local supremum of a map that is linear in the picture, by hand', async (t) => {
  const [K, classes] = [4, 5];
  const graph = {
    nodes: [
      conv('features', 'input', { in: channels, out: K, kernel: 1 }),
      globalAvgPool('gap', 'features'),
      linear('fc', 'gap', { in: K, out: classes }),
    ],
    output: 'fc',
  };
  const network = randomNetwork(await device(), graph, 3);
  const numbers = randomTensors(graph, 3);
  const [W, b, fc] = ['features.weight', 'features.bias', 'fc.weight'].map((key) => [
    ...numbers.get(key)!.data,
  ]) as [number[], number[], number[]];
  const [{ picture, ...one }] = pictures(1) as [Prepared];
  const known = new Map([[2, { label: '2', boxes: [] }]]);
  const plan: Plan = {
    network,
    signed: false,
    methods: ['grad-cam', 'score-cam'],
    metrics: [metricOf('local-sensitivity')],
    classes: new Map(),
  };
  const said: string[] = [];
  const telling = { ...plan, progress: (what: string) => said.push(what) };
  const [line] = await linesOf(telling, [{ ...one, picture, known }]);
  t.ok(said.includes('local-sensitivity of grad-cam on picture 0'), 'it says what it is at');
  if (line === undefined || 'error' in line) return t.fail(JSON.stringify(line));
  // Grad-CAM's map is (v x + c) / Z at each pixel x: v of all pixels is the derivative, whose singular values are |v| / Z.
  const w = fc.slice(2 * K, 3 * K);
  const v = Array.from({ length: channels }, (_, c) =>
    w.reduce((sum, wk, k) => sum + wk * W[k * channels + c]!, 0),
  );
  const c = w.reduce((sum, wk, k) => sum + wk * b[k]!, 0);
  const area = height * width;
  const map = Array.from({ length: area }, (_, i) =>
    v.reduce((sum, vc, channel) => sum + vc * picture.data[channel * area + i]!, c),
  );
  const expected = (0.02 * Math.sqrt(picture.data.length) * Math.hypot(...v)) / Math.hypot(...map);
  const sumsOf = (method: string) => [...fromRuns(line.sums[method]!['local-sensitivity']!)];
  const [found, count] = sumsOf('grad-cam') as [number, number];
  t.ok(Math.abs(found - expected) < 2e-3 * expected && count === 1, `${found}, ${expected}`);
  t.deepEqual(sumsOf('score-cam'), [0, 0], 'what has no derivative is not measured');
});
