// Counterfactual re-rendering: pictures that a program draws can be drawn again without one object, and the class's score
// says what that object was worth. (FunnyBirds, Hesse et al. ICCV 2023, removes parts of birds in this way.)
//
//   I_o = log-odds(X) - log-odds(X without o)     m_o = sum of ReLU(M) in o's box
//
//   on cause  = share of the map on the object with the largest I_o
//   agreement = Spearman's correlation of m_o and I_o over the objects, of pictures with two objects or more
//   elsewhere = share of the map on no object
//
// Nothing here leaves what the network was trained on, as blacked-out pixels do. The objects of one picture are few, so
// that an agreement is a coarse number: 1 or -1 for two objects. A map that lies on no object has agreement 0.

import { spearman } from './correlation.ts';
import { energyPointing } from './energy.ts';
import { type Box, type HostMap, maskOf, peaked } from './host-map.ts';
import { type Metric, mean } from './metric.ts';

const share = (map: HostMap, boxes: readonly Box[]): number =>
  energyPointing(map, maskOf(boxes, map.width, map.height)).energy;

/** A map against what each object is worth to the score. */
export function objectAgreement(
  map: HostMap,
  objects: readonly { readonly box: Box; readonly worth: number }[],
): { onCause: number; agreement: number; elsewhere: number } {
  if (!peaked(map) || objects.length === 0) return { onCause: 0, agreement: 0, elsewhere: 1 };
  const masses = objects.map(({ box }) => share(map, [box]));
  const worths = objects.map(({ worth }) => worth);
  const cause = worths.indexOf(Math.max(...worths));
  const row = (data: readonly number[]): HostMap => ({ width: data.length, height: 1, data });
  const found = spearman(row(masses), row(worths));
  return {
    onCause: masses[cause]!,
    agreement: Number.isNaN(found) ? 0 : found,
    elsewhere:
      1 -
      share(
        map,
        objects.map(({ box }) => box),
      ),
  };
}

const logOdds = (p: number): number => Math.log(p) - Math.log1p(-p);

export const counterfactual: Metric = {
  name: 'counterfactual',
  needs: 'removed',
  async measure({ map, removed, probability, probabilities }) {
    const without = await probabilities(removed!.map(({ picture }) => picture));
    const objects = removed!.map(({ box }, i) => ({
      box,
      worth: logOdds(probability) - logOdds(without[i]!),
    }));
    const { onCause, agreement, elsewhere } = objectAgreement(map, objects);
    const isCompared = removed!.length > 1 ? 1 : 0;
    return [onCause, elsewhere, isCompared * agreement, isCompared, 1];
  },
  columns: [
    mean('on cause', 'higher'),
    mean('elsewhere', 'lower', '%', 1),
    { title: 'agreement', better: 'higher', unit: '', value: (sums) => sums[2]! / sums[3]! },
  ],
};
