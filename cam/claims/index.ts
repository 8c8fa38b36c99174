// Checks on a network what must hold on it: each claim is a file, measured on one picture and one class.

import type { Tensor } from '../../engine/index.ts';
import { assertOutsideScopes } from '../../engine/tensor.ts';
import type { Network } from '../../models/network.ts';
import { observe } from '../trace.ts';
import { ablation } from './ablation.ts';
import { batch } from './batch.ts';
import type { Claim } from './claim.ts';
import { completeness } from './completeness.ts';
import { gradCamWeights } from './grad-cam-weights.ts';

export type { Claim } from './claim.ts';

/** Every claim. */
export const claims: readonly Claim[] = [gradCamWeights, completeness, ablation, batch];

/** What was found of a claim. */
export interface Verdict {
  readonly claim: string;
  readonly sentence: string;
  readonly tex: string;
  /** Why the claim need not hold on this network; null where it must. */
  readonly exempt: string | null;
  /** By how much it fails, as a share of the numbers compared. */
  readonly residual: number;
  readonly bound: number;
  /** Where the bound comes from. */
  readonly because: string;
  /** Whether the residual is within the bound; null where the claim need not hold. */
  readonly holds: boolean | null;
}

/** What is verified; everything may be left out. */
export interface VerifyOptions {
  /** The network's target layer when left out. */
  readonly layer?: string;
  /** The class of the largest logit when left out. */
  readonly classIndex?: number;
  /** All when left out. */
  readonly claims?: readonly Claim[];
}

/**
 * What must hold on a network, measured on a picture [1, C, H, W].
 *
 * @throws {LayerError} where the layer is no feature map, or the picture is several.
 */
export async function verify(
  network: Network,
  picture: Tensor,
  { layer = network.targetLayer, classIndex, claims: asked = claims }: VerifyOptions = {},
): Promise<Verdict[]> {
  assertOutsideScopes('verify');
  const trace = observe(network, picture, { layers: [layer] });
  try {
    const seen = trace.at(layer);
    const predictions = await trace.predictions();
    const best = predictions.reduce((a, b) => (b.logit > a.logit ? b : a)).index;
    const verdicts: Verdict[] = [];
    for (const claim of asked) {
      const exempt = claim.exempt(seen) ?? null;
      const residual = await claim.residual(seen, classIndex ?? best);
      const bound = claim.bound(seen);
      verdicts.push({
        claim: claim.name,
        sentence: claim.sentence,
        tex: claim.tex,
        exempt,
        residual,
        bound,
        because: claim.because,
        holds: exempt === null ? residual <= bound : null,
      });
    }
    return verdicts;
  } finally {
    trace.dispose();
  }
}
