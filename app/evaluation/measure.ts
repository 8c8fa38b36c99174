// Pictures measured: their classes explained by every method, several pictures together, and each map by every metric.

import {
  disposeExplanation,
  type Explanation,
  explain,
  explainBatch,
  largestChange,
  MethodError,
  methodOf,
  NotFiniteError,
  observe,
} from '../../cam/index.ts';
import type { Box, HostMap, Mask } from '../../cam/metrics/host-map.ts';
import type { Metric, Picture, Subject } from '../../cam/metrics/index.ts';
import { takesBatches } from '../../cam/trace.ts';
import { LimelightError, type Tensor, tensor } from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import { INPUT } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { inputNumbers, PreprocessingError, visibleBox, visiblePixels } from '../../models/preprocess.ts';
import { redrawn } from '../../models/redraw.ts';
import { run } from '../../models/run.ts';
import { type DataSet, DataSetError, type Example, type Labelled } from '../datasets/data-set.ts';
import { ImageError } from '../image/errors.ts';
import { type KeptMap, type Measured, type MeasuredClass, type PictureLine, toRuns } from './record.ts';

export interface Plan {
  readonly network: Network;
  /** The network's, or the method's, when left out. */
  readonly layers?: readonly string[];
  readonly signed: boolean;
  readonly methods: readonly string[];
  readonly metrics: readonly Metric[];
  /** The network's class for each label of the data set that it has. */
  readonly classes: ReadonlyMap<string, number>;
  /** Of every picture, where the network takes any size and the data has one. */
  readonly size?: DataSet['size'];
  /** Called as slow methods and metrics go on, with what is at work. */
  readonly progress?: (what: string) => void;
}

const AT = ' at ';
/** What a method's maps at a layer are called: where there are several layers, by both. */
const rowOf = (method: string, layer: string, layers: readonly string[]): string =>
  layers.length > 1 ? method + AT + layer : method;

/** The rows of a table of methods at some layers. */
export const rowsOf = (methods: readonly string[], layers: readonly string[]): string[] =>
  methods.flatMap((method) => layers.map((layer) => rowOf(method, layer, layers)));

/** The methods of such rows, and each one's rows by layer. */
export function byLayer(rows: readonly string[]): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>();
  for (const row of rows) {
    const [method, layer] = row.split(AT);
    if (layer !== undefined) found.set(method!, (found.get(method!) ?? new Map()).set(layer, row));
  }
  return found;
}

/** Pictures whose probabilities are computed at once. */
const BATCH = 16;

/** Pictures that are explained at once, at most, and the multiply-adds that this may take: about a second of a processor's. */
const [TOGETHER, WORK] = [16, 2 ** 30];

/**
 * How many pictures are explained at once: what is not yet written is lost when a run is stopped, and so they are few where
 * they take long.
 */
export function picturesTogether({ network, layers, methods, ...plan }: Omit<Plan, 'classes'>): number {
  const { graph, preprocessing } = network;
  const { channels, size = plan.size } = preprocessing;
  if (size === undefined || !methods.every((name) => methodOf(name).batches)) return 1;
  if (!takesBatches(network, [TOGETHER, channels, ...size])) return 1;
  const { multiplyAdds } = dryRun(graph, [1, channels, ...size]);
  const pass = [...multiplyAdds.values()].reduce((a, b) => a + b, 1);
  const passes = methods.length * (layers?.length ?? 1);
  return Math.max(1, Math.min(TOGETHER, Math.floor(WORK / (pass * passes))));
}

/** A picture whose maps are to be measured. */
export interface Prepared {
  readonly name: string;
  readonly digest: string;
  /** What of each class is on it; none: the predicted class is explained. */
  readonly known: ReadonlyMap<number, Labelled>;
  readonly picture: Picture;
  readonly removed: Subject['removed'];
}

/**
 * What of a picture is measured: the classes that its annotations name, or else the predicted one. Classes that the network
 * does not have are left out, and so are objects that cropping cut away; undefined where nothing of the annotations is left.
 */
