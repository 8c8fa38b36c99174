// Scenes of emoji and what is said of them, drawn from sprites that the test makes; the packages that they come from.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PNG } from 'pngjs';
import test from 'tape';
import { emojiReader, emojiWords } from '../../models/architectures/emoji-clip.ts';
import { readEmoji } from '../../models/train/data/emoji.node.ts';
import {
  bothOf,
  type EmojiSource,
  emojiTexts,
  isTrue,
  isUnseenPair,
  kinds,
  makeEmojiScene,
  textOf,
  things,
} from '../../models/train/data/emoji-scenes.ts';
import { DataError } from '../../models/train/data/labelled-images.ts';
import { random } from '../../models/train/data/random.ts';
import { inFolder } from '../app/limelight.ts';

/** Drawings of one colour, of which thing k's red is 100 + 2 k: a disc, so that turning keeps its shape. */
const disc = (red: number): Uint8Array =>
  Uint8Array.from({ length: 64 * 64 * 4 }, (_, i) => {
    const [x, y] = [((i >> 2) % 64) - 31.5, Math.floor(i / 256) - 31.5];
    return [red, 0, 0, Math.hypot(x, y) < 31 ? 255 : 0][i % 4]!;
  });
const source: EmojiSource = {
  sprites: things.map((_, k) => [disc(100 + 2 * k)]),
  backgrounds: {
    count: 2,
    channels: 3,
    height: 32,
    width: 32,
    // Without red.
    pixels: Uint8Array.from({ length: 2 * 3 * 1024 }, (_, i) => (Math.floor(i / 1024) % 3 === 0 ? 0 : 200)),
    labels: new Uint8Array(2),
    classes: ['any'],
  },
};

test('a scene has the objects that it says, each inside its box and all apart', (t) => {
  const next = random(1);
  const counts = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const { pixels, objects } = makeEmojiScene(source, next);
    counts.add(objects.length);
    const isInside = (x: number, y: number) =>
      objects.some(({ box: [x0, y0, x1, y1] }) => x0 <= x && x < x1 && y0 <= y && y < y1);
    let [outside, edges] = [0, 0];
    // Brighter than the brightest red, half transparent.
    for (let at = 0; at < 4096; at++) if (pixels[at]! > 135 && !isInside(at % 64, at >> 6)) outside++;
    if (outside > 0) t.fail(`scene ${i}: ${outside} pixels of objects are outside of every box`);
    for (const { thing, box } of objects) {
      const [x0, y0, x1, y1] = box;
      const red = pixels[Math.floor((y0 + y1) / 2) * 64 + Math.floor((x0 + x1) / 2)]!;
      const own = 100 + 2 * thing;
      if (red < 0.84 * own || red > 1.16 * own)
        t.fail(`scene ${i}: ${things[thing]} has the red ${red} of ${own}`);
      if (x1 - x0 < 15 || x1 - x0 > 30) t.fail(`scene ${i}: ${x1 - x0} pixels wide`);
      for (let x = x0; x < x1; x++) if (pixels[y0 * 64 + x]! > 40) edges++;
    }
    if (edges === 0) t.fail(`scene ${i}: the boxes are not tight`);
    if (new Set(objects.map(({ thing }) => thing)).size < objects.length) t.fail(`scene ${i}: a thing twice`);
  }
  t.deepEqual([...counts].sort(), [1, 2, 3, 4]);
  t.deepEqual(
    makeEmojiScene(source, random(7)),
    makeEmojiScene(source, random(7)),
    'the seed says everything',
  );
  t.throws(() => makeEmojiScene(source, random(1), { objects: [9, 9], side: [30, 30] }), DataError);
  t.end();
});

test('pairs that are kept from training are not in its scenes', (t) => {
  const next = random(2);
  const together = (a: number, b: number) => !isUnseenPair(a, b);
  for (let i = 0; i < 100; i++) {
    const { objects } = makeEmojiScene(source, next, { objects: [2, 4], together });
    for (const a of objects)
      for (const b of objects) if (isUnseenPair(a.thing, b.thing)) t.fail(`${a.thing} with ${b.thing}`);
  }
  const all = things.flatMap((_, a) => things.map((__, b) => Number(a < b && isUnseenPair(a, b))));
  const share = all.reduce((sum, one) => sum + one) / ((things.length * (things.length - 1)) / 2);
  t.ok(share > 0.08 && share < 0.12, `one in ten: ${share}`);
  t.end();
});

