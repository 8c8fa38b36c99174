// The network that tells texts apart, as users open it: each emoji of the shipped scenes is found where it is.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain, predict, type Target, targets, verify } from '../../cam/index.ts';
import type { Tensor } from '../../engine/index.ts';
import { disposeNetwork, type Network, open, preprocess } from '../../models/index.ts';
import { device } from '../device.ts';

const images = new URL('../../models/images/', import.meta.url);
const listed = JSON.parse(readFileSync(new URL('emoji.json', images), 'utf8')) as {
  file: string;
  objects: { class: string; box: [number, number, number, number] }[];
}[];

const inputOf = (network: Network, file: string): Tensor =>
  preprocess(network, decodePng(readFileSync(new URL(file, images))));

/** Where a class's map is largest, and how large it is there in its own units. */
async function peakOf(network: Network, input: Tensor, wanted: string, target?: (index: number) => Target) {
  const [found] = await explain(network, input, { methods: ['grad-cam'], classes: [wanted], target });
  const [shown, own] = [await found!.upsampled.data(), await found!.map.data()];
  disposeExplanation(found!);
  const peak = shown.indexOf(Math.max(...shown));
  return { x: peak % 64, y: Math.floor(peak / 64), most: Math.max(...own) };
}

test('each thing of a scene is found where it is, and what is not there weakly: its probability hardly', async (t) => {
  const network = await open(await device(), 'emoji-clip');
  t.equal(network.classes.length, 64, 'without a text the things are its classes');
  for (const { file, objects } of listed) {
    const input = inputOf(network, file);
    for (const [what, target, least] of [
      ['logit', targets.logit, 1.5],
      ['probability', (index: number) => targets.probability(index), 5],
    ] as const) {
      const present: number[] = [];
      for (const { class: name, box } of objects) {
        const { x, y, most } = await peakOf(network, input, name, target);
        const [x0, y0, x1, y1] = box;
        t.ok(x0 <= x && x < x1 && y0 <= y && y < y1, `${file}: a ${name}'s peak is at ${x}, ${y}`);
        present.push(most);
      }
      const absent: number[] = [];
      for (const name of ['bus', 'guitar', 'zebra', 'banana'])
        absent.push((await peakOf(network, input, name, target)).most);
      const [here, elsewhere] = [present, absent].map((all) => all.reduce((a, b) => a + b) / all.length);
      t.ok(
        elsewhere! < here! / least,
        `${file}, ${what}: ${elsewhere} on the mean of absent things, ${here} of present`,
      );
    }
    const likeliest = (await predict(network, input))
      .sort((a, b) => b.logit - a.logit)
      .slice(0, 4)
      .map(({ name }) => name.split(' ').at(-1));
    t.ok(
      objects.filter((one) => likeliest.includes(one.class)).length >= 2,
      `${file}: the likeliest are ${likeliest}`,
    );
    input.dispose();
  }
  disposeNetwork(network);
});

test('texts of a kind and of two things are found, and Grad-CAM of a cosine adds up to 0', async (t) => {
  const text = 'a food | a fox and a pear | a vehicle and an owl';
  const network = await open(await device(), 'emoji-clip', { text });
  t.deepEqual(network.classes, text.split(' | '));
  const input = inputOf(network, 'emoji-1.png');
  const found = await predict(network, input);
  const logits = new Map(found.map(({ name, logit }) => [name, logit]));
  for (const name of text.split(' | ').slice(0, 2))
    t.ok(logits.get(name)! > logits.get('a vehicle and an owl')!, `${name}: ${logits.get(name)}`);
  const foods = listed[0]!.objects.filter((one) => ['doughnut', 'pizza'].includes(one.class));
  const { x, y } = await peakOf(network, input, 'a food');
  t.ok(
    foods.some(({ box: [x0, y0, x1, y1] }) => x0 <= x && x < x1 && y0 <= y && y < y1),
    `food is seen at ${x}, ${y}`,
  );
  for (const { claim, holds, exempt, residual, bound } of await verify(network, input, {
    claims: ['cosine'],
  }))
    t.equal(holds, true, `${claim}: ${residual} of ${bound} ${exempt ?? ''}`);
  input.dispose();
  disposeNetwork(network);
});

test('of one text there is a value, and it is what it is beside others', async (t) => {
  const on = await device();
  const logitOf = async (text: string) => {
    const network = await open(on, 'emoji-clip', { text });
    const input = inputOf(network, 'emoji-2.png');
    const [first] = (await predict(network, input)).filter(({ index }) => index === 0);
    input.dispose();
    disposeNetwork(network);
    return first!;
  };
  const [alone, beside] = [await logitOf('an owl'), await logitOf('an owl | a bus')];
  t.equal(alone.probability, null);
  t.ok(beside.probability! > 0.5);
  t.ok(
    Math.abs(alone.logit - beside.logit) < 1e-4 * Math.abs(alone.logit),
    `${alone.logit}, ${beside.logit}`,
  );
});
