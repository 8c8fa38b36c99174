// The table of methods, and which are taken where none is named.

import type { DryRun } from '../../models/dry-run.ts';
import { isRecurrent, tokenLayer } from '../../models/target-layer.ts';
import { MethodError } from '../errors.ts';
import type { Method } from '../method.ts';
import { variations } from '../variations.ts';
import { ablationCam } from './ablation-cam.ts';
import { attnLrp } from './attn-lrp.ts';
import { cam } from './cam.ts';
import { deepFeatureFactorization } from './deep-feature-factorization.ts';
import { eigenCam } from './eigen-cam.ts';
import { fCam, fCamClass } from './f-cam.ts';
import { fullGrad } from './full-grad.ts';
import { gae } from './gae.ts';
import { gradCam } from './grad-cam.ts';
import { gradCamPlusPlus, gradCamPlusPlusTrue } from './grad-cam-plus-plus.ts';
import { guidedBackpropagation, guidedGradCam } from './guided.ts';
import { hiresCam } from './hires-cam.ts';
import { elementWiseGradCam, layerCam } from './layer-cam.ts';
import { layerIntegratedGradients } from './layer-integrated-gradients.ts';
import { randomCam } from './random-cam.ts';
import { reciproCam } from './recipro-cam.ts';
import { rise } from './rise.ts';
import { scoreCam, scoreCamAuthors, scoreCamFast, scoreCamLogit, scoreCamSoftmax } from './score-cam.ts';
import { shapley } from './shapley.ts';
import { interactionMap, shapleyCam } from './shapley-cam.ts';
import { tokenOcclusion } from './token-occlusion.ts';
import { xgradCam } from './xgrad-cam.ts';

/** Every method by its name. */
export const methods: ReadonlyMap<string, Method> = new Map(
  [
    cam,
    gradCam,
    gradCamPlusPlus,
    gradCamPlusPlusTrue,
    ablationCam,
    scoreCam,
    scoreCamFast,
    scoreCamSoftmax,
    scoreCamLogit,
    scoreCamAuthors,
    eigenCam,
    hiresCam,
    xgradCam,
    layerCam,
    elementWiseGradCam,
    reciproCam,
    tokenOcclusion,
    layerIntegratedGradients,
    gae,
    attnLrp,
    shapley,
    shapleyCam,
    interactionMap,
    fullGrad,
    guidedBackpropagation,
    guidedGradCam,
    rise,
    deepFeatureFactorization,
    randomCam,
    fCam,
    fCamClass,
  ].map((method) => [method.name, method]),
);

/** The five that are shown of networks of convolutions. */
export const defaultMethods: readonly string[] = [
  'cam',
  'grad-cam',
  'grad-cam++',
  'ablation-cam',
  'score-cam',
];

/** Those that are shown of a transformer: they put their peaks where the object is, and cost a gradient each. */
export const tokenMethods: readonly string[] = ['attn-lrp', 'gae', 'hires-cam'];

/** Those that are shown of a network that reads words through gates, where the gradient at one picture says little. */
export const recurrentMethods: readonly string[] = ['layer-integrated-gradients', 'ablation-cam', 'grad-cam'];

/** The methods that are shown when none is named. */
export function defaultMethodsOf(dry: DryRun): readonly string[] {
  if (isRecurrent(dry)) return recurrentMethods;
  return tokenLayer(dry) === undefined ? defaultMethods : tokenMethods;
}

/**
 * A method by name, perhaps behind that of a variation (`smooth-`, `augmented-`).
 *
 * @throws {MethodError} where there is none, with the names that there are.
 */
export function methodOf(name: string): Method {
  const method = methods.get(name);
  if (method) return method;
  const [prefix, vary] = [...variations].find(([prefix]) => name.startsWith(prefix)) ?? [];
  if (prefix !== undefined && vary) return vary(methodOf(name.slice(prefix.length)));
  throw new MethodError(
    `there is no method "${name}"; the methods are ${[...methods.keys()].join(', ')}, each also behind ` +
      [...variations.keys()].join(' or '),
  );
}
