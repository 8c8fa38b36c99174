// The one source of randomness of data and training: seeded, so that a training run can be repeated bit for bit.

import { DataError } from './labelled-images.ts';

/** Returns the next number of a sequence that is uniform in [0, 1), in steps of 2^-32. */
export type Random = () => number;

/**
 * A sequence that depends on the seed alone: sfc32 ("small fast counting", C. Doty-Humphrey, PractRand), 128 bits of
 * state of which 32 are a counter, so no sequence repeats within 2^32 numbers and the expected period is 2^127.
 * @param seed any safe integer; its 53 bits all count
 * @throws DataError if the seed is not a safe integer
 */
export function random(seed: number): Random {
  if (!Number.isSafeInteger(seed)) throw new DataError(`random: seed ${seed} is not a safe integer`);
  // A typed array, since numbers past 31 bits in closure variables would be allocated at every step.
  const state = new Int32Array([seed, Math.floor(seed / 2 ** 32), 0, 1]);
  const next = () => {
    const [a, b, c, counter] = [state[0], state[1], state[2], state[3]];
    const output = (a + b + counter) | 0;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + output;
    state[3] = counter + 1;
    return (output >>> 0) / 2 ** 32;
  };
  // The first outputs of neighbouring seeds resemble one another.
  for (let i = 0; i < 16; i++) next();
  return next;
}

/** A uniform integer from 0 to `count - 1`. */
export function below(count: number, next: Random): number {
  return Math.floor(next() * count);
}

/** A normal number of mean 0 and variance 1 (Box and Muller, 1958); takes two uniform ones. */
export function normal(next: Random): number {
  // 1 - u lies in (0, 1], which keeps the logarithm finite.
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** The integers from 0 to `count - 1` in random order (Fisher and Yates). */
export function permutation(count: number, next: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = below(i + 1, next);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
