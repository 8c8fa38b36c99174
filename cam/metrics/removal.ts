// Deletion and insertion (Petsiuk, Das, Saenko 2018, RISE): how fast the class's probability falls as pixels are removed
// in the map's order, and rises as they are put back.
//
//   AUC = (sum_i p_i - p_0 / 2 - p_n / 2) / n,  p_i the probability after i steps of n
//
// Deletion goes from the picture to the network's zero, insertion from the blurred picture to the picture.
//
// Order is by rank, and equal values are drawn at random and the area averaged over draws: maps after a ReLU are zero on
// most pixels, and a sort that leaves them in raster order removes the picture from one corner, which is what
// implementations then measure.

import { permutation, type Random, random } from '../../models/train/data/random.ts';
import { gaussian } from './gaussian.ts';
import type { HostMap } from './host-map.ts';
import { type Metric, mean, type Picture, type Subject } from './metric.ts';

/** All pixels of a map, from the largest value to the least; equal ones in random order. */
export function removalOrder({ data }: HostMap, next: Random): Uint32Array {
  const order = permutation(data.length, next);
  // A stable sort of a shuffled list leaves equal values shuffled.
  return order.sort((i, j) => data[j]! - data[i]!);
}

/** The pictures on the way from one to another as the pixels in `order` change, in `steps` steps: steps + 1 of them. */
export function* between(from: Picture, to: Picture, order: Uint32Array, steps: number): Generator<Picture> {
  const area = order.length;
  const data = from.data.slice();
  yield { ...from, data: data.slice() };
  for (let step = 1; step <= steps; step++) {
    const [start, end] = [step - 1, step].map((s) => Math.round((s * area) / steps)) as [number, number];
    for (const at of order.subarray(start, end)) {
      for (let c = 0; c < from.channels; c++) data[c * area + at] = to.data[c * area + at]!;
    }
    yield { ...from, data: data.slice() };
  }
}

/** The area under a curve of equal steps on 0 .. 1, by trapezoids. */
export const areaUnder = (curve: readonly number[]): number =>
  (curve.reduce((sum, p) => sum + p, 0) - (curve[0]! + curve.at(-1)!) / 2) / (curve.length - 1);

const SIDE = 11;

/** RISE's 11 taps: scipy's Gaussian filter of an impulse in 11 pixels, mirrored at its ends. */
const taps = (() => {
  const reach = 20;
  const gauss = gaussian(reach, 5);
  const mirror = (i: number) => {
    const within = ((i % (2 * SIDE)) + 2 * SIDE) % (2 * SIDE);
    return within < SIDE ? within : 2 * SIDE - 1 - within;
  };
  return Array.from({ length: SIDE }, (_, at) =>
    gauss.reduce((sum, g, i) => sum + (mirror(at + i - reach) === (SIDE - 1) / 2 ? g : 0), 0),
  );
})();

/** RISE's blur: 11 x 11, sigma 5, zeros around the picture. */
export function blurred(picture: Picture): Picture {
  const { channels, width, height } = picture;
  const along = (data: Float32Array, length: number, stride: number, lines: (line: number) => number) => {
    const out = new Float32Array(data.length);
    for (let line = 0; line < data.length / length; line++) {
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let k = 0; k < SIDE; k++) {
          const from = i + k - (SIDE - 1) / 2;
          if (from >= 0 && from < length) sum += taps[k]! * data[lines(line) + from * stride]!;
        }
        out[lines(line) + i * stride] = sum;
      }
    }
    return out;
  };
  const rows = along(picture.data, width, 1, (line) => line * width);
  const data = along(
    rows,
    height,
    width,
    (line) => Math.floor(line / width) * width * height + (line % width),
  );
  return { channels, width, height, data };
}

/** A picture of zeros, the network's: for normalised input the training set's mean colour. */
export const zeros = (picture: Picture): Picture => ({
  ...picture,
  data: new Float32Array(picture.data.length),
});

export interface RemovalOptions {
  /** How many steps; RISE's are one row of pixels each. */
  readonly steps: number;
  /** Orders that are averaged where values are equal; 1 otherwise. */
  readonly draws: number;
}

/** Deletion's and insertion's areas, as their probabilities are; from 0, best for deletion, to 1, best for insertion. */
export async function removal(
  subject: Pick<Subject, 'map' | 'picture' | 'probabilities' | 'seed'>,
  { steps, draws }: RemovalOptions = { steps: subject.map.height, draws: 3 },
): Promise<{ deletion: number; insertion: number }> {
  const { map, picture, probabilities, seed } = subject;
  const next = random(seed);
  const ties = new Set(Array.from(map.data)).size < map.data.length;
  const runs = ties ? draws : 1;
  const [empty, blur] = [zeros(picture), blurred(picture)];
  let [deletion, insertion] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const order = removalOrder(map, next);
    deletion += areaUnder(await probabilities(between(picture, empty, order, steps))) / runs;
    insertion += areaUnder(await probabilities(between(blur, picture, order, steps))) / runs;
  }
  return { deletion, insertion };
}

export const deletionInsertion: Metric = {
  name: 'deletion-insertion',
  needs: 'nothing',
  async measure(subject) {
    const { deletion, insertion } = await removal(subject);
    return [deletion, insertion, 1];
  },
  columns: [mean('deletion', 'lower'), mean('insertion', 'higher', '%', 1)],
};
