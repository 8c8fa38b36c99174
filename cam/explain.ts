// The front door: a network's input or a trace, some methods, some classes -> explanations.

import { compilingTime } from '../engine/device.ts';
import {
  add,
  MemoryBudgetError,
  maximum,
  narrow,
  notFinite,
  relu,
  scale,
  scopeInSteps,
  stopGradient,
  sum,
  type Tensor,
  toHost,
} from '../engine/index.ts';
import { assertOutsideScopes } from '../engine/tensor.ts';
import { nodeOf, type Runnable } from '../models/graph.ts';
import { classIndex as findClass, type Network } from '../models/network.ts';
import { disposeDecoders, loadDecoders } from './decoders.ts';
import { NotFiniteError } from './errors.ts';
import { normaliseMap, upsampleMap } from './map.ts';
import { type Method, type MethodContext, stepsOf, type Term, type Terms } from './method.ts';
import { defaultMethods, defaultMethodsOf, methodOf } from './methods/index.ts';
import { likenessNotes, weightsNote } from './notes.ts';
import { numberOfEachNew } from './numbers.ts';
import type { Prediction } from './predict.ts';
import type { Target } from './target.ts';
import { logit } from './targets.ts';
import { observe, observeBatch, pictureOf, type Trace, takesBatches } from './trace.ts';

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
  if ('vary' in subject) return (await explainTrace(subject, (given[0] ?? {}) as ExplainOptions))[0]!;
  const [input, options = {}] = given as [Tensor, ExplainOptions?];
  const layers = layersOf(options) ?? [subject.targetLayer];
  const keep = chosenMethods(options, () => defaultMethods).flatMap(
    ({ keeps }) =>
      keeps && layers.flatMap((layer) => keeps(subject.graph, nodeOf(subject.graph, layer).name)),
  );
  const trace = observe(subject, input, { layers, keep: keep.filter((name) => name !== undefined) });
  try {
    return (await explainTrace(trace, options))[0]!;
  } finally {
    trace.dispose();
  }
}

const chosenMethods = ({ methods }: ExplainOptions, otherwise: () => readonly string[]): Method[] =>
  (methods ?? otherwise()).map((method) => (typeof method === 'string' ? methodOf(method) : method));

const layersOf = ({ layer }: ExplainOptions): readonly string[] | undefined =>
  typeof layer === 'string' ? [layer] : layer;

/** What is explained of a batch; everything may be left out. */
export interface BatchOptions extends ExplainOptions {
  /** Classes of each image, where each has its own; `classes` when left out. */
  readonly classesOf?: (image: number) => ExplainOptions['classes'];
}

/** Images that go through a network together, where memory allows. */
const TOGETHER = 16;

/**
 * Explains each image of a batch [N, C, H, W], as `explain` does each alone but for rounding. They share passes of the
 * network, and what methods that take batches compute; `milliseconds` are an image's share. Networks that take one image,
 * and targets other than a logit, are explained in turn.
 */
