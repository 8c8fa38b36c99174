// What is trained on what, and how: one recipe a shipped network.

import { binaryCrossEntropy, crossEntropy, type Device } from '../../engine/index.ts';
import { fcamDigits, fcamDigitsClass } from '../architectures/fcam.ts';
import { cifarGap, digitDense, digitScenes, digitVit } from '../architectures/shipped.ts';
import { type Graph, INPUT } from '../graph.ts';
import { open } from '../open.ts';
import { batch } from './data/augment.ts';
import { readCifar10 } from './data/cifar10.node.ts';
import { readEmoji } from './data/emoji.node.ts';
import { things } from './data/emoji-scenes.ts';
import type { LabelledImages } from './data/labelled-images.ts';
import { readMnist } from './data/mnist.node.ts';
import { type Random, random } from './data/random.ts';
import { makeScene, SCENE_SIZE, type SceneOptions, sceneBatch } from './data/scenes.ts';
import { decoyRecipe } from './decoys.ts';
import { emojiClipRecipe } from './emoji-clip.ts';
import { fcamBatch, fcamLoss, foregroundScorer } from './fcam.ts';
import { adam, sgd } from './optimiser.ts';
import type { Batch, Recipe, Scorer } from './recipe.ts';
import { captionRecipe, vqaRecipe } from './texts.ts';

const CLASSES = 10;

function oneHot(images: LabelledImages, indices: ArrayLike<number>, smoothing: number): Float32Array {
  const targets = new Float32Array(indices.length * CLASSES).fill(smoothing / CLASSES);
  for (let i = 0; i < indices.length; i++)
    targets[i * CLASSES + images.labels[indices[i]!]!]! += 1 - smoothing;
  return targets;
}

/** Pictures [N, C, H, W] with a row of targets [N, 10] for each. */
const labelled = (
  pixels: Float32Array,
  shape: readonly [channels: number, height: number, width: number],
  targets: Float32Array,
): Batch => {
  const count = targets.length / CLASSES;
  return {
    inputs: { [INPUT]: { shape: [count, ...shape], data: pixels } },
    targets: { classes: { shape: [count, CLASSES], data: targets } },
  };
};

const oneOfTen: Recipe['loss'] = (logits, { classes }) => crossEntropy(logits, classes!);
const yesOrNo: Recipe['loss'] = (logits, { classes }) => binaryCrossEntropy(logits, classes!);

const range = (start: number, count: number) => Uint32Array.from({ length: count }, (_, i) => start + i);

/** Share of rows whose largest logit is the label. */
function topOne(): Scorer {
  let right = 0;
  let total = 0;
  const best = (row: Float32Array) => row.indexOf(Math.max(...row));
  return {
    add(logits, { targets: { classes } }) {
      const targets = classes!.data;
      for (let i = 0; i < logits.length; i += CLASSES) {
        total++;
        if (best(logits.subarray(i, i + CLASSES)) === best(targets.subarray(i, i + CLASSES))) right++;
      }
    },
    result: () => ({ accuracy: right / total }),
  };
}

/** Share of right yes/no answers, and of scenes with all ten right. */
function multiLabel(): Scorer {
  let labels = 0;
  let right = 0;
  let scenes = 0;
  let exact = 0;
  return {
    add(logits, { targets: { classes } }) {
      const targets = classes!.data;
      for (let i = 0; i < logits.length; i += CLASSES) {
        let hits = 0;
        for (let k = i; k < i + CLASSES; k++) if (logits[k]! > 0 === targets[k]! > 0.5) hits++;
        labels += CLASSES;
        right += hits;
        scenes++;
        if (hits === CLASSES) exact++;
      }
    },
    result: () => ({ labelAccuracy: right / labels, sceneAccuracy: exact / scenes }),
  };
}

const momentum = 0.9;

/** Scenes drawn on the fly from MNIST's digits. */
async function scenesRecipe(data: string) {
  const { train, test } = await readMnist(data);
  const scenes = (digits: LabelledImages, count: number, next: Random): Batch => {
    const pixels = new Float32Array(count * SCENE_SIZE * SCENE_SIZE);
    const targets = new Float32Array(count * CLASSES);
    sceneBatch(digits, next, { pixels, labels: targets });
    return labelled(pixels, [1, SCENE_SIZE, SCENE_SIZE], targets);
  };
  return {
    loss: yesOrNo,
    trainCount: 20_000,
    testCount: 5_000,
    trainBatch: (indices, next) => scenes(train, indices.length, next),
    // Every batch has its own seed, so that a test set is the same however it is cut.
    testBatch: (start, count) => scenes(test, count, random(1_000_000 + start)),
    scorer: multiLabel,
  } satisfies Partial<Recipe>;
}

