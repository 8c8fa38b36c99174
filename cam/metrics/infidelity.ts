// Infidelity (Yeh et al. 2019): does the map foretell what a change of the picture does?
//
//   INFD = E_I [ (beta I . phi - (f(x) - f(x - I)))^2 ],  beta = E[I . phi  d] / E[(I . phi)^2],  d = f(x) - f(x - I)
//
// I is normal noise of deviation .03, in units of the network's input. beta scales the map as well as it can be
// scaled (captum's `normalize`): maps have no unit that could foretell a probability, and without it the number is about
// their scale. Where I . phi is always 0, beta is 0 and what is left is E[d^2].

import { normal, random } from '../../models/train/data/random.ts';
import { type Metric, mean, type Subject } from './metric.ts';

const DRAWS = 10;
const DEVIATION = 0.03;

/** From I . phi and d of each draw; `scaled` with beta. */
export function infidelity(products: readonly number[], changes: readonly number[], scaled = true): number {
  const n = products.length;
  const average = (of: (i: number) => number) => products.reduce((sum, _, i) => sum + of(i), 0) / n;
  const square = average((i) => products[i]! ** 2);
  const beta = !scaled ? 1 : square > 0 ? average((i) => products[i]! * changes[i]!) / square : 0;
  return average((i) => (beta * products[i]! - changes[i]!) ** 2);
}

/** Infidelity of a map, the same at all channels of a pixel. */
export async function mapInfidelity(
  subject: Pick<Subject, 'map' | 'picture' | 'probability' | 'probabilities' | 'seed'>,
): Promise<number> {
  const { map, picture, probability, probabilities, seed } = subject;
  const next = random(seed);
  const area = map.data.length;
  const noises = Array.from({ length: DRAWS }, () =>
    Float32Array.from(picture.data, () => DEVIATION * normal(next)),
  );
  const changed = noises.map((noise) => ({ ...picture, data: picture.data.map((x, i) => x - noise[i]!) }));
  const scores = await probabilities(changed);
  const products = noises.map((noise) =>
    noise.reduce((sum, value, i) => sum + value * map.data[i % area]!, 0),
  );
  return infidelity(
    products,
    scores.map((score) => probability - score),
  );
}

export const infidelityMetric: Metric = {
  name: 'infidelity',
  needs: 'nothing',
  measure: async (subject) => [await mapInfidelity(subject), 1],
  columns: [mean('infidelity', 'lower', '')],
};
