// The front door: a network's input or a trace, some methods, some classes -> explanations.

import { compilingTime } from '../engine/device.ts';
import {
  add,
  concat,
  maximum,
  narrow,
  notFinite,
  relu,
  reshape,
  scale,
  scope,
  scopeInSteps,
  sum,
  type Tensor,
  toHost,
} from '../engine/index.ts';
import { assertOutsideScopes } from '../engine/tensor.ts';
import type { DryRun } from '../models/dry-run.ts';
import { nodeOf, type Runnable } from '../models/graph.ts';
import { classIndex as findClass, type Network } from '../models/network.ts';
import { tokenLayer } from '../models/target-layer.ts';
import { disposeDecoders, loadDecoders } from './decoders.ts';
import { MethodError, NotFiniteError } from './errors.ts';
import { normaliseMap, upsampleMap } from './map.ts';
import { type Method, type MethodContext, stepsOf, type Term, type Terms } from './method.ts';
import { ablationCam } from './methods/ablation-cam.ts';
import { attnLrp } from './methods/attn-lrp.ts';
import { cam } from './methods/cam.ts';
import { deepFeatureFactorization } from './methods/deep-feature-factorization.ts';
import { eigenCam } from './methods/eigen-cam.ts';
import { fCam, fCamClass } from './methods/f-cam.ts';
import { fullGrad } from './methods/full-grad.ts';
import { gae } from './methods/gae.ts';
import { gradCam } from './methods/grad-cam.ts';
import { gradCamPlusPlus, gradCamPlusPlusTrue } from './methods/grad-cam-plus-plus.ts';
import { guidedBackpropagation, guidedGradCam } from './methods/guided.ts';
import { hiresCam } from './methods/hires-cam.ts';
import { elementWiseGradCam, layerCam } from './methods/layer-cam.ts';
import { layerIntegratedGradients } from './methods/layer-integrated-gradients.ts';
import { randomCam } from './methods/random-cam.ts';
import { reciproCam } from './methods/recipro-cam.ts';
import { rise } from './methods/rise.ts';
import {
  scoreCam,
  scoreCamAuthors,
  scoreCamFast,
  scoreCamLogit,
  scoreCamSoftmax,
} from './methods/score-cam.ts';
import { shapley } from './methods/shapley.ts';
import { interactionMap, shapleyCam } from './methods/shapley-cam.ts';
import { tokenOcclusion } from './methods/token-occlusion.ts';
import { xgradCam } from './methods/xgrad-cam.ts';
import { likenessNotes, weightsNote } from './notes.ts';
import { logit, type Target } from './target.ts';
import { observe, type Prediction, type Trace } from './trace.ts';
import { variations } from './variations.ts';

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

/** The methods that are shown when none is named. */
export const defaultMethodsOf = (dry: DryRun): readonly string[] =>
  tokenLayer(dry) === undefined ? defaultMethods : tokenMethods;

/** A method by name, perhaps behind that of a variation (`smooth-`, `augmented-`); throws with the names that there are. */
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

