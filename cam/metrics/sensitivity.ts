// Max-sensitivity (Yeh et al. 2019): how far the map moves when the picture hardly does.
//
//   SENS = max_d |phi(x + d) - phi(x)| / |phi(x)|,  |d|_inf <= r
//
// over 10 draws, uniform in the cube of r = .02, in units of the network's input; Euclidean norms. The largest of ten
// draws is a lower bound on the largest there is. Where the map is zero its change is not divided, as in captum.
//
// The local supremum is the largest there is, to first order in d, and for |d| up to r sqrt(n), the cube's corners, where x
// has n numbers:
//
//   SUP = r sqrt(n) s / |M|          s: the largest singular value of dM/dx, by power iteration (map-function.ts)
//
// M is the map at the layer before ReLU, of methods whose map can be differentiated; others are not measured. What is cut
// off and divided by its maximum moves otherwise, and so a draw may exceed SUP.

import { random } from '../../models/train/data/random.ts';
import { assertSameSize } from './host-map.ts';
import { type Metric, mean, type Subject } from './metric.ts';

const DRAWS = 10;
const RADIUS = 0.02;

/** |v|. */
function norm(v: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < v.length; i++) square += v[i]! ** 2;
  return Math.sqrt(square);
}

/**
 * Max-sensitivity (Yeh 2019): the largest change of a map under `draws` pictures of which each number is off by up to
 * `radius`, as a share of the map's length.
 */
export async function sensitivityMax(
  { map, picture, explain, seed }: Pick<Subject, 'map' | 'picture' | 'explain' | 'seed'>,
  { draws, radius }: { draws: number; radius: number } = { draws: DRAWS, radius: RADIUS },
): Promise<number> {
  const next = random(seed);
  const length = norm(map.data) || 1;
  let largest = 0;
  for (let draw = 0; draw < draws; draw++) {
    const data = picture.data.map((value) => value + radius * (2 * next() - 1));
    const moved = await explain({ ...picture, data });
    assertSameSize(map, moved);
    const change = Float64Array.from(map.data, (value, i) => moved.data[i]! - value);
    largest = Math.max(largest, norm(change) / length);
  }
  return largest;
}

export const sensitivity: Metric = {
  name: 'sensitivity',
  needs: 'nothing',
  measure: async (subject) => [await sensitivityMax(subject), 1],
  columns: [mean('sensitivity', 'lower', '')],
};

/** The sums are of maps that can be differentiated; where there are none, the column has no value. */
export const localSensitivity: Metric = {
  name: 'local-sensitivity',
  needs: 'nothing',
  async measure({ picture, steepest }) {
    const found = await steepest();
    return found === undefined ? [0, 0] : [RADIUS * Math.sqrt(picture.data.length) * found, 1];
  },
  columns: [mean('local supremum', 'lower', '')],
};
