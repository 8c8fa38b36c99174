// Two small networks that put a scene into words, on the frozen features of `digit-scenes`: one writes what is where, word
// by word, one answers questions. After Selvaraju 2017, sections 8 and 9, who explain a captioner and an answerer.

import { logSoftmax, mul as mulOf, narrow, reshape, sum } from '../../engine/index.ts';
import type { Graph, GraphNode } from '../graph.ts';
import { avgPool, flatten, gru, linear, mul, plain, takeToken, tanh, words } from '../layers.ts';
import { digitScenes } from './shipped.ts';

/** Units of everything between picture and words. */
const WIDTH = 128;

/** The part of `digit-scenes` that is used: its features, averaged over a grid of 4 x 4 cells so that it remains where they are. */
const picture = (): GraphNode[] => [
  ...digitScenes().nodes.filter(({ name }) => name !== 'gap' && name !== 'classifier'),
  avgPool('grid', 'features', { kernel: 4, stride: 4 }),
  flatten('cells', 'grid'),
  linear('image', 'cells', { in: 48 * 4 * 4, out: WIDTH }),
  tanh('seen', 'image'),
];

export const digitWords = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** The words that a caption is made of. The full stop stands before its first word and after its last. */
export const captionWords = ['.', 'a', 'alone', 'above', 'left', 'right', 'of', ...digitWords];

/** The log-probability of a text [N, 1]: of each word but the first, after those before it. */
const textNode = (steps: string, said: string): GraphNode =>
  plain('text', 'logProbability', [steps, said], (y, x) => {
    const rest = x.shape[1]! - 1;
    const after = mulOf(narrow(logSoftmax(y, 2), 1, 0, rest), narrow(x, 1, 1, rest));
    return reshape(sum(after, [1, 2]), [-1, 1]);
  });

/**
 * A picture and the `length` words so far, the full stop before them among these -> the next word [N, words]. There are two
 * more outputs: what comes after each word, "steps" [N, length, words], and how probable the text is, "text".
 */
export const digitCaption = (length: number): Graph => ({
  nodes: [
    ...picture(),
    words('words', length, captionWords.length),
    gru('gru', ['words', 'seen'], { in: captionWords.length, hidden: WIDTH }),
    linear('steps', 'gru', { in: WIDTH, out: captionWords.length }),
    takeToken('next', 'steps', length - 1),
    textNode('steps', 'words'),
  ],
  output: 'next',
  outputs: new Map([
    ['steps', 'steps'],
    ['text', 'text'],
  ]),
});

/** The words that questions are made of. */
export const questionWords = [
  ...['is', 'there', 'a', 'how', 'many', 'digits', 'what', 'the', 'above', 'below', 'left', 'right', 'of'],
  ...digitWords,
];
/** Words of the longest question; shorter ones have zeros before them. */
export const QUESTION_LENGTH = 6;

/** The possible answers. */
export const answers = [...digitWords, 'yes', 'no'];

/** A picture and a question -> an answer: what is seen and what is asked are multiplied. */
export const digitVqa = (): Graph => ({
  nodes: [
    ...picture(),
    words('words', QUESTION_LENGTH, questionWords.length),
    gru('gru', ['words'], { in: questionWords.length, hidden: WIDTH / 2 }),
    takeToken('question', 'gru', QUESTION_LENGTH - 1),
    linear('query', 'question', { in: WIDTH / 2, out: WIDTH }),
    tanh('asked', 'query'),
    mul('fusion', 'seen', 'asked'),
    linear('answer', 'fusion', { in: WIDTH, out: answers.length }),
  ],
  output: 'answer',
});
