// How `emoji-clip` is trained: of all that is said in a batch of scenes, every scene is to be nearest to the texts that are
// true of it, and every text to the scenes that it is true of: InfoNCE both ways (Radford 2021), where several may be right.

import { add, div, logSoftmax, mul, scale, sum } from '../../engine/index.ts';
import { EMOJI_TEXT_LENGTH, emojiClip, emojiWords } from '../architectures/emoji-clip.ts';
import { INPUT } from '../graph.ts';
import { oneHotWords, wordIndices } from '../text.ts';
import {
  type EmojiSceneOptions,
  type EmojiSource,
  emojiTexts,
  isTrue,
  isUnseenPair,
  makeEmojiScene,
} from './data/emoji-scenes.ts';
import { type Random, random } from './data/random.ts';
import { SCENE_SIZE } from './data/scenes.ts';
import { adam } from './optimiser.ts';
import type { Batch, Recipe, Scorer } from './recipe.ts';

/** By what cosines are divided before the softmax. */
const TEMPERATURE = 0.05;
const V = emojiWords.length;

/** Scenes, what is said of all of them, and which text is true of which scene. */
function batchOf(
  source: EmojiSource,
  count: number,
  next: Random,
  options: Partial<EmojiSceneOptions>,
): Batch {
  const scenes = Array.from({ length: count }, () => makeEmojiScene(source, next, options));
  const texts = scenes.flatMap((scene) => emojiTexts(scene, next));
  const area = 3 * SCENE_SIZE * SCENE_SIZE;
  const pixels = new Float32Array(count * area);
  scenes.forEach((scene, n) => {
    for (let i = 0; i < area; i++) pixels[n * area + i] = scene.pixels[i]! / 255;
  });
  const words = new Float32Array(texts.length * EMOJI_TEXT_LENGTH * V);
  texts.forEach(({ text }, m) => {
    const { data } = oneHotWords(wordIndices(text, emojiWords, EMOJI_TEXT_LENGTH), V);
    words.set(data, m * EMOJI_TEXT_LENGTH * V);
  });
  const isTrueOf = Float32Array.from({ length: count * texts.length }, (_, i) =>
    Number(isTrue(texts[i % texts.length]!, scenes[Math.floor(i / texts.length)]!)),
  );
  return {
    inputs: {
      [INPUT]: { shape: [count, 3, SCENE_SIZE, SCENE_SIZE], data: pixels },
      words: { shape: [texts.length, EMOJI_TEXT_LENGTH, V], data: words },
    },
    targets: { isTrue: { shape: [count, texts.length], data: isTrueOf } },
  };
}

/** Share of scenes whose nearest text of the batch's is true of them, and of texts whose nearest scene they are true of. */
function retrieval(): Scorer {
  const scores = { textOfScene: { count: 0, right: 0 }, sceneOfText: { count: 0, right: 0 } };
  const note = (
    score: { count: number; right: number },
    indices: number[],
    output: Float32Array,
    truth: Float32Array,
  ) => {
    const best = indices.reduce((a, b) => (output[b]! > output[a]! ? b : a));
    score.count++;
    score.right += truth[best]!;
  };
  return {
    add(output, { targets }) {
      const { data: truth, shape } = targets.isTrue!;
      const [N, M] = shape as [number, number];
      for (let n = 0; n < N; n++)
        note(
          scores.textOfScene,
          Array.from({ length: M }, (_, m) => n * M + m),
          output,
          truth,
        );
      for (let m = 0; m < M; m++)
        note(
          scores.sceneOfText,
          Array.from({ length: N }, (_, n) => n * M + m),
          output,
          truth,
        );
    },
    result: () =>
      Object.fromEntries(Object.entries(scores).map(([key, { count, right }]) => [key, right / count])),
  };
}

/** Scenes are drawn anew in every step. */
export function emojiClipRecipe(source: { readonly train: EmojiSource; readonly test: EmojiSource }): Recipe {
  const graph = emojiClip(1);
  return {
    // The words go in.
    graph: { ...graph, inputs: [INPUT, 'words'], nodes: graph.nodes.filter(({ name }) => name !== 'words') },
    frozen: new Map([['logit_scale', { shape: [], data: Float32Array.of(Math.log(1 / TEMPERATURE)) }]]),
    epochs: 30,
    batch: 32,
    seed: 9,
    rate: 3e-3,
    update: adam({ weightDecay: 0.01 }),
    trainCount: 3_200,
    testCount: 1_024,
    loss: (output, { isTrue }) => {
      const along = (axis: number) =>
        sum(mul(div(isTrue!, sum(isTrue!, [axis], true)), logSoftmax(output, axis)));
      const [scenes, texts] = output.shape as [number, number];
      return add(scale(along(1), -0.5 / scenes), scale(along(0), -0.5 / texts));
    },
    trainBatch: (indices, next) =>
      batchOf(source.train, indices.length, next, { together: (a, b) => !isUnseenPair(a, b) }),
    testBatch: (start, count) => batchOf(source.test, count, random(5_000_000 + start), {}),
    scorer: retrieval,
  };
}
