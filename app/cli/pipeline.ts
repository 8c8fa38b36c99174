// What explain, compare and demo share: pictures in, explanations with their files out.

import { basename, extname, join } from 'node:path';
import { disposeExplanation, type Explanation, explain, methods } from '../../cam/index.ts';
import { largest, least } from '../../engine/extremes.ts';
import {
  closeDevice,
  type Device,
  LimelightError,
  MemoryBudgetError,
  openDevice,
  type Shape,
  type Tensor,
} from '../../engine/index.ts';
import { type DryRun, dryRun } from '../../models/dry-run.ts';
import { featureMapView } from '../../models/feature-map.ts';
import { writeNpy } from '../../models/formats/npy.ts';
import { nodeOf } from '../../models/graph.ts';
import { classIndex, type Network, type NetworkDescription } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { preprocess, visiblePixels } from '../../models/preprocess.ts';
import type { Background } from '../image/alpha.ts';
import type { HeatMap } from '../image/heat.ts';
import { renderOverlay } from '../image/overlay.ts';
import { renderSheet } from '../image/sheet.ts';
import { writeWhole } from '../image/write.node.ts';
import { asUsage, UsageError } from './errors.ts';
import { type ModelChoice, openImage, openModel, weightsOf } from './load.ts';
import { bar, heartbeat, isVerbose, note } from './progress.ts';
import { quietly } from './quiet.ts';
import { type Explained, score } from './report.ts';
import { readTarget, type TargetChoice } from './target.ts';

/** What is to be explained, names already looked up. */
export interface Request {
  readonly methods: readonly string[];
  /** The predicted class when left out. */
  readonly classes?: readonly number[];
  readonly layer?: string;
  readonly signed?: boolean;
  /** The logit when left out. */
  readonly target?: TargetChoice;
  readonly background?: Background | undefined;
}

/** Looks up the classes, the layer and the target of the command line, before any device is opened. */
export function lookUp(
  { description }: ModelChoice,
  asked: { readonly class?: readonly string[]; readonly layer?: string; readonly target?: string },
): Pick<Request, 'classes' | 'layer' | 'target'> {
  const { layer: named } = asked;
  // A layer that does nothing is found as the one that gives its value.
  const layer = named === undefined ? undefined : asUsage(() => nodeOf(description.graph, named).name);
  const target = asked.target === undefined ? undefined : readTarget(asked.target, description);
  if (target?.named !== undefined && asked.class)
    throw new UsageError(`--target ${target.text} names its class; leave --class out`);
  const indices = asked.class?.flatMap((value) =>
    namesIn(value, description).map((name) => asUsage(() => classIndex(description, name))),
  );
  const classes = target?.named === undefined ? indices && [...new Set(indices)] : [target.named];
  return { ...(classes && { classes }), ...(layer !== undefined && { layer }), ...(target && { target }) };
}

/** Names separated by commas, unless the whole is the name of a class: "tench, Tinca tinca". */
function namesIn(value: string, { classes }: NetworkDescription): string[] {
  const whole = value.trim().toLowerCase();
  if (classes.some((name) => name.toLowerCase() === whole)) return [whole];
  return value.split(',').map((name) => name.trim());
}

/** Opens a device and a model on it for the length of `use`. */
export async function withNetwork<T>(
  choice: ModelChoice,
  deviceName: string | undefined,
  use: (network: Network) => Promise<T>,
): Promise<T> {
  weightsOf(choice);
  const open = () => openDevice(deviceName === undefined ? {} : { adapter: deviceName });
  const device = await (isVerbose() ? open() : quietly(open));
  if (isVerbose()) note(memoryLine(device));
  try {
    return await use(await openModel(device, choice));
  } finally {
    closeDevice(device);
  }
}

const memoryLine = ({ memory: { budget, bound, largest } }: Device): string => {
  const megabytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return `memory: ${megabytes(budget)} for tensors (${bound}), ${megabytes(largest)} for one`;
};

/** The device in one line. */
export const deviceLine = ({ kind, name, why }: Device): string => `device: ${kind}, ${name} (${why})`;

/** Explains one picture; how far it is, and what to know of the maps, is said on stderr. */
export async function explainImage(network: Network, path: string, request: Request): Promise<Explained[]> {
  const pixels = await openImage(path, request.background);
  if (network.preprocessing.size === undefined) {
    note(`${path}: no size given, taken as it is: ${pixels.width} x ${pixels.height}`);
  }
  const input = inputOf(network, pixels, path);
  assertTakes(network, path, input.shape, request.layer);
  const shown = bar('{method} {bar} {percentage} %');
  const tell = heartbeat();
  shown.start(100, 0, { method: 'forward pass' });
  try {
    const { target, background: _, ...asked } = request;
    const explanations = await explain(network, input, {
      ...asked,
      ...(target && { target: target.of }),
      progress(method, share) {
        shown.update(100 * share, { method });
        tell(`${path}: ${method}, ${Math.floor(100 * share)} %`);
      },
    });
    const seen = visiblePixels(network, pixels);
    const out: Explained[] = [];
    shown.stop();
    for (const explanation of explanations) {
      const { method, className, notes } = explanation;
      for (const remark of notes) note(`${path}: ${method} of class ${className}: ${remark}`);
      out.push(await readBack(network, path, explanation, seen, request));
    }
    return out;
  } catch (cause) {
    throw naming(path, cause);
  } finally {
    shown.stop();
    input.dispose();
  }
}

function inputOf(network: Network, pixels: Pixels, path: string): Tensor {
  try {
    return preprocess(network, pixels);
  } catch (cause) {
    throw naming(path, cause);
  }
}

