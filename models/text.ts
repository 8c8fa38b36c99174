// Texts as networks read them: words of a fixed vocabulary.

import { LimelightError } from '../engine/index.ts';
import type { HostTensor } from './formats/host-tensor.ts';
import type { Graph } from './graph.ts';
import { nearest } from './near.ts';

/** A text as the numbers of its tokens, from that which begins it to that which ends it. */
export type Tokenizer = (text: string) => readonly number[];

/** A network that has read a text: another graph, and what it tells apart where the text says that. */
export interface Reading {
  readonly graph: Graph;
  /** The parameter called "words", where the graph has one. */
  readonly words?: HostTensor;
  readonly classes?: readonly string[];
  readonly probabilities?: 'softmax' | 'none';
}

/** How a network takes a text. */
export interface TextReader {
  /** What the text is, in words. */
  readonly is: string;
  /** Taken when no text is given. */
  readonly standard: string;
  /**
   * @param tokenizer needed by networks whose tokens are published with their weights, but for the standard text
   * @throws LimelightError where there is a word that the network does not know, or too many, or no tokenizer.
   */
  readonly read: (text: string, tokenizer?: Tokenizer) => Reading;
}

/**
 * The indices of a text's words, of `length` where that is given: -1 stands before a shorter text.
 * @throws LimelightError where a word is unknown, with those that come near, or there are more than `length`.
 */
export function wordIndices(text: string, vocabulary: readonly string[], length?: number): number[] {
  const found = text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map((word) => {
      const index = vocabulary.indexOf(word);
      if (index >= 0) return index;
      throw new LimelightError(
        `the network does not know the word "${word}"; ${nearest(word, vocabulary, 'words')}`,
      );
    });
  if (length === undefined) return found;
  if (found.length <= length) return [...Array.from({ length: length - found.length }, () => -1), ...found];
  throw new LimelightError(`"${text}" has ${found.length} words; the network takes ${length} at most`);
}

/** Rows of 0 and one 1 [1, rows, vocabulary]; a row of zeros where the index is -1. */
export function oneHotWords(indices: readonly number[], vocabulary: number): HostTensor {
  const data = new Float32Array(indices.length * vocabulary);
  indices.forEach((index, row) => {
    if (index >= 0) data[row * vocabulary + index] = 1;
  });
  return { shape: [1, indices.length, vocabulary], data };
}

/**
 * Texts that are to be told apart, "a fox | an owl": each is a class. Of one alone there is no probability.
 * @throws LimelightError where one is empty.
 */
export function textClasses(text: string): Required<Pick<Reading, 'classes' | 'probabilities'>> {
  const classes = text.split('|').map((one) => one.trim());
  if (classes.includes(''))
    throw new LimelightError(
      `"${text}" has an empty text; give one, or several with | between: "a cat | a dog"`,
    );
  return { classes, probabilities: classes.length > 1 ? 'softmax' : 'none' };
}