export function prepare(
  plan: Plan,
  example: Example,
  about: Pick<Prepared, 'name' | 'digest'>,
): Prepared | undefined {
  const { network } = plan;
  const objects = example.objects.flatMap((one) => visible(network, example, one) ?? []);
  // Two labels may be names of one class.
  const known = new Map<number, Labelled>();
  for (const one of objects) {
    const index = plan.classes.get(one.label);
    if (index === undefined) continue;
    const before = known.get(index);
    known.set(index, {
      ...one,
      boxes: [...(before?.boxes ?? []), ...one.boxes],
      ignored: [...(before?.ignored ?? []), ...(one.ignored ?? [])],
    });
  }
  if (example.objects.length > 0 && known.size === 0) return undefined;
  const removed = isAsked(plan, 'removed') ? removedFrom(network, example) : undefined;
  return { ...about, known, picture: inputNumbers(network, example.pixels), removed };
}

/** Errors that are about one picture; any other ends the evaluation. */
export const isPictureFault = (error: unknown): error is Error =>
  [DataSetError, ImageError, NotFiniteError, PreprocessingError].some((type) => error instanceof type);

/** Explains pictures together and measures one after another: a line for each, in their order. */
export async function* measure(plan: Plan, pictures: readonly Prepared[]): AsyncGenerator<PictureLine> {
  const found = await explained(plan, pictures);
  try {
    for (const [i, prepared] of pictures.entries()) {
      const explanations = found[i]!;
      const { name, digest } = prepared;
      try {
        if (explanations instanceof Error) throw explanations;
        yield { name, digest, ...(await measureOne(plan, prepared, explanations)) };
      } catch (error) {
        if (!isPictureFault(error)) throw error;
        yield { name, error: error.message };
      }
    }
  } finally {
    for (const one of found) if (!(one instanceof Error)) one.forEach(disposeExplanation);
  }
}

/** What is explained of each picture; the error of those that cannot be. */
async function explained(plan: Plan, pictures: readonly Prepared[]): Promise<(Explanation[] | Error)[]> {
  const { network, layers, methods, signed } = plan;
  // Always as many, so that the last digits do not depend on which pictures are left to be measured.
  const count = Math.max(pictures.length, picturesTogether(plan));
  const filled = Array.from({ length: count }, (_, i) => (pictures[i] ?? pictures[0]!).picture);
  const classesOf = (i: number) => {
    const { known } = pictures[i] ?? {};
    return known === undefined ? [] : known.size > 0 ? [...known.keys()] : undefined;
  };
  const input = inputTensor(network, filled);
  try {
    const progress = (method: string, share: number) =>
      plan.progress?.(`${method} of ${pictures[0]!.name}, ${(100 * share).toFixed(0)} %`);
    const options = { methods, ...(layers && { layer: layers }), signed, classesOf, progress };
    return (await explainBatch(network, input, options)).slice(0, pictures.length);
  } catch (error) {
    if (!isPictureFault(error)) throw error;
    if (pictures.length === 1) return [error];
  } finally {
    input.dispose();
  }
  // One of them spoils it for all.
  const alone: (Explanation[] | Error)[] = [];
  for (const one of pictures) alone.push(...(await explained(plan, [one])));
  return alone;
}

