// What maps of `emoji-clip` show, on scenes that it was not trained on: the figures of its card.
//   LIMELIGHT_DATA=<folder> npm run bench:emoji [-- scenes]

import { disposeExplanation, explain, metrics, observe, type Target, targets } from '../cam/index.ts';
import { openDevice, type Tensor, tensor } from '../engine/index.ts';
import { disposeNetwork, type Network, open } from '../models/index.ts';
import { readCifar10 } from '../models/train/data/cifar10.node.ts';
import { readEmoji } from '../models/train/data/emoji.node.ts';
import {
  bothOf,
  type EmojiScene,
  type EmojiSceneOptions,
  isUnseenPair,
  kinds,
  makeEmojiScene,
  textOf,
  things,
} from '../models/train/data/emoji-scenes.ts';
import { below, random } from '../models/train/data/random.ts';
import { SCENE_SIZE } from '../models/train/data/scenes.ts';

const folder = process.env.LIMELIGHT_DATA;
if (!folder) throw new Error('Set LIMELIGHT_DATA to the folder that the data of emoji-clip is installed in');
const SCENES = Number(process.argv[2] ?? 250);
const METHODS = ['grad-cam', 'layer-cam', 'ablation-cam'];

const device = await openDevice();
const source = { sprites: await readEmoji(folder, things), backgrounds: (await readCifar10(folder)).test };
const next = random(6_000_000);
const drawn = (options: Partial<EmojiSceneOptions>, count = SCENES): EmojiScene[] =>
  Array.from({ length: count }, () => makeEmojiScene(source, next, options));

const pictureOf = ({ pixels }: Pick<EmojiScene, 'pixels'>, side = SCENE_SIZE): Tensor =>
  tensor(
    device,
    Float32Array.from(pixels, (value) => value / 255),
    [1, 3, side, side],
  );

/** The map of each class by each method, as shown and its maximum in the method's own units. */
async function maps(
  network: Network,
  input: Tensor,
  classes: readonly number[],
  methods: readonly string[] = ['grad-cam'],
  target?: (classIndex: number) => Target,
) {
  const found = await explain(network, input, { methods, classes, target });
  const [, , height, width] = input.shape as [number, number, number, number];
  const read = await Promise.all(
    found.map(async ({ method, classIndex, upsampled, map }) => ({
      ...{ method, classIndex, map: { width, height, data: await upsampled.data() } },
      most: Math.max(...(await map.data())),
    })),
  );
  for (const one of found) disposeExplanation(one);
  return read;
}

const percent = (values: readonly number[]) =>
  Number(((100 * values.reduce((sum, one) => sum + one, 0)) / values.length).toFixed(1));
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Share of objects on which their map's peak lies, by method; and an absent thing's largest value to those present. */
async function pointing(
  network: Network,
  scenes: readonly EmojiScene[],
  methods: readonly string[],
  target: (classIndex: number) => Target = targets.logit,
) {
  const hits = new Map(methods.map((method) => [method, [] as number[]]));
  const [present, absent, ratios]: number[][] = [[], [], []];
  for (const scene of scenes) {
    const input = pictureOf(scene);
    const there = scene.objects.map(({ thing }) => thing);
    for (const { method, classIndex, map, most } of await maps(network, input, there, methods, target)) {
      const { box } = scene.objects.find(({ thing }) => thing === classIndex)!;
      hits.get(method)!.push(metrics.pointing(map, metrics.maskOf([box], SCENE_SIZE, SCENE_SIZE)));
      if (method === methods[0]) present!.push(most);
    }
    const others = things.map((_, i) => i).filter((i) => !there.includes(i));
    const absentOne = others[below(others.length, next)]!;
    const [missing] = await maps(network, input, [absentOne], methods.slice(0, 1), target);
    absent!.push(missing!.most);
    ratios!.push(missing!.most / median(present!.slice(-there.length)));
    input.dispose();
  }
  return {
    pointing: Object.fromEntries([...hits].map(([method, found]) => [method, percent(found)])),
    absentToPresent: percent([
      absent!.reduce((a, b) => a + b) / absent!.length / (present!.reduce((a, b) => a + b) / present!.length),
    ]),
    medianOfRatios: percent([median(ratios!)]),
    below20: percent(ratios!.map((ratio) => Number(ratio < 0.2))),
  };
}