/** What went wrong with a picture, with its name and, where it is too large, with advice. */
function naming(path: string, cause: unknown): unknown {
  if (!(cause instanceof LimelightError)) return cause;
  const advice =
    cause instanceof MemoryBudgetError ? '; --size makes the input smaller, such as --size 512' : '';
  return new LimelightError(`${path}: ${cause.message}${advice}`, { cause });
}

/**
 * Throws where a network cannot compute an input of this shape, such as one smaller than its kernels, or where the layer's
 * output is then nothing that can be laid over a picture, such as one pixel.
 */
function assertTakes(
  { graph, name, targetLayer }: Network,
  path: string,
  shape: Shape,
  layer: string = targetLayer,
): void {
  let dry: DryRun;
  try {
    dry = dryRun(graph, shape);
  } catch (cause) {
    if (!(cause instanceof LimelightError)) throw cause;
    throw new LimelightError(
      `${path}: ${name} cannot take it as an input of ${shape.join(' x ')}: ${cause.message}; give another --size`,
      { cause },
    );
  }
  const view = featureMapView(dry.places.get(layer));
  if (typeof view !== 'string') return;
  throw new LimelightError(
    `${path}: layer "${layer}" of ${name} gives ${dry.shapes.get(layer)!.join(' x ')} for an input of ` +
      `${shape.join(' x ')}, which is no feature map: ${view}; inspect lists the target layers`,
  );
}

async function readBack(
  network: Network,
  image: string,
  explanation: Explanation,
  pixels: Pixels,
  { target, signed = false }: Request,
): Promise<Explained> {
  const { map, upsampled, weights } = explanation;
  const [mapData, upsampledData, weightData] = await Promise.all([
    map.data(),
    upsampled.data(),
    weights?.data(),
  ]);
  disposeExplanation(explanation);
  const at = upsampledData.indexOf(largest(upsampledData));
  const width = upsampled.shape[1]!;
  return {
    image,
    model: network.name,
    device: `${network.device.kind}: ${network.device.name}`,
    explanation,
    pixels,
    map: { shape: map.shape, data: mapData },
    weights: weights && weightData && { shape: weights.shape, data: weightData },
    peak: [at % width, Math.floor(at / width)],
    target: target?.text ?? 'logit',
    signed,
    files: {},
  };
}

/** The map as it is drawn, divided by `high`, its largest value or, where signed, magnitude. */
function drawn({ map, signed }: Explained): { map: HeatMap; low: number; high: number } {
  const [height, width] = map.shape as [number, number];
  const high = Math.max(0, largest(map.data), signed ? -least(map.data) : 0);
  const scaled = map.data.map((value) => (high === 0 ? 0 : (signed ? value : Math.max(0, value)) / high));
  return { map: { width, height, data: scaled }, low: signed ? -high : 0, high };
}

const titleOf = (method: string): string => methods.get(method)!.title;

const classLine = ({ className, probability, logit }: Explanation): string =>
  probability === null
    ? `${className}: ${logit.toFixed(2)}`
    : `class ${className}: ${score(probability)}, logit ${logit.toFixed(2)}`;

/** Name of a picture's files: the picture's own name, numbered where two pictures share one. */
export function stems(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const own = basename(path, extname(path));
    let stem = own;
    for (let count = 2; taken.has(stem); count++) stem = `${own}~${count}`;
    taken.add(stem);
    return stem;
  });
}

/** Writes the overlay of each explanation and, if asked, its numbers as npy. */
export async function writeFiles(
  explained: readonly Explained[],
  stem: string,
  out: string,
  raw: boolean,
): Promise<void> {
  for (const one of explained) {
    const { explanation, map, weights, model, pixels, signed } = one;
    const { method, layer, className, classIndex: index } = explanation;
    const label = className.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40);
    const path = join(out, `${stem}.${method}.${label === String(index) ? index : `${index}-${label}`}`);
    const png = renderOverlay({
      ...drawn(one),
      pixels,
      title: titleOf(method),
      lines: [classLine(explanation), `layer ${layer} of ${model}`],
      signed,
    });
    const contents: (readonly [kind: 'overlay' | 'map' | 'weights', path: string, bytes: Uint8Array])[] = [
      ['overlay', `${path}.png`, png],
    ];
    if (raw) contents.push(['map', `${path}.map.npy`, writeNpy(map.shape, map.data)]);
    if (raw && weights) {
      contents.push(['weights', `${path}.weights.npy`, writeNpy(weights.shape, weights.data)]);
    }
    for (const [, file, bytes] of contents) await writeWhole(file, bytes);
    one.files = Object.fromEntries(contents.map(([kind, file]) => [kind, file]));
  }
}

/** Writes all explanations of one picture on one sheet, a row for each class; returns its path. */
export async function writeSheet(
  explained: readonly Explained[],
  stem: string,
  out: string,
): Promise<string> {
  const { model, device, pixels, image, explanation } = explained[0]!;
  const classes = [...new Set(explained.map((one) => one.explanation.classIndex))];
  const rows = classes.map((index) => {
    const row = explained.filter((one) => one.explanation.classIndex === index);
    const cells = row.map((one) => ({
      title: titleOf(one.explanation.method),
      caption: `${one.explanation.milliseconds.toFixed(0)} ms`,
      pixels,
      map: drawn(one).map,
      signed: one.signed,
    }));
    const picture = { title: 'input', caption: `${pixels.width} × ${pixels.height}`, pixels };
    return { label: classLine(row[0]!.explanation), cells: [picture, ...cells] };
  });
  const path = join(out, `${stem}.sheet.png`);
  const lines = [`layer ${explanation.layer} of ${model}`, device];
  await writeWhole(path, renderSheet({ title: basename(image), lines, rows }));
  return path;
}