async function measureOne(
  plan: Plan,
  { name, digest, known, picture, removed }: Prepared,
  explanations: readonly Explanation[],
): Promise<Pick<Measured, 'classes' | 'sums'>> {
  const { network, layers } = plan;
  const black = blackOf(network);
  const sums: Record<string, Record<string, Float64Array>> = {};
  const classes = new Map<number, MeasuredClass>();
  for (const explanation of explanations) {
    const { method, layer, classIndex, className, probability, map, upsampled } = explanation;
    const row = rowOf(method, layer, layers ?? []);
    const [height, width] = upsampled.shape as [number, number];
    const object = known.get(classIndex);
    const subject: Subject = {
      map: { width, height, data: await upsampled.data() },
      boxes: object?.boxes ?? [],
      mask: object?.mask,
      ignored: object?.ignored,
      removed,
      picture,
      black,
      // Metrics that ask for it also ask for others, and are refused there where the network has none.
      probability: probability ?? Number.NaN,
      probabilities: (pictures) => probabilities(network, classIndex, pictures),
      explain: (other) => mapOf(plan, explanation, other),
      steepest: () => steepestOf(network, explanation, picture),
      redrawn: async (way) => {
        const maps: HostMap[] = [];
        for await (const other of redrawn(network, way)) {
          plan.progress?.(`${way} ${method} on ${name}, ${maps.length} layers are done`);
          maps.push(await mapOf({ ...plan, network: other }, explanation, picture));
        }
        return maps;
      },
      seed: numberOf(digest),
      half: (Number.parseInt(digest.at(-1)!, 16) & 1) as 0 | 1,
    };
    sums[row] ??= {};
    for (const metric of plan.metrics) {
      if (!has(subject, metric.needs)) continue;
      plan.progress?.(`${metric.name} of ${row} on ${name}`);
      add(sums[row], metric.name, await metric.measure(subject));
    }
    const before = classes.get(classIndex);
    classes.set(classIndex, {
      class: classIndex,
      className,
      probability,
      maps: { ...before?.maps, [row]: kept(map.shape as [number, number], await map.data()) },
    });
  }
  return { classes: [...classes.values()], sums: encoded(sums) };
}

const isAsked = ({ metrics }: Plan, need: Metric['needs']): boolean =>
  metrics.some(({ needs }) => needs === need);

function has({ boxes, removed }: Subject, need: Metric['needs']): boolean {
  if (need === 'removed') return removed !== undefined;
  return need === 'nothing' || boxes.length > 0;
}

/** Every object as the network sees it, with the picture that lacks it. */
const removedFrom = (network: Network, { pixels, removed }: Example): Subject['removed'] =>
  removed?.flatMap((one) => {
    const box = visibleBox(network, pixels, one.box)?.map(Math.round) as Box | undefined;
    return box ? [{ box, picture: inputNumbers(network, one.pixels) }] : [];
  });

/** A number that hardly any other digest gives; 52 bits. */
export const numberOf = (digest: string): number => Number.parseInt(digest.slice(0, 13), 16);

function add(to: Record<string, Float64Array>, name: string, values: ArrayLike<number>): void {
  const before = to[name];
  to[name] = Float64Array.from(values, (value, i) => value + (before?.[i] ?? 0));
}

const encoded = (sums: Record<string, Record<string, Float64Array>>): Measured['sums'] =>
  Object.fromEntries(
    Object.entries(sums).map(([method, of]) => [
      method,
      Object.fromEntries(Object.entries(of).map(([metric, values]) => [metric, toRuns(values)])),
    ]),
  );

/** An object as the network sees it, its boxes on whole pixels; undefined where nothing of it is left. */
function visible(network: Network, { pixels }: Example, one: Labelled): Labelled | undefined {
  const seen = (boxes: readonly Box[]) =>
    boxes.flatMap((box) => {
      const edges = visibleBox(network, pixels, box)?.map(Math.round) as Box | undefined;
      return edges && edges[0] < edges[2] && edges[1] < edges[3] ? [edges] : [];
    });
  const boxes = seen(one.boxes);
  if (one.boxes.length > 0 && boxes.length === 0) return undefined;
  return {
    label: one.label,
    boxes,
    ignored: seen(one.ignored ?? []),
    ...(one.mask && { mask: visibleMask(network, one.mask) }),
  };
}

