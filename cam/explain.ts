// The front door: an image's input tensor, some methods, some classes -> explanations.

import { largest } from '../engine/extremes.ts';
import {
  concat,
  narrow,
  notFinite,
  relu,
  reshape,
  scope,
  sum,
  type Tensor,
  toHost,
} from '../engine/index.ts';
import { classIndex as findClass, type Network } from '../models/network.ts';
import { MethodError, NotFiniteError } from './errors.ts';
import { normaliseMap, upsampleMap } from './map.ts';
import type { Method } from './method.ts';
import { ablationCam } from './methods/ablation-cam.ts';
import { cam } from './methods/cam.ts';
import { gradCam } from './methods/grad-cam.ts';
import { gradCamPlusPlus, gradCamPlusPlusTrue } from './methods/grad-cam-plus-plus.ts';
import { scoreCam, scoreCamAuthors, scoreCamLogit } from './methods/score-cam.ts';
import { logitTarget, type Observation, observe, probabilityOf, type Target } from './observe.ts';

/** Every method by its name. */
export const methods: ReadonlyMap<string, Method> = new Map(
  [
    cam,
    gradCam,
    gradCamPlusPlus,
    gradCamPlusPlusTrue,
    ablationCam,
    scoreCam,
    scoreCamLogit,
    scoreCamAuthors,
  ].map((method) => [method.name, method]),
);

/** The five that are shown when none is named. */
export const defaultMethods: readonly string[] = [
  'cam',
  'grad-cam',
  'grad-cam++',
  'ablation-cam',
  'score-cam',
];

/** A method by name; throws with the names that there are. */
export function methodOf(name: string): Method {
  const method = methods.get(name);
  if (method) return method;
  throw new MethodError(`there is no method "${name}"; the methods are ${[...methods.keys()].join(', ')}`);
}

export interface ExplainOptions {
  /** Names of methods; the five when left out. */
  readonly methods?: readonly string[];
  /** Classes by index or name; the predicted one when left out. */
  readonly classes?: readonly (number | string)[];
  /** Target layer; the network's own when left out. */
  readonly layer?: string;
  /** What is explained, given the class; its logit when left out. */
  readonly target?: (classIndex: number) => Target;
  /** Keep negative evidence: no ReLU. */
  readonly signed?: boolean;
  /** Called as slow methods go on. */
  readonly progress?: (method: string, share: number) => void;
}

/**
 * One method's answer for one class. The caller disposes the tensors (`disposeExplanation`). Their numbers have been
 * brought to the host, so that reading them takes no time.
 */
export interface Explanation {
  readonly method: string;
  readonly layer: string;
  readonly classIndex: number;
  readonly className: string;
  /** The class's logit and probability; null where the network gives values, not probabilities. */
  readonly logit: number;
  readonly probability: number | null;
  /** At layer resolution [h, w], in the method's own units, after its ReLU unless `signed`. */
  readonly map: Tensor;
  /** At the input's size [H, W], after a ReLU and divided by its maximum; where `signed`, by its largest magnitude. */
  readonly upsampled: Tensor;
  /** One weight a channel [K]. */
  readonly weights: Tensor | undefined;
  /** What a reader of the map should know: that it is zero everywhere, that a denominator vanished. */
  readonly notes: readonly string[];
  /** Wall time of the method, the device's work included. */
  readonly milliseconds: number;
}

/**
 * Explains one image [1, C, H, W]; all methods and classes share its forward pass. A NotFiniteError where the image, the
 * feature map, the logits or a map holds NaN or infinity: nothing can be read from them.
 */
export async function explain(
  network: Network,
  input: Tensor,
  options: ExplainOptions = {},
): Promise<Explanation[]> {
  const chosen = (options.methods ?? defaultMethods).map(methodOf);
  const observation = observe(network, input, options.layer);
  try {
    const logits = await finiteLogits(observation);
    const predicted = logits.indexOf(largest(logits));
    const classes = options.classes?.map((wanted) => findClass(network, wanted)) ?? [predicted];
    const out: Explanation[] = [];
    try {
      for (const index of classes) {
        const target = (options.target ?? logitTarget)(index);
        const logit = logits[index]!;
        const ofClass = {
          classIndex: index,
          className: network.classes[index]!,
          logit,
          probability: probabilityOf(network, logits, index),
        };
        for (const method of chosen)
          out.push(await explainOne(observation, method, ofClass, target, options));
      }
    } catch (error) {
      for (const explanation of out) disposeExplanation(explanation);
      throw error;
    }
    return out;
  } finally {
    observation.dispose();
  }
}

