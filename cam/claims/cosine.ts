// A cosine does not change as its vector grows. So where the logits are linear in A, without a bias, sum g A = 0 for their
// cosine with anything (Euler's theorem on homogeneous functions, of degree 0), and behind pooling that is the sum of Grad-CAM
// before its ReLU: what it shows is never evidence alone, the rest of the map speaks against it by as much.

import { full } from '../../engine/index.ts';
import { boundary, dependents } from '../../models/graph.ts';
import { run } from '../../models/run.ts';
import { normal, random } from '../../models/train/data/random.ts';
import { gradCam } from '../methods/grad-cam.ts';
import { numbersOfNew, tensorOf } from '../numbers.ts';
import { similarity } from '../target.ts';
import type { TracedLayer } from '../trace.ts';
import { type Claim, channelsOf, either, gap, notAffine, numbersOf, seesPositions, total } from './claim.ts';

/** The first node after the layer that is not 0 where the feature map is. */
async function biased({ trace, layer, featureMap, outputFor }: TracedLayer): Promise<string | undefined> {
  const { network } = trace;
  const { graph } = network;
  const after = dependents(graph, [layer]);
  const names = graph.nodes.map(({ name }) => name).filter((name) => name !== layer && after.has(name));
  const values = await numbersOfNew(() => {
    const around = boundary(graph, [layer], names).map((name) => [name, trace.value(name)] as const);
    const zeros = outputFor(full(featureMap.device, featureMap.shape, 0));
    const found = run(network, new Map([...around, [layer, zeros]]), names);
    return names.map((name) => found.get(name)!);
  });
  const first = names.find((_, i) => values[i]!.some((value) => value !== 0));
  return first && `"${first}" is not 0 where "${layer}" is: a bias is added`;
}

export const cosine: Claim = {
  name: 'cosine',
  sentence: 'Grad-CAM of a cosine adds up to 0 without its ReLU',
  tex: 'S = \\cos(z, e) \\Rightarrow \\sum_{xy} \\sum_k w_k A_k = 0',
  exempt: either(notAffine, seesPositions, biased),
  async residual(seen, classIndex) {
    const { device, size } = seen.trace.outputs.logits;
    const next = random(1);
    const e = tensorOf(device, [size], () => normal(next));
    const { w_k, M } = await numbersOf(gradCam, seen, classIndex, { target: similarity('logits', e) });
    e.dispose();
    const A = channelsOf(await seen.featureMap.data(), seen);
    const parts = A.map((plane, k) => Math.abs(w_k![k]!) * total(plane.map(Math.abs)));
    return gap([total(M!)], [0], total(parts));
  },
};
