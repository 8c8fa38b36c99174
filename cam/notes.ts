// What is said of explanations that say little: weights that hardly differ, maps that hardly depend on the class.

import { largest, least } from '../engine/extremes.ts';
import type { Tensor } from '../engine/index.ts';

/** Weights all of one sign and within this factor of one another hardly choose among channels: a softmax's of numbers in 0..1 are. */
const FACTOR = Math.E;
/** Maps over their maxima that differ nowhere by more than this look the same. */
const DIFFERENCE = 0.05;

/** Says so where a method's weights hardly differ; channels of weight 0 do not count. */
export function weightsNote(weights: Float32Array): string | undefined {
  const [some, ...others] = weights.filter((weight) => weight !== 0);
  if (some === undefined || others.length === 0 || others.some((weight) => weight * some < 0))
    return undefined;
  const sizes = [some, ...others].map(Math.abs);
  const factor = largest(sizes) / least(sizes);
  if (!(factor < FACTOR)) return undefined;
  return (
    `the weights hardly differ: the largest is ${factor.toFixed(2)} times the smallest, so that the map is nearly the ` +
    'mean of the channels'
  );
}

interface Shown {
  readonly method: string;
  readonly layer: string;
  readonly classIndex: number;
  readonly className: string;
  readonly map: Tensor;
}

/** For each explanation, what is to be said of its likeness to that of another class by the same method and layer. */
export async function likenessNotes(explanations: readonly Shown[]): Promise<string[][]> {
  const classes = new Set(explanations.map(({ classIndex }) => classIndex));
  if (classes.size < 2) return explanations.map(() => []);
  const maps = await Promise.all(explanations.map(async ({ map }) => normalised(await map.data())));
  return explanations.map((one, i) => {
    const alike = explanations.findIndex((other, j) => {
      const isRival =
        other.method === one.method && other.layer === one.layer && other.classIndex !== one.classIndex;
      return isRival && maps[i]!.some(Boolean) && difference(maps[i]!, maps[j]!) < DIFFERENCE;
    });
    if (alike < 0) return [];
    const percent = (100 * difference(maps[i]!, maps[alike]!)).toFixed(1);
    return [
      `the map hardly depends on the class: it differs from that of class ${explanations[alike]!.className} by at most ` +
        `${percent} % of its maximum`,
    ];
  });
}

function normalised(map: Float32Array): Float32Array {
  const most = largest(map.map(Math.abs));
  return map.map((value) => (most === 0 ? 0 : value / most));
}

const difference = (a: Float32Array, b: Float32Array): number =>
  largest(a.map((value, i) => Math.abs(value - b[i]!)));