/** A decoder on the frozen `digit-scenes`, that sees scenes of so many digits; `crf` as the loss has it. */
const fcam =
  (graph: () => Graph, seed: number, digits: SceneOptions['digits'], crf: Parameters<typeof fcamLoss>[0]) =>
  async (data: string, device: Device): Promise<Recipe> => {
    const { train, test } = await readMnist(data);
    const network = await open(device, 'digit-scenes');
    const batchOf = (from: LabelledImages, count: number, next: Random) =>
      fcamBatch(
        network,
        Array.from({ length: count }, () => makeScene(from, next, { digits })),
        next,
      );
    return {
      graph: graph(),
      epochs: 3,
      // Seeds are few and cheap: small batches draw them more often.
      batch: 8,
      seed,
      rate: 0.03,
      update: sgd({ momentum, weightDecay: 1e-4 }),
      trainCount: 3_200,
      testCount: 1_000,
      loss: fcamLoss(crf),
      trainBatch: (indices, next) => batchOf(train, indices.length, next),
      testBatch: (start, count) => batchOf(test, count, random(2_000_000 + start)),
      scorer: foregroundScorer,
    };
  };

export const recipes: Readonly<Record<string, (data: string, device: Device) => Promise<Recipe>>> = {
  async 'cifar10-gap'(data) {
    const { train, test } = await readCifar10(data);
    const normalisation = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };
    const still = random(0);
    return {
      graph: cifarGap(),
      loss: oneOfTen,
      epochs: 12,
      batch: 128,
      seed: 1,
      rate: 0.1,
      update: sgd({ momentum, weightDecay: 5e-4 }),
      trainCount: train.count,
      testCount: test.count,
      trainBatch(indices, next) {
        const pixels = new Float32Array(indices.length * 3 * 32 * 32);
        batch(train, indices, { ...normalisation, flip: true, shift: 2 }, next, pixels);
        return labelled(pixels, [3, 32, 32], oneHot(train, indices, 0.1));
      },
      testBatch(start, count) {
        const indices = range(start, count);
        const pixels = new Float32Array(count * 3 * 32 * 32);
        batch(test, indices, normalisation, still, pixels);
        return labelled(pixels, [3, 32, 32], oneHot(test, indices, 0));
      },
      scorer: topOne,
    };
  },

  async 'digit-scenes'(data) {
    return {
      ...(await scenesRecipe(data)),
      graph: digitScenes(),
      epochs: 5,
      batch: 128,
      seed: 2,
      // The loss is a mean over ten labels: its gradient is a tenth of a sum's.
      rate: 1,
      update: sgd({ momentum, weightDecay: 1e-4 }),
    };
  },

  async 'digit-vit'(data) {
    return {
      ...(await scenesRecipe(data)),
      graph: digitVit(),
      epochs: 14,
      // Small batches: Adam is in need of steps more than of exact gradients.
      batch: 32,
      seed: 4,
      rate: 2e-3,
      update: adam({ weightDecay: 0.02 }),
    };
  },

  async 'digit-dense'(data) {
    const { train, test } = await readMnist(data);
    const normalisation = { mean: [0.1307], std: [0.3081] };
    const still = random(0);
    return {
      graph: digitDense(),
      loss: oneOfTen,
      epochs: 2,
      batch: 128,
      seed: 3,
      rate: 0.05,
      update: sgd({ momentum, weightDecay: 5e-4 }),
      trainCount: train.count,
      testCount: test.count,
      trainBatch(indices, next) {
        const pixels = new Float32Array(indices.length * 28 * 28);
        batch(train, indices, { ...normalisation, shift: 2 }, next, pixels);
        return labelled(pixels, [1, 28, 28], oneHot(train, indices, 0));
      },
      testBatch(start, count) {
        const indices = range(start, count);
        const pixels = new Float32Array(count * 28 * 28);
        batch(test, indices, normalisation, still, pixels);
        return labelled(pixels, [1, 28, 28], oneHot(test, indices, 0));
      },
      scorer: topOne,
    };
  },

  'fcam-digits': fcam(fcamDigits, 5, [1, 1], () => 8),
  // Seeds come first: with all of the CRF from the beginning, calling everything foreground satisfied it.
  'fcam-digits-class': fcam(fcamDigitsClass, 6, [1, 3], (epoch) => 4 ** (epoch - 1)),
  // The same with other weights of the dense CRF, none and the paper's among them: what it is good for.
  'fcam-digits-crf-0': fcam(fcamDigits, 5, [1, 1], () => 0),
  'fcam-digits-crf-1': fcam(fcamDigits, 5, [1, 1], () => 1),
  'fcam-digits-crf-20': fcam(fcamDigits, 5, [1, 1], () => 20),
  // With a shortcut planted in the pictures, and with a penalty on a map's evidence outside the box.
  'digit-decoys': async (data) => decoyRecipe(await readMnist(data), topOne),
  'digit-decoys-grad-cam': async (data) => decoyRecipe(await readMnist(data), topOne, 'grad-cam'),
  'digit-decoys-hires-cam': async (data) => decoyRecipe(await readMnist(data), topOne, 'hires-cam'),
  async 'digit-caption'(data, device) {
    return captionRecipe(await open(device, 'digit-scenes'), await readMnist(data));
  },
  async 'digit-vqa'(data, device) {
    return vqaRecipe(await open(device, 'digit-scenes'), await readMnist(data));
  },
  async 'emoji-clip'(data) {
    const [sprites, { train, test }] = [await readEmoji(data, things), await readCifar10(data)];
    return emojiClipRecipe({ train: { sprites, backgrounds: train }, test: { sprites, backgrounds: test } });
  },
};
