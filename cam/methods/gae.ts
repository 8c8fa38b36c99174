// Generic attention explainability (Chefer, Gur, Wolf: Generic Attention-model Explainability, ICCV 2021).
//
//   R <- I
//   R <- R + E_h[ReLU(dS/dP * P)] R            for each layer's attention P [heads, T, T], from the first to the last
//   M  = R - I at the class token's row, over the tokens of the picture's patches
//
// E_h: the mean over the heads. How much each token's final state takes of every first token, along attention that speaks
// for what is explained. Where there is no class token (or other token than the patches), the mean of all rows is taken;
// where there are several, the mean of theirs. All attention of the network is read, whatever layer is asked for.

import { add, gather, indexTensor, matmul, mean, mul, relu, reshape, sub } from '../../engine/index.ts';
import { attentions, tokenLayer } from '../../models/target-layer.ts';
import { LayerError } from '../errors.ts';
import type { Method } from '../method.ts';
import { oneHotRows } from '../numbers.ts';
import type { TracedLayer } from '../trace.ts';

/** The nodes of attention among all tokens, [.., T, T] each, and how the tokens hold the picture. */
function attentionOf({ trace }: TracedLayer): { nodes: readonly string[]; view: TracedLayer['view'] } {
  const dry = trace.dry();
  const nodes = attentions(dry);
  const layer = tokenLayer(dry);
  if (layer === undefined)
    throw new LayerError(
      'GAE explains attention among tokens, and this network has none; choose another method',
    );
  const { view } = trace.at(layer);
  const tokens = view.grid[0] * view.grid[1] + view.others.length;
  const odd = nodes.find((name) => dry.shapes.get(name)!.at(-1) !== tokens);
  if (odd === undefined) return { nodes, view };
  throw new LayerError(
    `GAE needs attention among all ${tokens} tokens of "${layer}", and "${odd}" gives ` +
      `[${dry.shapes.get(odd)!.join(', ')}]; choose another method`,
  );
}

export const gae: Method = {
  name: 'gae',
  title: 'GAE',
  paper: 'Chefer 2021',
  relu: false,
  batches: true,
  layerOf: tokenLayer,
  terms: {
    R: {
      tex: 'R \\leftarrow R + \\mathbb{E}_h \\left[ \\mathrm{ReLU} \\left( \\frac{\\partial S}{\\partial P} \\circ P \\right) \\right] R',
      equation: 'Chefer 2021, self-attention',
      is: 'how much each token takes of every first one [T, T]',
    },
    M: {
      tex: 'M = R_{\\text{class}, xy}',
      equation: 'Chefer 2021, classification',
      is: 'what the class token takes of each patch [h, w]',
    },
  },
  explain(seen, { target }) {
    const { trace } = seen;
    const { nodes, view } = attentionOf(seen);
    const slopes = trace.gradients(target, nodes);
    const tokens = view.grid[0] * view.grid[1] + view.others.length;
    const itself = oneHotRows(seen.featureMap, 0, tokens, [tokens]);
    const pictures = seen.featureMap.shape[0]!;
    const R = nodes.reduce((R, node, i) => {
      const positive = relu(mul(slopes[i]!, trace.value(node)));
      return add(R, matmul(mean(reshape(positive, [pictures, -1, tokens, tokens]), [1]), R));
    }, itself);
    const { others } = view;
    const taken = sub(R, itself);
    const rows = others.length > 0 ? gather(taken, indexTensor(R.device, others, [others.length]), 1) : taken;
    const [, w] = view.grid;
    const M = view.toMap(mean(rows, [1], true));
    return { R: reshape(R, [-1, tokens]), M: reshape(M, [-1, w]) };
  },
};
