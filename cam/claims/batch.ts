// A network treats each picture of a batch alone: its outputs for one picture are those for several copies of it.

import { broadcastTo } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { numbersOfNew } from '../numbers.ts';
import { type Claim, gap, magnitude, rounding } from './claim.ts';

/** Odd, so that kernels that take rows in pairs have one left over. */
const COPIES = 3;

export const batch: Claim = {
  name: 'batch',
  sentence: `the logits of a picture are the same alone and among ${COPIES}`,
  tex: 'f(X, X, X) = (f(X), f(X), f(X))',
  async residual({ trace }) {
    const { picture } = trace;
    const alone = await trace.outputs.logits.data();
    const [among] = await numbersOfNew(() => {
      const copies = broadcastTo(picture, [COPIES, ...picture.shape.slice(1)]);
      return [trace.vary(new Map([[INPUT, copies]]), ['logits']).logits];
    });
    const repeated = among!.map((_, i) => alone[i % alone.length]!);
    return gap(among!, repeated, magnitude(alone));
  },
  bound: (seen) => rounding(seen, INPUT),
};