/** What is explained, how, and where; everything may be left out. */
export interface ExplainOptions {
  /** Methods, or the names of those that there are; those of `defaultMethodsOf` when left out. */
  readonly methods?: readonly (string | Method)[];
  /** Classes by index or name; the predicted one when left out. */
  readonly classes?: readonly (number | string)[];
  /**
   * Target layers, one or several; when left out the trace's, where it was made from others than the network's, or the
   * method's (`layerOf`), or the network's.
   */
  readonly layer?: string | readonly string[];
  /**
   * One map of all layers instead of one of each: the mean or the maximum of their maps, each normalised at the input's
   * size.
   */
  readonly fuse?: 'mean' | 'max';
  /** What is explained, given the class; its logit when left out. */
  readonly target?: (classIndex: number, network: Network) => Target;
  /** Keep negative evidence: no ReLU. */
  readonly signed?: boolean;
  /** Called as slow methods go on. */
  readonly progress?: (method: string, share: number) => void;
  /** Ends explaining between two steps of a slow method; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A symbol of the method's formula with its numbers. */
export interface ExplainedTerm extends Pick<Term, 'tex' | 'equation' | 'is'> {
  readonly symbol: string;
  readonly layer: string;
  readonly tensor: Tensor;
}

/**
 * One method's answer for one class. The caller disposes the tensors (`disposeExplanation`). The numbers of maps and
 * weights have been brought to the host, so that reading them takes no time.
 */
export interface Explanation {
  readonly method: string;
  /** The target layer; those that were fused, joined by " + ". */
  readonly layer: string;
  readonly classIndex: number;
  readonly className: string;
  readonly logit: number;
  /** null where the network gives values, not probabilities. */
  readonly probability: number | null;
  /** At layer resolution [h, w], in the method's own units, after its ReLU unless `signed`; of fused layers as `upsampled`. */
  readonly map: Tensor;
  /** At the input's size [H, W], after a ReLU and divided by its maximum; where `signed`, by its largest magnitude. */
  readonly upsampled: Tensor;
  /** One weight a channel [K]: the term `w_k`. Undefined where a method has none, and of several layers. */
  readonly weights: Tensor | undefined;
  /** What the method's formula consists of. */
  readonly terms: readonly ExplainedTerm[];
  /** What a reader of the map should know: that it is zero everywhere, that a denominator vanished. */
  readonly notes: readonly string[];
  /**
   * Wall time of the method, the device's work included. What methods share, such as the gradient, is in the time of the
   * first that needs it; the forward pass is in none.
   */
  readonly milliseconds: number;
  /** How much of it went into compiling shaders, which a device does once for each. */
  readonly compiling: number;
}

/**
 * Explains one image [1, C, H, W], or a trace of it; all methods, classes and layers share its forward pass.
 *
 * @throws {ScopeError} inside a `scope`, which would free what is being worked on.
 * @throws {NotFiniteError} where the image, a feature map, the logits or a map holds NaN or infinity.
 * @throws {LayerError} where a layer is no feature map, or not one that a method explains.
 */
export function explain(trace: Trace, options?: ExplainOptions): Promise<Explanation[]>;
export function explain(
  network: Network,
  input: Tensor | Readonly<Record<string, Tensor>>,
  options?: ExplainOptions,
): Promise<Explanation[]>;
export async function explain(
  subject: Trace | Network,
  ...given: [ExplainOptions?] | [Tensor | Readonly<Record<string, Tensor>>, ExplainOptions?]
): Promise<Explanation[]> {
  assertOutsideScopes('explain');
  if ('vary' in subject) return explainTrace(subject, (given[0] ?? {}) as ExplainOptions);
  const [input, options = {}] = given as [Tensor, ExplainOptions?];
  const layers = layersOf(options) ?? [subject.targetLayer];
  const keep = chosenMethods(options, defaultMethods).flatMap(
    ({ keeps }) =>
      keeps && layers.flatMap((layer) => keeps(subject.graph, nodeOf(subject.graph, layer).name)),
  );
  const trace = observe(subject, input, { layers, keep: keep.filter((name) => name !== undefined) });
  try {
    return await explainTrace(trace, options);
  } finally {
    trace.dispose();
  }
}

const chosenMethods = ({ methods }: ExplainOptions, otherwise: readonly string[]): Method[] =>
  (methods ?? otherwise).map((method) => (typeof method === 'string' ? methodOf(method) : method));

const layersOf = ({ layer }: ExplainOptions): readonly string[] | undefined =>
  typeof layer === 'string' ? [layer] : layer;

/** Explains each image of a batch [N, C, H, W] in turn. */
export async function explainBatch(
  network: Network,
  inputs: Tensor,
  options: ExplainOptions = {},
): Promise<Explanation[][]> {
  assertOutsideScopes('explainBatch');
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
export function disposeExplanation({
  map,
  upsampled,
  weights,
  terms,
}: Pick<Explanation, 'map' | 'upsampled' | 'weights' | 'terms'>): void {
  for (const made of [map, upsampled, weights, ...terms.map(({ tensor }) => tensor)]) made?.dispose();
}

async function explainTrace(trace: Trace, options: ExplainOptions): Promise<Explanation[]> {
  const { network } = trace;
  const chosen = chosenMethods(options, defaultMethodsOf(trace.dry()));
  const named = layersOf(options) !== undefined || trace.layers.join() !== network.targetLayer;
  const layers = layersOf(options)?.map((layer) => nodeOf(network.graph, layer).name) ?? trace.layers;
  const predictions = await finitePredictions(trace, layers);
  const predicted = predictions.reduce((best, one) => (one.logit > best.logit ? one : best));
  const classes = options.classes?.map((wanted) => predictions[findClass(network, wanted)]!) ?? [predicted];
  const groupsOf = ({ layerOf }: Method): (readonly string[])[] => {
    const best = named ? undefined : layerOf?.(trace.dry());
    if (best !== undefined) return [[best]];
    return options.fuse ? [layers] : layers.map((layer) => [layer]);
  };
  const decoders = await loadDecoders(network, chosen);
  const out: Explanation[] = [];
  try {
    for (const prediction of classes) {
      const target = options.target?.(prediction.index, network) ?? logit(prediction.index);
      for (const method of chosen) {
        for (const group of groupsOf(method))
          out.push(await explainOne(trace, method, decoders, group, prediction, target, options));
      }
    }
    const notes = await likenessNotes(out);
    return out.map((one, i) => ({ ...one, notes: [...one.notes, ...notes[i]!] }));
  } catch (error) {
    for (const explanation of out) disposeExplanation(explanation);
    throw error;
  } finally {
    disposeDecoders(decoders);
  }
}

/** Predictions of a trace: where the input or a feature map is not finite, the logits are not either. */
export async function finitePredictions(trace: Trace, layers: readonly string[]): Promise<Prediction[]> {
  const predictions = await trace.predictions();
  if (!predictions.every(({ logit }) => Number.isFinite(logit))) await refuseNotFinite(trace, layers);
  return predictions;
}

/** How many elements of each tensor are NaN or infinite [tensors]. */
const countNotFinite = (xs: readonly Tensor[]): Tensor =>
  concat(
    xs.map((x) => reshape(sum(notFinite(x)), [1])),
    0,
  );

/** Says which numbers of a trace are not finite. */
async function refuseNotFinite({ picture, at, outputs }: Trace, layers: readonly string[]): Promise<void> {
  const overflow = 'the input is finite, so the network overflows: check its weights and the preprocessing';
  const suspects: [what: string, Tensor, advice: string][] = [
    ['the input', picture, 'check how its pixels were made'],
    ...layers.map((layer): [string, Tensor, string] => [
      `the feature map of "${layer}"`,
      at(layer).featureMap,
      overflow,
    ]),
    ['the logits', outputs.logits, overflow],
  ];
  const counts = scope(() => countNotFinite(suspects.map(([, tensor]) => tensor)));
  const found = await counts.data();
  counts.dispose();
  const first = found.findIndex((count) => count > 0);
  const [what, { size }, advice] = suspects[first]!;
  throw new NotFiniteError(`${found[first]} of ${size} numbers of ${what} are NaN or infinite; ${advice}`);
}

async function explainOne(
  trace: Trace,
  method: Method,
  decoders: ReadonlyMap<string, Runnable>,
  layers: readonly string[],
  prediction: Prediction,
  target: Target,
  options: ExplainOptions,
): Promise<Explanation> {
  const { progress, signed = false, fuse } = options;
  const started = performance.now();
  const compiledBefore = compilingTime(trace.network.device);
  const decoder = decoders.get(method.decoder ?? '');
  const context: MethodContext = {
    target,
    classIndex: prediction.index,
    ...(decoder && { decoder }),
    ...(progress && { progress: (share: number) => progress(method.name, share) }),
  };
  const size = trace.picture.shape.slice(2) as [number, number];
  /** The terms of each layer, and the map of all. */
  function* parts() {
    const terms: ExplainedTerm[] = [];
    const maps: Tensor[] = [];
    for (const layer of layers) {
      const found = yield* stepsOf(method, trace.at(layer), context);
      // Handles of the explanation's: some of the tensors belong to the trace.
      for (const [symbol, tensor] of Object.entries(found))
        terms.push({
          ...described(method.terms, symbol),
          symbol,
          layer,
          tensor: reshape(tensor, tensor.shape),
        });
      maps.push(normaliseMap(upsampleMap(signed ? found.M : relu(found.M), size)));
      if (layers.length === 1) {
        const map = signed || !method.relu ? reshape(found.M, found.M.shape) : relu(found.M);
        return { terms, map, upsampled: maps[0]! };
      }
    }
    const map = fuse === 'max' ? maps.reduce(maximum) : scale(maps.reduce(add), 1 / maps.length);
    return { terms, map, upsampled: normaliseMap(map) };
  }
  const { terms, map, upsampled } = await scopeInSteps(parts(), options.signal);
  const weights = layers.length === 1 ? terms.find(({ symbol }) => symbol === 'w_k')?.tensor : undefined;
  const explanation = {
    method: method.name,
    layer: layers.join(' + '),
    classIndex: prediction.index,
    className: prediction.name,
    logit: prediction.logit,
    probability: prediction.probability,
    map,
    upsampled,
    weights: weights && reshape(weights, weights.shape),
    terms,
  };
  try {
    const read = terms.filter(
      ({ symbol }) => symbol === 'M' || symbol === 'w_k' || method.terms[symbol]?.note,
    );
    await toHost([...read.map(({ tensor }) => tensor), map, upsampled]);
    const values = await Promise.all(read.map(({ tensor }) => tensor.data()));
    const raw = values.filter((_, i) => read[i]!.symbol === 'M').flatMap((one) => [...one]);
    const lost = raw.filter((value) => !Number.isFinite(value)).length;
    if (lost > 0) {
      throw new NotFiniteError(
        `${method.name}: ${lost} of ${raw.length} numbers of the map of class ${prediction.index} at ` +
          `"${explanation.layer}" are NaN or infinite, though the logits are finite: a derivative or a difference ` +
          'overflows there; choose another layer, method or target',
      );
    }
    const said = read.flatMap(({ symbol }, i) => [
      method.terms[symbol]?.note?.(values[i]!, trace),
      symbol === 'w_k' ? weightsNote(values[i]!) : undefined,
    ]);
    const isBlank = raw.every((value) => value === 0 || (value < 0 && !signed));
    if (isBlank) said.push(signed ? NOTHING : NOTHING_POSITIVE);
    return {
      ...explanation,
      notes: said.filter((note) => note !== undefined),
      milliseconds: performance.now() - started,
      compiling: compilingTime(trace.network.device) - compiledBefore,
    };
  } catch (error) {
    disposeExplanation(explanation);
    throw error;
  }
}

/** What a method says of a symbol. */
function described(terms: Terms<Term>, symbol: string): Pick<Term, 'tex' | 'equation' | 'is'> {
  const { tex, equation, is } = terms[symbol] ?? { tex: symbol, equation: '', is: '' };
  return { tex, equation, is };
}

const NOTHING = 'the map is zero everywhere';
const NOTHING_POSITIVE = `${NOTHING}: nothing at this layer speaks for the class; a signed map shows what speaks against it`;
