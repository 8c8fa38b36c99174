// A network treats each picture of a batch alone: its outputs for one picture are those for several copies of it.

import { broadcastTo, scope } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { type Claim, gap, largest, rounding, roundingReason } from './claim.ts';

/** Odd, so that kernels that take rows in pairs have one left over. */
const COPIES = 3;

export const batch: Claim = {
  name: 'batch',
  sentence: `the logits of a picture are the same alone and among ${COPIES}`,
  tex: 'f(X, X, X) = (f(X), f(X), f(X))',
  exempt: () => undefined,
  async residual({ trace }) {
    const { picture } = trace;
    const many = scope(() => {
      const copies = broadcastTo(picture, [COPIES, ...picture.shape.slice(1)]);
      return trace.vary(new Map([[INPUT, copies]]), ['logits']).logits;
    });
    const [alone, among] = await Promise.all([trace.outputs.logits.data(), many.data()]);
    many.dispose();
    const repeated = among.map((_, i) => alone[i % alone.length]!);
    return gap(among, repeated, largest(alone));
  },
  bound: (seen) => rounding(seen, INPUT),
  because: roundingReason,
};
