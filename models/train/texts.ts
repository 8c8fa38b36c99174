// How the networks that caption scenes and answer questions about them are trained: on the frozen features of
// `digit-scenes`, which are computed once for all scenes.

import { logSoftmax, mul, scale, scope, sum, tensor } from '../../engine/index.ts';
import {
  answers,
  captionWords,
  digitCaption,
  digitVqa,
  QUESTION_LENGTH,
  questionWords,
} from '../architectures/digit-text.ts';
import type { HostTensor } from '../formats/host-tensor.ts';
import { type Graph, INPUT } from '../graph.ts';
import type { Network } from '../network.ts';
import { run } from '../run.ts';
import { oneHotWords, wordIndices } from '../text.ts';
import { caption, question } from './data/captions.ts';
import type { LabelledImages } from './data/labelled-images.ts';
import { type Random, random } from './data/random.ts';
import { makeScene, SCENE_SIZE, type Scene } from './data/scenes.ts';
import { adam } from './optimiser.ts';
import type { Batch, Recipe, Scorer } from './recipe.ts';

/** The full stop, the longest caption's words, and none after them. */
const CAPTION_LENGTH = 11;
const TRAIN = 20_000;
const TEST = 2_000;
const AT_ONCE = 100;

/** Which digits are drawn from to train and to test. */
export interface Digits {
  readonly train: LabelledImages;
  readonly test: LabelledImages;
}

/** What a network of text sees of each scene, "cells" [N, 768]. */
async function cellsOf(network: Network, graph: Graph, scenes: readonly Scene[]): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  for (let start = 0; start < scenes.length; start += AT_ONCE) {
    const some = scenes.slice(start, start + AT_ONCE);
    const pixels = Float32Array.from(some.flatMap((scene) => Array.from(scene.pixels, (grey) => grey / 255)));
    const cells = scope(() => {
      const x = tensor(network.device, pixels, [some.length, 1, SCENE_SIZE, SCENE_SIZE]);
      const seen = run({ graph, parameters: network.parameters }, new Map([[INPUT, x]]), ['cells']);
      return seen.get('cells')!;
    });
    const values = await cells.data();
    cells.dispose();
    const width = values.length / some.length;
    for (let i = 0; i < some.length; i++) found.push(values.slice(i * width, (i + 1) * width));
  }
  return found;
}

/** Rows on top of one another: [N, ...]. */
function stacked(rows: readonly Float32Array[], shape: readonly number[]): HostTensor {
  const data = new Float32Array(rows.length * rows[0]!.length);
  rows.forEach((row, i) => {
    data.set(row, i * row.length);
  });
  return { shape: [rows.length, ...shape], data };
}

/** What a scene teaches: the words that go in and what should come out, [T, V] each or [V]. */
interface Lesson {
  readonly words: Float32Array;
  readonly wanted: Float32Array;
  /** Of what type it is, for the score. */
  readonly type: number;
}

interface Task {
  readonly graph: Graph;
  readonly seed: number;
  readonly epochs: number;
  readonly shapes: { readonly words: readonly number[]; readonly wanted: readonly number[] };
  readonly lesson: (scene: Scene, next: Random) => Lesson;
  readonly scorer: () => Scorer;
}

async function recipe(network: Network, { train, test }: Digits, task: Task): Promise<Recipe> {
  const { graph, seed, epochs, shapes, lesson, scorer } = task;
  const drawn = async (from: LabelledImages, count: number, next: Random) => {
    const scenes = Array.from({ length: count }, () => makeScene(from, next));
    return { scenes, cells: await cellsOf(network, graph, scenes) };
  };
  const sets = {
    train: await drawn(train, TRAIN, random(1000 + seed)),
    test: await drawn(test, TEST, random(3_000_000 + seed)),
  };
  const batchOf = ({ scenes, cells }: typeof sets.train, indices: readonly number[], next: Random): Batch => {
    const lessons = indices.map((i) => lesson(scenes[i]!, next));
    const wanted = stacked(
      lessons.map((one) => one.wanted),
      shapes.wanted,
    );
    const total = wanted.data.reduce((sum, one) => sum + one, 0);
    return {
      inputs: {
        cells: stacked(
          indices.map((i) => cells[i]!),
          [cells[0]!.length],
        ),
        words: stacked(
          lessons.map((one) => one.words),
          shapes.words,
        ),
      },
      targets: {
        wanted: { ...wanted, data: wanted.data.map((one) => one / total) },
        types: stacked(
          lessons.map(({ type }) => Float32Array.of(type)),
          [],
        ),
      },
    };
  };
  const keys = new Set(
    graph.nodes.flatMap(({ parameters }) => Object.values(parameters).map(({ key }) => key)),
  );
  const frozen = new Map<string, HostTensor>();
  for (const [key, value] of network.parameters)
    if (keys.has(key)) frozen.set(key, { shape: value.shape, data: await value.data() });
  return {
    // The words go in.
    graph: { ...graph, inputs: [INPUT, 'words'], nodes: graph.nodes.filter(({ name }) => name !== 'words') },
    frozen,
    epochs,
    batch: 128,
    seed,
    rate: 3e-3,
    update: adam({ weightDecay: 0.01 }),
    trainCount: TRAIN,
    testCount: TEST,
    // Cross-entropy over the last axis; what is wanted weighs 1 in all.
    loss: (output, { wanted }) => scale(sum(mul(wanted!, logSoftmax(output, output.shape.length - 1))), -1),
    trainBatch: (indices, next) => batchOf(sets.train, [...indices], next),
    testBatch: (start, count) =>
      batchOf(
        sets.test,
        Array.from({ length: count }, (_, i) => start + i),
        random(4_000_000 + start),
      ),
    scorer,
  };
}

