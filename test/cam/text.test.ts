// The networks that caption scenes and answer questions, as users open them.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain, observe, type Trace, targets } from '../../cam/index.ts';
import type { Tensor } from '../../engine/index.ts';
import { disposeNetwork, type Network, open, preprocess } from '../../models/index.ts';
import { device } from '../device.ts';

const images = new URL('../../models/images/', import.meta.url);
const picture = () => decodePng(readFileSync(new URL('scene-1.png', images)));

/** What follows from a network that has read a text and looks at a scene. */
async function reading<T>(
  name: string,
  text: string | undefined,
  use: (network: Network, input: Tensor, trace: Trace) => Promise<T>,
): Promise<T> {
  const network = await open(await device(), name, text === undefined ? {} : { text });
  const input = preprocess(network, picture());
  const trace = observe(network, input);
  try {
    return await use(network, input, trace);
  } finally {
    trace.dispose();
    input.dispose();
    disposeNetwork(network);
  }
}

test('networks that read words are explained by what is right of them, and Grad-CAM says what it is known for', async (t) => {
  for (const name of ['digit-caption', 'digit-vqa'])
    await reading(name, undefined, async (network, input) => {
      const found = await explain(network, input);
      t.deepEqual(
        found.map(({ method }) => method),
        ['layer-integrated-gradients', 'ablation-cam', 'grad-cam'],
        name,
      );
      t.match(found[2]!.notes.join(), /reads words through gates/);
      found.forEach(disposeExplanation);
    });
});

const likeliest = async (trace: Trace): Promise<string> =>
  (await trace.predictions()).reduce((a, b) => (b.logit > a.logit ? b : a)).name;

test('a caption is written word by word; each digit is explained where it is', async (t) => {
  const { digits } = (
    JSON.parse(readFileSync(new URL('scenes.json', images), 'utf8')) as {
      file: string;
      digits: { class: string; box: [number, number, number, number] }[];
    }[]
  ).find(({ file }) => file === 'scene-1.png')!;
  const names = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  const said: string[] = [];
  for (let word = ''; word !== '.' && said.length < 12; ) {
    word = await reading('digit-caption', said.join(' '), async (network, input, trace) => {
      const next = await likeliest(trace);
      const digit = digits.find((one) => one.class === String(names.indexOf(next)));
      if (digit) {
        const [found] = await explain(network, input, {
          methods: ['layer-integrated-gradients'],
          classes: [next],
        });
        const map = await found!.upsampled.data();
        const peak = map.indexOf(map.reduce((a, b) => Math.max(a, b)));
        const [x, y, [x0, y0, x1, y1]] = [peak % 64, Math.floor(peak / 64), digit.box];
        t.ok(x0 <= x && x < x1 && y0 <= y && y < y1, `${next}: the peak is at ${x}, ${y}`);
        disposeExplanation(found!);
      }
      return next;
    });
    said.push(word);
  }
  t.equal(said.join(' '), 'a two right of a five .');
});

test("a text's log-probability is the sum of its words', each after those before it", async (t) => {
  const words = ['a', 'two', 'above'];
  let expected = 0;
  for (const [i, word] of words.entries()) {
    expected += await reading('digit-caption', words.slice(0, i).join(' '), async (network, _, trace) => {
      const of = targets.logProbability(network.classes.indexOf(word));
      return (await targets.scoreOf(of, trace.outputs).data())[0]!;
    });
  }
  const found = await reading('digit-caption', words.join(' '), async (_, __, trace) => {
    return (await targets.scoreOf(targets.value('text'), trace.outputs).data())[0]!;
  });
  t.ok(Math.abs(found / expected - 1) < 1e-4, `${found} for ${expected}`);
});

test('questions are answered; another answer has another map', async (t) => {
  const asked = {
    'is there a five': 'yes',
    'is there a nine': 'no',
    'how many digits': 'two',
    'what is left of the two': 'five',
  };
  for (const [question, answer] of Object.entries(asked))
    t.equal(await reading('digit-vqa', question, (_, __, trace) => likeliest(trace)), answer, question);
  await reading('digit-vqa', 'is there a five', async (network, input) => {
    const found = await explain(network, input, { methods: ['grad-cam'], classes: ['yes', 'no'] });
    const [yes, no] = await Promise.all(found.map(({ upsampled }) => upsampled.data()));
    t.ok(Math.max(...yes!.map((value, i) => Math.abs(value - no![i]!))) > 0.5, 'yes and no');
    found.forEach(disposeExplanation);
  });
});
