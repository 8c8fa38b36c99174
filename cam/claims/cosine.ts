// A cosine does not change as its vector grows. So where the vector is linear in A, without a bias, sum g A = 0 for its cosine
// with anything (Euler's theorem on homogeneous functions, of degree 0), and behind pooling that is the sum of Grad-CAM before
// its ReLU: what it shows is never evidence alone, the rest of the map speaks against it by as much. Where the logits are
// cosines themselves, as CLIP's, it is measured of a class's logit; elsewhere of the logits' cosine with some vector.

import { full } from '../../engine/index.ts';
import { boundary, dependents, INPUT, nodeOf, nodesBetween } from '../../models/graph.ts';
import { run } from '../../models/run.ts';
import { normal, random } from '../../models/train/data/random.ts';
import { gradCam } from '../methods/grad-cam.ts';
import { numbersOfNew, tensorOf } from '../numbers.ts';
import { similarity } from '../targets.ts';
import type { TracedLayer } from '../trace.ts';
import { type Claim, channelsOf, either, gap, notAffine, numbersOf, seesPositions, total } from './claim.ts';

/** The node that gives the vector whose cosine it is, and whether the logits are its cosines. */
function vectorOf({ trace }: TracedLayer): { readonly vector: string; readonly isOwn: boolean } {
  const { name, inputs, traits } = nodeOf(trace.network.graph, trace.network.graph.output);
  return traits.scaleFree ? { vector: inputs[0]!, isOwn: true } : { vector: name, isOwn: false };
}

/** The first node between that is not 0 where the feature map is. */
async function biased(seen: TracedLayer): Promise<string | undefined> {
  const { trace, layer, featureMap, outputFor } = seen;
  const { network } = trace;
  const { graph } = network;
  const after = dependents(graph, [layer]);
  const names = nodesBetween(graph, new Set([layer, ...(graph.inputs ?? [INPUT])]), [vectorOf(seen).vector])
    .map(({ name }) => name)
    .filter((name) => after.has(name));
  const values = await numbersOfNew(() => {
    const around = boundary(graph, [layer], names).map((name) => [name, trace.value(name)] as const);
    const zeros = outputFor(full(featureMap.device, featureMap.shape, 0));
    const found = run(network, new Map([...around, [layer, zeros]]), names);
    return names.map((name) => found.get(name)!);
  });
  const first = names.find((_, i) => values[i]!.some((value) => value !== 0));
  return first && `"${first}" is not 0 where "${layer}" is: a bias is added`;
}

/** Grad-CAM's numbers of the logits' cosine with a random vector. */
async function ofSomeCosine(seen: TracedLayer, classIndex: number): ReturnType<typeof numbersOf> {
  const { device, size } = seen.trace.outputs.logits;
  const next = random(1);
  const e = tensorOf(device, [size], () => normal(next));
  const numbers = await numbersOf(gradCam, seen, classIndex, { target: similarity('logits', e) });
  e.dispose();
  return numbers;
}

export const cosine: Claim = {
  name: 'cosine',
  sentence: 'Grad-CAM of a cosine adds up to 0 without its ReLU',
  tex: 'S = \\cos(z, e) \\Rightarrow \\sum_{xy} \\sum_k w_k A_k = 0',
  exempt: either((seen) => notAffine(seen, vectorOf(seen).vector), seesPositions, biased),
  async residual(seen, classIndex) {
    const { w_k, M } = vectorOf(seen).isOwn
      ? await numbersOf(gradCam, seen, classIndex)
      : await ofSomeCosine(seen, classIndex);
    const A = channelsOf(await seen.featureMap.data(), seen);
    const parts = A.map((plane, k) => Math.abs(w_k![k]!) * total(plane.map(Math.abs)));
    return gap([total(M!)], [0], total(parts));
  },
};