function visibleMask({ preprocessing }: Network, { width, height, data }: Mask): Mask {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < rgb.length; i++) rgb[i] = data[Math.floor(i / 3)] ? 255 : 0;
  const seen = visiblePixels(
    { preprocessing: { ...preprocessing, interpolation: 'nearest' } },
    { width, height, rgb },
  );
  const inside = Uint8Array.from({ length: seen.width * seen.height }, (_, i) =>
    Number(seen.rgb[3 * i]! > 0),
  );
  return { width: seen.width, height: seen.height, data: inside };
}

/** What a black pixel becomes in each channel. */
const blackOf = ({ preprocessing: { channels, mean, std } }: Network): readonly number[] =>
  Array.from({ length: channels }, (_, c) => -(mean[c] ?? mean[0]!) / (std[c] ?? std[0]!));

const inputTensor = ({ device }: Network, pictures: readonly Picture[]): Tensor => {
  const { channels, height, width } = pictures[0]!;
  const values = new Float32Array(pictures.length * channels * height * width);
  pictures.forEach(({ data }, i) => {
    values.set(data, i * data.length);
  });
  return tensor(device, values, [pictures.length, channels, height, width]);
};

/** The probability of a class on each picture. */
async function probabilities(
  network: Network,
  index: number,
  pictures: Iterable<Picture>,
): Promise<number[]> {
  const found: number[] = [];
  let batch: Picture[] = [];
  const flush = async () => {
    const input = inputTensor(network, batch);
    const logits = run(network, new Map([[INPUT, input]]), [network.graph.output]).get(network.graph.output)!;
    try {
      const values = await logits.data();
      const classes = values.length / batch.length;
      batch.forEach((_, i) => {
        found.push(probability(network, values.subarray(i * classes, (i + 1) * classes), index));
      });
    } finally {
      logits.dispose();
      input.dispose();
    }
    batch = [];
  };
  for (const picture of pictures) {
    batch.push(picture);
    if (batch.length === BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  return found;
}

function probability({ probabilities, name }: Network, logits: Float32Array, index: number): number {
  if (probabilities === 'sigmoid') return 1 / (1 + Math.exp(-logits[index]!));
  if (probabilities === 'softmax') {
    const top = logits.reduce((a, b) => Math.max(a, b));
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return Math.exp(logits[index]! - top) / total;
  }
  throw new LimelightError(
    `${name} gives no probabilities of classes, which evaluate needs; --probabilities says how its outputs become some`,
  );
}

/** The map of another picture, made as one was. */
async function mapOf(
  { network, signed }: Plan,
  { method, layer, classIndex }: Explanation,
  picture: Picture,
): Promise<HostMap> {
  const input = inputTensor(network, [picture]);
  try {
    const [found] = await explain(network, input, {
      methods: [method],
      classes: [classIndex],
      layer,
      signed,
    });
    const data = await found!.upsampled.data();
    disposeExplanation(found!);
    return { width: picture.width, height: picture.height, data };
  } finally {
    input.dispose();
  }
}

/** The largest change of a map by one of the picture, as `Subject.steepest` has it. */
async function steepestOf(
  network: Network,
  { method, layer, classIndex, terms }: Explanation,
  picture: Picture,
): Promise<number | undefined> {
  const map = await terms.find(({ symbol }) => symbol === 'M')!.tensor.data();
  const length = Math.hypot(...map);
  if (length === 0) return undefined;
  const input = inputTensor(network, [picture]);
  const trace = observe(network, input, { layers: [layer] });
  try {
    const { size, direction } = await largestChange(trace, methodOf(method), { classIndex, layer });
    direction.dispose();
    return size / length;
  } catch (error) {
    if (error instanceof MethodError) return undefined;
    throw error;
  } finally {
    trace.dispose();
    input.dispose();
  }
}

function kept([height, width]: readonly [number, number], data: Float32Array): KeptMap {
  const high = data.reduce((a, b) => Math.max(a, b), 0);
  const bytes = Uint8Array.from(data, (value) =>
    high > 0 ? Math.round((255 * Math.max(0, value)) / high) : 0,
  );
  return { width, height, bytes: btoa(String.fromCharCode(...bytes)) };
}
