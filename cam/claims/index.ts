// Checks on a network what must hold on it: each claim is a file, measured on one picture and one class.

import { LimelightError, type Tensor } from '../../engine/index.ts';
import { assertOutsideScopes } from '../../engine/tensor.ts';
import type { Network } from '../../models/network.ts';
import { finitePredictions } from '../explain.ts';
import { observe } from '../trace.ts';
import { ablation } from './ablation.ts';
import { alphaIsConstant } from './alpha.ts';
import { batch } from './batch.ts';
import { type Claim, rounding, roundingReason } from './claim.ts';
import { closedForm } from './closed-form.ts';
import { completeness } from './completeness.ts';
import { cosine } from './cosine.ts';
import { eigenCamIsOneSigned } from './eigen-cam.ts';
import { fullGradCompleteness } from './full-grad.ts';
import { gradCamWeights } from './grad-cam-weights.ts';
import { gradient } from './gradient.ts';
import { hiresCamIsCam } from './hires-cam.ts';
import { reciproCamIsCam } from './recipro-cam.ts';
import { softmaxWeights } from './score-cam-softmax.ts';
import { shapleyCamIsGradCam } from './shapley-cam.ts';
import { shapleySum } from './shapley-sum.ts';
import { xgradWeights } from './xgrad-cam.ts';

export type { Claim } from './claim.ts';
export { sameAs } from './same-as.ts';

/** Every claim by its name. */
export const claims: ReadonlyMap<string, Claim> = new Map(
  [
    gradCamWeights,
    completeness,
    hiresCamIsCam,
    xgradWeights,
    ablation,
    alphaIsConstant,
    closedForm,
    reciproCamIsCam,
    eigenCamIsOneSigned,
    softmaxWeights,
    fullGradCompleteness,
    shapleySum,
    shapleyCamIsGradCam,
    cosine,
    gradient,
    batch,
  ].map((claim) => [claim.name, claim]),
);

/** A claim by name; throws with the names that there are. */
export function claimOf(name: string): Claim {
  const claim = claims.get(name);
  if (claim) return claim;
  throw new LimelightError(`there is no claim "${name}"; the claims are ${[...claims.keys()].join(', ')}`);
}

/** The outcome of measuring a claim. */
export interface Verdict {
  readonly claim: string;
  readonly sentence: string;
  readonly tex: string;
  /** The class whose logit it was measured for. */
  readonly classIndex: number;
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
  /** Claims, or the names of those that there are; all when left out. */
  readonly claims?: readonly (string | Claim)[];
  /** Called before each claim is measured and as slow ones go on, with how many were, shares of one among them. */
  readonly progress?: (claim: string, done: number) => void;
}

/**
 * What must hold on a network, measured on a picture [1, C, H, W].
 *
 * @throws {NotFiniteError} where the picture, the feature map or the logits hold NaN or infinity.
 * @throws {LayerError} where the layer is no feature map, or the picture is several.
 */
export async function verify(
  network: Network,
  picture: Tensor,
  asked: VerifyOptions = {},
): Promise<Verdict[]> {
  assertOutsideScopes('verify');
  const { layer = network.targetLayer, progress } = asked;
  const chosen = (asked.claims ?? [...claims.values()]).map((claim) =>
    typeof claim === 'string' ? claimOf(claim) : claim,
  );
  const trace = observe(network, picture, { layers: [layer] });
  try {
    const seen = trace.at(layer);
    const predictions = await finitePredictions(trace, [layer]);
    const index = asked.classIndex ?? predictions.reduce((a, b) => (b.logit > a.logit ? b : a)).index;
    const verdicts: Verdict[] = [];
    for (const { name, sentence, tex, because = roundingReason, ...claim } of chosen) {
      progress?.(name, verdicts.length);
      const exempt = (await claim.exempt?.(seen)) ?? null;
      const residual = await claim.residual(seen, index, (share) =>
        progress?.(name, verdicts.length + share),
      );
      const bound = claim.bound?.(seen) ?? rounding(seen);
      const holds = exempt === null ? residual <= bound : null;
      verdicts.push({
        claim: name,
        sentence,
        tex,
        classIndex: index,
        exempt,
        residual,
        bound,
        because,
        holds,
      });
    }
    return verdicts;
  } finally {
    trace.dispose();
  }
}
