// A small network of pictures and texts: both become embeddings, and the cosine between them says how well a text fits a
// picture. After CLIP (Radford 2021, "Learning Transferable Visual Models From Natural Language Supervision").

import type { Graph } from '../graph.ts';
import {
  conv,
  globalAvgPool,
  linear,
  maxPool,
  meanToken,
  similarity,
  textsTogether,
  words,
} from '../layers.ts';
import { oneHotWords, type TextReader, textClasses, wordIndices } from '../text.ts';
import { block } from './blocks.ts';

/** What pictures show, by the kind of thing that it is: emoji of these names. */
export const emojiThings: Readonly<Record<string, readonly string[]>> = {
  animal: [
    ...['monkey', 'dog', 'fox', 'cat', 'lion', 'zebra', 'cow', 'pig', 'elephant', 'rabbit', 'bear', 'panda'],
    ...['koala', 'penguin', 'owl', 'flamingo', 'frog', 'turtle', 'octopus', 'fish', 'crab', 'butterfly'],
    ...['whale', 'snake'],
  ],
  fruit: ['grapes', 'watermelon', 'lemon', 'banana', 'pineapple', 'pear', 'strawberry', 'cherries'],
  vegetable: ['carrot', 'broccoli', 'eggplant', 'avocado', 'cucumber'],
  food: ['hamburger', 'pizza', 'bread', 'pretzel', 'doughnut', 'cookie', 'pancakes'],
  flower: ['rose', 'sunflower', 'tulip'],
  vehicle: ['bus', 'bicycle', 'tractor', 'locomotive', 'airplane', 'helicopter', 'rocket', 'sailboat'],
  object: [...['umbrella', 'balloon', 'guitar', 'drum', 'scissors', 'hammer', 'candle', 'crown', 'backpack']],
};

/** What texts are made of. */
export const emojiWords = [
  'a',
  'an',
  'and',
  ...Object.keys(emojiThings),
  ...Object.values(emojiThings).flat(),
];

/** Words of the longest text; shorter ones have zeros before them. */
export const EMOJI_TEXT_LENGTH = 5;

/** Numbers of an embedding. */
const WIDTH = 64;

/**
 * A picture and texts -> the cosines between their embeddings, times a constant: [N, texts]. A picture's embedding is the mean
 * of its cells', a text's that of its words'.
 */
export const emojiClip = (texts: number): Graph => ({
  nodes: [
    ...block('stem', 'input', [3, 16], 2),
    maxPool('pool1', 'stem', { kernel: 2, stride: 2 }),
    ...block('stage1', 'pool1', [16, 32]),
    ...block('stage2', 'stage1', [32, 48]),
    maxPool('pool2', 'stage2', { kernel: 2, stride: 2 }),
    ...block('features', 'pool2', [48, 64]),
    conv('cells', 'features', { in: 64, out: WIDTH, kernel: 1, bias: false }),
    globalAvgPool('image', 'cells'),
    words('words', EMOJI_TEXT_LENGTH, emojiWords.length, texts),
    meanToken('bag', 'words', 0),
    linear('text', 'bag', { in: emojiWords.length, out: WIDTH, bias: false }),
    textsTogether('texts', 'text'),
    similarity('similarity', 'image', 'texts'),
  ],
  output: 'similarity',
  outputs: new Map([
    ['similarity', 'similarity'],
    ['image', 'image'],
    ['text', 'text'],
  ]),
});

/** "a fox", "an owl". */
export const withArticle = (word: string): string => `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;

export const emojiReader: TextReader = {
  is: 'texts to be told apart: "a fox | an owl | a dog and a bus"',
  standard: Object.values(emojiThings).flat().map(withArticle).join(' | '),
  read(text) {
    const said = textClasses(text);
    const rows = said.classes.flatMap((one) => wordIndices(one, emojiWords, EMOJI_TEXT_LENGTH));
    const { data } = oneHotWords(rows, emojiWords.length);
    const count = said.classes.length;
    return {
      ...said,
      graph: emojiClip(count),
      words: { shape: [count, EMOJI_TEXT_LENGTH, emojiWords.length], data },
    };
  },
};