export async function explainBatch(
  network: Network,
  inputs: Tensor,
  { classesOf = () => options.classes, ...options }: BatchOptions = {},
): Promise<Explanation[][]> {
  assertOutsideScopes('explainBatch');
  const out: Explanation[][] = [];
  const total = inputs.shape[0]!;
  let together = options.target ? 1 : TOGETHER;
  try {
    while (out.length < total) {
      const start = out.length;
      const count = Math.min(together, total - start);
      const some = count < total ? narrow(inputs, 0, start, count) : inputs;
      try {
        if (count === 1) {
          const classes = classesOf(start);
          out.push(await explain(network, some, { ...options, ...(classes && { classes }) }));
        } else if (takesBatches(network, some.shape)) {
          const trace = observeBatch(network, some, { layers: layersOf(options) ?? [network.targetLayer] });
          try {
            out.push(...(await explainTrace(trace, options, (i) => classesOf(start + i))));
          } finally {
            trace.dispose();
          }
        } else together = 1;
      } catch (error) {
        if (!(error instanceof MemoryBudgetError) || count === 1) throw error;
        together = Math.ceil(count / 2);
      } finally {
        if (some !== inputs) some.dispose();
      }
    }
    return out;
  } catch (error) {
    for (const explanation of out.flat()) disposeExplanation(explanation);
    throw error;
  }
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

/** Explains each picture of a trace. */
async function explainTrace(
  trace: Trace,
  options: ExplainOptions,
  classesOf: BatchOptions['classesOf'] = () => options.classes,
): Promise<Explanation[][]> {
  const { network, picture } = trace;
  const chosen = chosenMethods(options, () => defaultMethodsOf(trace.dry()));
  const named = layersOf(options) !== undefined || trace.layers.join() !== network.targetLayer;
  const layers = layersOf(options)?.map((layer) => nodeOf(network.graph, layer).name) ?? trace.layers;
  await toHost([trace.outputs.logits]);
  const asked: Prediction[][] = [];
  for (let i = 0; i < picture.shape[0]!; i++) {
    const predictions = await finitePredictions(trace, layers, i);
    const predicted = predictions.reduce((best, one) => (one.logit > best.logit ? one : best));
    asked.push(classesOf(i)?.map((wanted) => predictions[findClass(network, wanted)]!) ?? [predicted]);
  }
  const groupsOf = ({ layerOf }: Method): (readonly string[])[] => {
    const best = named ? undefined : layerOf?.(trace.dry());
    if (best !== undefined) return [[best]];
    return options.fuse ? [layers] : layers.map((layer) => [layer]);
  };
  const decoders = await loadDecoders(network, chosen);
  const out: Explanation[][] = asked.map(() => []);
  const alone = new Map<number, Trace>();
  /** The trace of one picture, for methods that take no batches. */
  const traceOf = (i: number): Trace => {
    if (asked.length === 1) return trace;
    const made = alone.get(i) ?? pictureOf(trace, i);
    alone.set(i, made);
    return made;
  };
  try {
    // Each round takes a class of every picture; those that have none left are computed with the others' and left out.
    for (let round = 0; asked.some((classes) => classes.length > round); round++) {
      const predictions = asked.map((classes) => classes[round]);
      for (const method of chosen) {
        for (const group of groupsOf(method)) {
          if (method.batches && asked.length > 1) {
            const found = await explainOne(trace, method, decoders, group, predictions, options);
            for (const [i, one] of found.entries()) if (one) out[i]!.push(one);
            continue;
          }
          for (const [i, prediction] of predictions.entries()) {
            if (prediction === undefined) continue;
            const [one] = await explainOne(traceOf(i), method, decoders, group, [prediction], options);
            out[i]!.push(one!);
          }
        }
      }
    }
    return await Promise.all(
      out.map(async (of) => {
        const notes = await likenessNotes(of);
        return of.map((one, i) => ({ ...one, notes: [...one.notes, ...notes[i]!] }));
      }),
    );
  } catch (error) {
    for (const explanation of out.flat()) disposeExplanation(explanation);
    throw error;
  } finally {
    disposeDecoders(decoders);
    for (const one of alone.values()) {
      one.dispose();
      one.picture.dispose();
    }
  }
}

/** Predictions of a picture of a trace: where the input or a feature map is not finite, the logits are not either. */
export async function finitePredictions(
  trace: Trace,
  layers: readonly string[],
  index = 0,
): Promise<Prediction[]> {
  const predictions = await trace.predictions(index);
  if (!predictions.every(({ logit }) => Number.isFinite(logit))) await refuseNotFinite(trace, layers);
  return predictions;
}

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
  const found = await numberOfEachNew(() => suspects.map(([, tensor]) => sum(notFinite(tensor))));
  const first = found.findIndex((count) => count > 0);
  const [what, { size }, advice] = suspects[first]!;
  throw new NotFiniteError(`${found[first]} of ${size} numbers of ${what} are NaN or infinite; ${advice}`);
}