test('what is said of a scene is true of it, and not of scenes without', (t) => {
  const next = random(3);
  const ways = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const scene = makeEmojiScene(source, next);
    for (const one of emojiTexts(scene, next)) {
      if (!isTrue(one, scene)) t.fail(`${one.text} is not true`);
      if (isTrue(one, { ...scene, objects: [] })) t.fail(`${one.text} is true of nothing`);
      for (const word of one.text.split(' ')) if (!emojiWords.includes(word)) t.fail(word);
      ways.add(one.needs.length === 2 ? 'two' : kinds.has(one.text.split(' ')[1]!) ? 'kind' : 'thing');
    }
  }
  t.deepEqual([...ways].sort(), ['kind', 'thing', 'two']);
  const scene = (...names: string[]) => ({
    pixels: new Uint8Array(),
    objects: names.map((name) => ({
      thing: things.indexOf(name),
      box: [0, 0, 1, 1] as [number, number, number, number],
    })),
  });
  t.equal(textOf('owl').text, 'an owl');
  t.ok(isTrue(textOf('animal'), scene('bus', 'fox')));
  t.notOk(isTrue(textOf('animal'), scene('bus')));
  t.ok(isTrue(bothOf(textOf('fox'), textOf('owl')), scene('owl', 'bus', 'fox')));
  t.notOk(isTrue(bothOf(textOf('fox'), textOf('owl')), scene('owl', 'bus')));
  t.equal(things.length, 64);
  t.equal(new Set(emojiWords).size, emojiWords.length, 'no word means two things');
  t.end();
});

test('texts become rows of words', (t) => {
  const { classes, probabilities, words, graph } = emojiReader.read('a fox | an owl and a bus');
  t.deepEqual([classes, probabilities], [['a fox', 'an owl and a bus'], 'softmax']);
  t.deepEqual(words!.shape, [2, 5, emojiWords.length]);
  t.equal(graph.output, 'similarity');
  const row = (i: number) => words!.data.slice(i * emojiWords.length, (i + 1) * emojiWords.length);
  t.ok(
    [0, 1, 2].every((i) => row(i).every((one) => one === 0)),
    'nothing before the words of a short text',
  );
  t.equal(row(4).indexOf(1), emojiWords.indexOf('fox'));
  t.equal(row(9).indexOf(1), emojiWords.indexOf('bus'));
  t.equal(emojiReader.read('a fox').probabilities, 'none');
  t.throws(() => emojiReader.read('a fix'), /does not know the word "fix"; .*fox/);
  t.end();
});

/** A PNG of one colour. */
function png(side: number, red: number): Uint8Array {
  const image = new PNG({ width: side, height: side });
  for (let i = 0; i < side * side; i++) image.data.set([red, 0, 0, 255], i * 4);
  return PNG.sync.write(image);
}

test('emoji are found by their names, and what is missing is said', (t) =>
  inFolder(async (folder) => {
    const put = (path: string, content: string | Uint8Array) => {
      const file = join(folder, 'node_modules', path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    };
    const failure = (names: readonly string[]) =>
      readEmoji(folder, names).then(
        () => new Error('it did not fail'),
        (error: Error) => error,
      );
    const missing = await failure(['fox']);
    t.ok(missing instanceof DataError);
    t.match(missing.message, /npm install .* emojibase-data@/);
    put('emojibase-data/en/data.json', '{');
    t.match((await failure(['fox'])).message, /data\.json: expected a JSON array of emoji/);
    put(
      'emojibase-data/en/data.json',
      JSON.stringify([
        { label: 'fox', hexcode: '1F98A' },
        { label: 'dog', hexcode: '1F415' },
        { label: 'dog face', hexcode: '1F436' },
        { label: 'bus', hexcode: '1F68C' },
      ]),
    );
    put(
      'emoji-datasource-google/emoji.json',
      JSON.stringify([
        { unified: '1F98A', image: '1f98a.png' },
        { unified: '1F415-FE0F', image: 'one-dog.png' },
        { unified: '1F436', image: '1f436.png' },
        { unified: '1F68C', image: 'bus.png' },
      ]),
    );
    for (const [name, red] of [
      ['1f98a', 10],
      ['one-dog', 20],
      ['1f436', 30],
    ] as const)
      put(`emoji-datasource-google/img/google/64/${name}.png`, png(64, red));
    put('emoji-datasource-google/img/google/64/bus.png', png(32, 40));
    const found = await readEmoji(folder, ['dog', 'fox']);
    t.deepEqual(
      found.map((sprites) => sprites.map((sprite) => sprite[0])),
      [[20, 30], [10]],
    );
    t.match((await failure(['yak'])).message, /there is no emoji called "yak"/);
    t.match((await failure(['bus'])).message, /bus\.png cannot be read: 32 x 32 pixels, expected 64 x 64/);
  }));
