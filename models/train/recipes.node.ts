// What is trained on what, and how: one recipe a shipped network.

import { cifarGap, digitDense, digitScenes, digitVit } from '../architectures/shipped.ts';
import type { Graph } from '../graph.ts';
import { batch } from './data/augment.ts';
import { readCifar10 } from './data/cifar10.node.ts';
import type { LabelledImages } from './data/labelled-images.ts';
import { readMnist } from './data/mnist.node.ts';
import { type Random, random } from './data/random.ts';
import { SCENE_SIZE, sceneBatch } from './data/scenes.ts';
import { adam, sgd } from './optimiser.ts';

/** A batch: pixels [N, C, H, W] as the network takes them, targets [N, classes]. */
export interface Batch {
  readonly pixels: Float32Array;
  readonly targets: Float32Array;
}

/** Counts what a network gets right, batch by batch. */
export interface Scorer {
  readonly add: (logits: Float32Array, targets: Float32Array) => void;
  readonly result: () => Record<string, number>;
}

export interface Recipe {
  readonly graph: Graph;
  readonly inputShape: readonly [channels: number, height: number, width: number];
  readonly classes: number;
  /** Independent yes/no labels rather than one class. */
  readonly multiLabel: boolean;
  /** Those of the shipped weights, some of which came to them in several runs, as their cards say. */
  readonly epochs: number;
  readonly batch: number;
  readonly seed: number;
  /** Peak learning rate. */
  readonly rate: number;
  readonly update: ReturnType<typeof sgd>;
  readonly trainCount: number;
  readonly testCount: number;
  readonly trainBatch: (indices: Uint32Array, next: Random) => Batch;
  readonly testBatch: (start: number, count: number) => Batch;
  readonly scorer: () => Scorer;
}

const CLASSES = 10;

function oneHot(images: LabelledImages, indices: ArrayLike<number>, smoothing: number): Float32Array {
  const targets = new Float32Array(indices.length * CLASSES).fill(smoothing / CLASSES);
  for (let i = 0; i < indices.length; i++)
    targets[i * CLASSES + images.labels[indices[i]!]!]! += 1 - smoothing;
  return targets;
}

const range = (start: number, count: number) => Uint32Array.from({ length: count }, (_, i) => start + i);

/** Share of rows whose largest logit is the label. */
function topOne(): Scorer {
  let right = 0;
  let total = 0;
  const best = (row: Float32Array) => row.indexOf(Math.max(...row));
  return {
    add(logits, targets) {
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
    add(logits, targets) {
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
    return { pixels, targets };
  };
  return {
    inputShape: [1, SCENE_SIZE, SCENE_SIZE],
    classes: CLASSES,
    multiLabel: true,
    trainCount: 20_000,
    testCount: 5_000,
    trainBatch: (indices, next) => scenes(train, indices.length, next),
    // Every batch has its own seed, so that a test set is the same however it is cut.
    testBatch: (start, count) => scenes(test, count, random(1_000_000 + start)),
    scorer: multiLabel,
  } satisfies Partial<Recipe>;
}

export const recipes: Readonly<Record<string, (data: string) => Promise<Recipe>>> = {
  async 'cifar10-gap'(data) {
    const { train, test } = await readCifar10(data);
    const normalisation = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };
    const still = random(0);
    return {
      graph: cifarGap(),
      inputShape: [3, 32, 32],
      classes: CLASSES,
      multiLabel: false,
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
        return { pixels, targets: oneHot(train, indices, 0.1) };
      },
      testBatch(start, count) {
        const indices = range(start, count);
        const pixels = new Float32Array(count * 3 * 32 * 32);
        batch(test, indices, normalisation, still, pixels);
        return { pixels, targets: oneHot(test, indices, 0) };
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
      inputShape: [1, 28, 28],
      classes: CLASSES,
      multiLabel: false,
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
        return { pixels, targets: oneHot(train, indices, 0) };
      },
      testBatch(start, count) {
        const indices = range(start, count);
        const pixels = new Float32Array(count * 28 * 28);
        batch(test, indices, normalisation, still, pixels);
        return { pixels, targets: oneHot(test, indices, 0) };
      },
      scorer: topOne,
    };
  },
};
