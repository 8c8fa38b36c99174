// Another file of a network, such as its export to another format, gives what the network gives.

import { LimelightError, type Tensor } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { run } from '../../models/run.ts';
import { numbersOfNew } from '../numbers.ts';
import { type Claim, gap, magnitude, rounding, roundingReason } from './claim.ts';

/**
 * That another network on the same device gives the same logits. `picture` is what it takes of the picture, [1, C, H, W];
 * the same tensor when left out.
 *
 * @throws {LimelightError} when measured, where it has another number of classes.
 */
export const sameAs = (other: Network, picture?: Tensor): Claim => ({
  name: 'same-as',
  sentence: `the logits are those of ${other.name}`,
  tex: "f(X) = f'(X)",
  async residual({ trace }) {
    const { output } = other.graph;
    const mine = await trace.outputs.logits.data();
    const given = new Map([[INPUT, picture ?? trace.picture]]);
    const [others] = await numbersOfNew(() => [...run(other, given, [output]).values()]);
    if (mine.length !== others!.length)
      throw new LimelightError(
        `${trace.network.name} gives ${mine.length} logits and ${other.name} gives ${others!.length}: they are not one network`,
      );
    return gap(mine, others!, Math.max(magnitude(mine), magnitude(others!)));
  },
  // Each of the two may be off by as much.
  bound: (seen) => 2 * rounding(seen, INPUT),
  because: `${roundingReason}, of both networks`,
});