/** Where a row is largest. */
const best = (row: Float32Array): number => row.indexOf(row.reduce((a, b) => Math.max(a, b)));

/** `digit-caption`: every word from those before it. */
export function captionRecipe(network: Network, digits: Digits): Promise<Recipe> {
  const V = captionWords.length;
  return recipe(network, digits, {
    graph: { ...digitCaption(CAPTION_LENGTH), output: 'steps' },
    seed: 7,
    epochs: 15,
    shapes: { words: [CAPTION_LENGTH, V], wanted: [CAPTION_LENGTH, V] },
    lesson({ digits }) {
      const said = wordIndices(caption(digits).text, captionWords);
      const after = Array.from({ length: CAPTION_LENGTH - said.length - 1 }, () => -1);
      const [before, wanted] = [
        [0, ...said, ...after],
        [...said, 0, ...after],
      ].map((indices) => oneHotWords(indices, V).data);
      return { words: before!, wanted: wanted!, type: 0 };
    },
    /** Share of the words that are foretold from those before them, and of captions that are right from end to end. */
    scorer() {
      let [words, right, captions, whole] = [0, 0, 0, 0];
      return {
        add(steps, { targets: { wanted } }) {
          for (let start = 0; start < steps.length; start += CAPTION_LENGTH * V) {
            let wrong = 0;
            for (let at = start; at < start + CAPTION_LENGTH * V; at += V) {
              const row = wanted!.data.subarray(at, at + V);
              if (!row.some(Boolean)) continue;
              words++;
              if (best(steps.subarray(at, at + V)) === best(row)) right++;
              else wrong++;
            }
            captions++;
            if (wrong === 0) whole++;
          }
        },
        result: () => ({ wordAccuracy: right / words, captionAccuracy: whole / captions }),
      };
    },
  });
}

const TYPES = ['presence', 'count', 'relation'] as const;

/** `digit-vqa`: an answer to a question, drawn anew each time. */
export function vqaRecipe(network: Network, digits: Digits): Promise<Recipe> {
  const V = questionWords.length;
  return recipe(network, digits, {
    graph: digitVqa(),
    seed: 8,
    epochs: 30,
    shapes: { words: [QUESTION_LENGTH, V], wanted: [answers.length] },
    lesson({ digits }, next) {
      const { text, answer, type } = question(digits, next);
      return {
        words: oneHotWords(wordIndices(text, questionWords, QUESTION_LENGTH), V).data,
        wanted: oneHotWords([answers.indexOf(answer)], answers.length).data,
        type: TYPES.indexOf(type),
      };
    },
    /** Share of right answers, by the type of question. */
    scorer() {
      const counts = TYPES.map(() => ({ asked: 0, right: 0 }));
      return {
        add(output, { targets: { wanted, types } }) {
          types!.data.forEach((type, n) => {
            const [found, row] = [output, wanted!.data].map((all) =>
              all.subarray(n * answers.length, (n + 1) * answers.length),
            );
            counts[type]!.asked++;
            if (best(found!) === best(row!)) counts[type]!.right++;
          });
        },
        result: () => Object.fromEntries(TYPES.map((type, i) => [type, counts[i]!.right / counts[i]!.asked])),
      };
    },
  });
}