/** Explains each image of a batch [N, C, H, W] in turn. */
export async function explainBatch(
  network: Network,
  inputs: Tensor,
  options: ExplainOptions = {},
): Promise<Explanation[][]> {
  const out: Explanation[][] = [];
  for (let i = 0; i < inputs.shape[0]!; i++) {
    const one = narrow(inputs, 0, i, 1);
    try {
      out.push(await explain(network, one, options));
    } catch (error) {
      for (const explanation of out.flat()) disposeExplanation(explanation);
      throw error;
    } finally {
      one.dispose();
    }
  }
  return out;
}

/** Frees an explanation's tensors. */
export function disposeExplanation({ map, upsampled, weights }: Explanation): void {
  for (const made of [map, upsampled, weights]) made?.dispose();
}

/** Logits of an observation, read: where the input or the feature map is not finite, they are not either. */
async function finiteLogits(observation: Observation): Promise<Float32Array> {
  const logits = await observation.logits.data();
  if (!logits.every(Number.isFinite)) await refuseNotFinite(observation);
  return logits;
}

/** How many elements of each tensor are NaN or infinite [tensors]. */
const countNotFinite = (xs: readonly Tensor[]): Tensor =>
  concat(
    xs.map((x) => reshape(sum(notFinite(x)), [1])),
    0,
  );

/** Says which numbers of an observation are not finite. */
async function refuseNotFinite({ input, featureMap, logits, layer }: Observation): Promise<void> {
  const counts = scope(() => countNotFinite([input, featureMap, logits]));
  const [ofInput, ofMap, ofLogits] = await counts.data();
  counts.dispose();
  const refuse = (what: string, count: number | undefined, size: number, advice: string) => {
    if (count === 0) return;
    throw new NotFiniteError(
      `explain: ${count} of ${size} numbers of ${what} are NaN or infinite; ${advice}`,
    );
  };
  refuse('the input', ofInput, input.size, 'check how its pixels were made');
  const overflow = 'the input is finite, so the network overflows: check its weights and the preprocessing';
  refuse(`the feature map of "${layer}"`, ofMap, featureMap.size, overflow);
  refuse('the logits', ofLogits, logits.size, overflow);
}

async function explainOne(
  observation: Observation,
  method: Method,
  ofClass: Pick<Explanation, 'classIndex' | 'className' | 'logit' | 'probability'>,
  target: Target,
  options: ExplainOptions,
): Promise<Explanation> {
  const { input, layer } = observation;
  const { classIndex } = ofClass;
  const report = options.progress;
  const started = performance.now();
  const context = {
    target,
    classIndex,
    ...(report && { progress: (share: number) => report(method.name, share) }),
  };
  const { weights, map: raw, caveat } = scope(() => method.explain(observation, context));
  const { map, upsampled } = scope(() => {
    const signed = reshape(raw, raw.shape);
    const shown = options.signed ? signed : relu(raw);
    const size = [input.shape[2]!, input.shape[3]!] as const;
    return { map: method.relu ? shown : signed, upsampled: normaliseMap(upsampleMap(shown, size)) };
  });
  const made = [map, upsampled, ...(weights ? [weights] : [])];
  await toHost([raw, ...made, ...(caveat ? [caveat.count] : [])]);
  const values = await raw.data();
  const [count = 0] = (await caveat?.count.data()) ?? [];
  raw.dispose();
  caveat?.count.dispose();
  const lost = values.reduce((n, value) => n + Number(!Number.isFinite(value)), 0);
  if (lost > 0) {
    for (const tensor of made) tensor.dispose();
    throw new NotFiniteError(
      `${method.name}: ${lost} of ${values.length} numbers of the map of class ${classIndex} at "${layer}" are NaN or ` +
        'infinite, though the logits are finite: a derivative or a difference overflows there; choose another ' +
        'layer, method or target',
    );
  }
  const isBlank = values.every((value) => value === 0 || (value < 0 && !options.signed));
  return {
    method: method.name,
    layer,
    ...ofClass,
    map,
    upsampled,
    weights,
    notes: [
      ...(caveat && count > 0 ? [caveat.say(count)] : []),
      ...(isBlank ? [options.signed ? NOTHING : NOTHING_POSITIVE] : []),
    ],
    milliseconds: performance.now() - started,
  };
}

const NOTHING = 'the map is zero everywhere';
const NOTHING_POSITIVE = `${NOTHING}: nothing at this layer speaks for the class; a signed map shows what speaks against it`;
