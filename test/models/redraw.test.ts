// Networks whose layers lose what they learnt, one alone or one after another.

import test from 'tape';
import { redrawn } from '../../models/redraw.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { device } from '../device.ts';

const layers = ['classifier', 'conv2', 'conv1'];

for (const way of ['cascading', 'independent'] as const) {
  test(`redrawn, ${way}: the same numbers in another order, from the last layer to the first`, async (t) => {
    const network = randomNetwork(await device(), graphs.gapLinear, 1);
    let step = 0;
    for await (const { parameters } of redrawn(network, way)) {
      const changed: string[] = [];
      for (const [key, parameter] of parameters) {
        const [before, after] = [await network.parameters.get(key)!.data(), await parameter.data()];
        t.deepEqual(after.toSorted(), before.toSorted(), key);
        if (key.endsWith('weight') && after.some((value, i) => value !== before[i])) changed.push(key);
      }
      const lost = way === 'cascading' ? layers.slice(0, step + 1) : [layers[step]!];
      t.deepEqual(changed.sort(), lost.map((name) => `${name}.weight`).sort());
      step++;
    }
    t.equal(step, layers.length);
  });
}
