// AttnLRP (Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin, Samek: AttnLRP, ICML 2024), in its gradient form.
//
//   M = sum_k A_k dS/dA_k                      gradient times value, by three other rules of derivation (rules.ts)
//
// The rules hand on what a layer gives to what it was made of in shares that add up. At the tokens before the first
// attention, which is where M is taken unless another layer is named, gradient times value alone says next to nothing;
// by these rules it is among the best maps of a transformer. No ReLU: what speaks against the class is below 0.

import { grad, mul, sum, type Tensor } from '../../engine/index.ts';
import { tokenLayer } from '../../models/target-layer.ts';
import { channelSum } from '../map.ts';
import type { Method } from '../method.ts';
import { type LrpRule, lrpRules, type Substitution } from '../rules.ts';

/** Gradient times value by some of the rules, from none of them to AttnLRP by all. */
export const gradientTimesValue = (rules: readonly LrpRule[]): Method => ({
  name: 'attn-lrp',
  title: 'AttnLRP',
  paper: 'Achtibat 2024',
  relu: false,
  batches: true,
  layerOf: tokenLayer,
  terms: {
    g_k: {
      tex: "g_k = \\frac{\\partial' S}{\\partial' A_k}",
      equation: 'Achtibat 2024, the rules in gradient form',
      is: 'gradient of the target by the rules of relevance [1, K, h, w]',
    },
    M: {
      tex: "M = \\sum_k A_k \\frac{\\partial' S}{\\partial' A_k}",
      equation: 'Achtibat 2024, the rules in gradient form',
      is: 'relevance of each position [h, w]',
    },
  },
  explain({ featureMap, score }, { target }) {
    const substitute: Substitution = (node) => rules.map((rule) => lrpRules[rule](node)).find((run) => run);
    const g_k = grad((a: Tensor) => sum(score(target, a, substitute)))(featureMap);
    return { g_k, M: channelSum(mul(featureMap, g_k)) };
  },
});

export const attnLrp = gradientTimesValue(['identity', 'normalisation', 'uniform']);