/** Four scenes of one object side by side: share of maps whose peak is in their object's cell, and of their energy there. */
async function grid(network: Network) {
  const [peaks, energies]: number[][] = [[], []];
  const side = 2 * SCENE_SIZE;
  for (let i = 0; i < SCENES; i++) {
    const four: EmojiScene[] = [];
    while (four.length < 4) {
      const scene = makeEmojiScene(source, next, { objects: [1, 1] });
      if (!four.some(({ objects }) => objects[0]!.thing === scene.objects[0]!.thing)) four.push(scene);
    }
    const pixels = Uint8Array.from({ length: 3 * side * side }, (_, at) => {
      const [x, y, c] = [at % side, Math.floor(at / side) % side, Math.floor(at / side / side)];
      const cell = four[2 * Math.floor(y / SCENE_SIZE) + Math.floor(x / SCENE_SIZE)]!;
      return cell.pixels[(c * SCENE_SIZE + (y % SCENE_SIZE)) * SCENE_SIZE + (x % SCENE_SIZE)]!;
    });
    const input = pictureOf({ pixels }, side);
    const found = await maps(
      network,
      input,
      four.map(({ objects }) => objects[0]!.thing),
    );
    for (const [cell, { map }] of found.entries()) {
      const mask = metrics.maskOf([metrics.cellOf(cell, 2, side, side)], side, side);
      peaks!.push(metrics.pointing(map, mask));
      energies!.push(metrics.energyPointing(map, mask).energy);
    }
    input.dispose();
  }
  return { cell: percent(peaks!), energy: percent(energies!) };
}

/** "a fox and an owl" of scenes with these two, against the text with one of them exchanged, or both. */
async function pairs(together: EmojiSceneOptions['together'] & {}) {
  const scenes = drawn({ objects: [2, 2], together });
  const texts = scenes.flatMap(({ objects }) => {
    const [a, b] = objects.map(({ thing }) => thing) as [number, number];
    const [c, d] = [(a + b + 7) % things.length, (a + 2 * b + 29) % things.length];
    return (
      [
        [a, b],
        [a, c],
        [d, b],
        [c, d],
      ] as const
    ).map(([one, other]) => bothOf(textOf(things[one]!), textOf(things[other]!)).text);
  });
  const network = await open(device, 'emoji-clip', { text: texts.join(' | ') });
  const right: number[] = [];
  for (const [i, scene] of scenes.entries()) {
    const input = pictureOf(scene);
    const trace = observe(network, input);
    const logits = (await trace.outputs.logits.data()).slice(4 * i, 4 * i + 4);
    right.push(Number(Math.max(...logits) === logits[0]));
    trace.dispose();
    input.dispose();
  }
  disposeNetwork(network);
  return percent(right);
}

/** "an animal": share of maps whose peak is on something of the kind. */
async function ofKinds() {
  const names = [...kinds.keys()];
  const network = await open(device, 'emoji-clip', {
    text: names.map((kind) => textOf(kind).text).join(' | '),
  });
  const hits: number[] = [];
  for (const scene of drawn({ objects: [3, 4] })) {
    const kind = below(names.length, next);
    const boxes = scene.objects
      .filter(({ thing }) => kinds.get(names[kind]!)!.has(thing))
      .map(({ box }) => box);
    if (boxes.length === 0) continue;
    const input = pictureOf(scene);
    const [found] = await maps(network, input, [kind]);
    hits.push(metrics.pointing(found!.map, metrics.maskOf(boxes, SCENE_SIZE, SCENE_SIZE)));
    input.dispose();
  }
  disposeNetwork(network);
  return { maps: hits.length, pointing: percent(hits) };
}

const network = await open(device, 'emoji-clip');
const report = (what: string, found: unknown) => console.log(JSON.stringify({ [what]: found }));
report('four objects', await pointing(network, drawn({ objects: [4, 4] }), METHODS));
report(
  'two objects never seen together',
  await pointing(network, drawn({ objects: [2, 2], together: isUnseenPair }), METHODS.slice(0, 1)),
);
report('grid of 2 x 2', await grid(network));
report('pairs never seen together', await pairs(isUnseenPair));
report('pairs that were', await pairs((a, b) => !isUnseenPair(a, b)));
report('kinds', await ofKinds());
report(
  'four objects, their probabilities',
  await pointing(network, drawn({ objects: [4, 4] }), METHODS.slice(0, 1), (classIndex) =>
    targets.probability(classIndex),
  ),
);
process.exit(0);