/** One method's answers for a class of each picture of a trace; none of those that are undefined. */
async function explainOne(
  trace: Trace,
  method: Method,
  decoders: ReadonlyMap<string, Runnable>,
  layers: readonly string[],
  predictions: readonly (Prediction | undefined)[],
  options: ExplainOptions,
): Promise<(Explanation | undefined)[]> {
  const { progress, signed = false, fuse } = options;
  const { network } = trace;
  const started = performance.now();
  const compiledBefore = compilingTime(network.device);
  const decoder = decoders.get(method.decoder ?? '');
  const pictures = predictions.length;
  const classes = predictions.map((one) => one?.index ?? 0);
  const [classIndex] = classes as [number];
  const context: MethodContext = {
    target: pictures > 1 ? { classes } : (options.target?.(classIndex, network) ?? logit(classIndex)),
    classIndex,
    ...(decoder && { decoder }),
    ...(progress && { progress: (share: number) => progress(method.name, share) }),
  };
  const size = trace.picture.shape.slice(2) as [number, number];
  /** What each picture has of a tensor of all, if it is explained. */
  const split = (x: Tensor): (Tensor | undefined)[] => {
    // A handle of the explanation's: some of the tensors belong to the trace.
    if (pictures === 1) return [stopGradient(x)];
    const rows = x.shape[0]! / pictures;
    return predictions.map((one, i) => one && narrow(x, 0, i * rows, rows));
  };
  /** The terms of each layer, and the map of all. */
  function* parts() {
    const terms: (Omit<ExplainedTerm, 'tensor'> & { readonly tensors: (Tensor | undefined)[] })[] = [];
    const maps: Tensor[] = [];
    for (const layer of layers) {
      const found = yield* stepsOf(method, trace.at(layer), context);
      for (const [symbol, tensor] of Object.entries(found))
        terms.push({ ...described(method.terms, symbol), symbol, layer, tensors: split(tensor) });
      const shown = signed ? found.M : relu(found.M);
      maps.push(normaliseMap(upsampleMap(shown, size, pictures), pictures));
      if (layers.length === 1) {
        const map = signed || !method.relu ? found.M : shown;
        return { terms, map: split(map), upsampled: split(maps[0]!) };
      }
    }
    const map = fuse === 'max' ? maps.reduce(maximum) : scale(maps.reduce(add), 1 / maps.length);
    return { terms, map: split(map), upsampled: split(normaliseMap(map, pictures)) };
  }
  const { terms, map, upsampled } = await scopeInSteps(parts(), options.signal);
  const explained = predictions.map((prediction, i) => {
    if (prediction === undefined) return undefined;
    const ofThis = terms.map(({ tensors, ...term }): ExplainedTerm => ({ ...term, tensor: tensors[i]! }));
    const weights = layers.length === 1 ? ofThis.find(({ symbol }) => symbol === 'w_k')?.tensor : undefined;
    return {
      method: method.name,
      layer: layers.join(' + '),
      classIndex: prediction.index,
      className: prediction.name,
      logit: prediction.logit,
      probability: prediction.probability,
      map: map[i]!,
      upsampled: upsampled[i]!,
      weights: weights && stopGradient(weights),
      terms: ofThis,
    };
  });
  const isRead = ({ symbol }: ExplainedTerm) =>
    symbol === 'M' || symbol === 'w_k' || method.terms[symbol]?.note !== undefined;
  try {
    const made = explained.filter((one) => one !== undefined);
    await toHost(
      made.flatMap((one) => [
        ...one.terms.filter(isRead).map(({ tensor }) => tensor),
        one.map,
        one.upsampled,
      ]),
    );
    const notes = await Promise.all(
      explained.map((one) => one && notesOf(one, one.terms.filter(isRead), method, trace, signed)),
    );
    const milliseconds = (performance.now() - started) / made.length;
    const compiling = (compilingTime(network.device) - compiledBefore) / made.length;
    return explained.map((one, i) => one && { ...one, notes: notes[i]!, milliseconds, compiling });
  } catch (error) {
    for (const one of explained) if (one) disposeExplanation(one);
    throw error;
  }
}

/** What is to be said of the numbers of an explanation, of which `read` are some. */
async function notesOf(
  { classIndex, layer }: Pick<Explanation, 'classIndex' | 'layer'>,
  read: readonly ExplainedTerm[],
  method: Method,
  trace: Trace,
  signed: boolean,
): Promise<string[]> {
  const values = await Promise.all(read.map(({ tensor }) => tensor.data()));
  const maps = values.filter((_, i) => read[i]!.symbol === 'M');
  const total = (of: (map: Float32Array) => number) => maps.reduce((sum, map) => sum + of(map), 0);
  const lost = total((map) => map.reduce((n, value) => n + Number(!Number.isFinite(value)), 0));
  if (lost > 0) {
    throw new NotFiniteError(
      `${method.name}: ${lost} of ${total(({ length }) => length)} numbers of the map of class ${classIndex} at ` +
        `"${layer}" are NaN or infinite, though the logits are finite: a derivative or a difference ` +
        'overflows there; choose another layer, method or target',
    );
  }
  const said = read.flatMap(({ symbol }, i) => [
    method.terms[symbol]?.note?.(values[i]!, trace),
    symbol === 'w_k' ? weightsNote(values[i]!) : undefined,
  ]);
  const isBlank = maps.every((map) => map.every((value) => value === 0 || (value < 0 && !signed)));
  if (isBlank) said.push(signed ? NOTHING : NOTHING_POSITIVE);
  return said.filter((note) => note !== undefined);
}

/** What a method says of a symbol. */
function described(terms: Terms<Term>, symbol: string): Pick<Term, 'tex' | 'equation' | 'is'> {
  const { tex, equation, is } = terms[symbol] ?? { tex: symbol, equation: '', is: '' };
  return { tex, equation, is };
}

const NOTHING = 'the map is zero everywhere';
const NOTHING_POSITIVE = `${NOTHING}: nothing at this layer speaks for the class; a signed map shows what speaks against it`;
