// Texts as networks read them: words of a fixed vocabulary.

import { LimelightError } from '../engine/index.ts';
import type { HostTensor } from './formats/host-tensor.ts';
import { nearest } from './near.ts';

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
