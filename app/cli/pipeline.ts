// What explain, compare, predict and demo share: pictures in, predictions and explanations out.

import { disposeExplanation, type Explanation, explain, type Prediction, predict } from '../../cam/index.ts';
import { largest } from '../../engine/extremes.ts';
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
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import { nodeOf } from '../../models/graph.ts';
import { classIndex, type Network } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { preprocess } from '../../models/preprocess.ts';
import type { Background } from '../image/alpha.ts';
import { seenOf } from '../image/array.ts';
import { boxesIn, boxTable } from './boxes.ts';
import { asUsage, UsageError } from './errors.ts';
import { type ModelChoice, openModel, weightsOf } from './load.ts';
import { openImage, type Picture } from './pictures.ts';
import { bar, heartbeat, isVerbose, note } from './progress.ts';
import type { Explained, FoundBox } from './report.ts';
import { readTarget, type TargetChoice } from './target.ts';

/** What is to be explained, names already looked up. */
export interface Request {
  readonly methods: readonly string[];
  /** The predicted class when left out. */
  readonly classes?: readonly number[];
  /** So many of the most probable classes instead. */
  readonly top?: number | undefined;
  readonly layer?: readonly string[];
  readonly fuse?: 'mean' | 'max' | undefined;
  readonly signed?: boolean;
  /** The logit when left out. */
  readonly target?: TargetChoice;
  readonly background?: Background | undefined;
}

/** Looks up the classes, the layers and the target of the command line, before any device is opened. */
export function lookUp(
  { description }: ModelChoice,
  asked: {
    readonly class?: readonly string[];
    readonly top?: number;
    readonly layer?: string;
    readonly fuse?: 'mean' | 'max';
    readonly target?: string;
  },
): Pick<Request, 'classes' | 'top' | 'layer' | 'fuse' | 'target'> {
  const { layer: named, top, fuse } = asked;
  const { graph, classes: names } = description;
  // A layer that does nothing is found as the one that gives its value.
  const layer =
    named === undefined
      ? undefined
      : namesIn(
          named,
          graph.nodes.map(({ name }) => name),
        ).map((one) => asUsage(() => nodeOf(graph, one).name));
  const target = asked.target === undefined ? undefined : readTarget(asked.target, description);
  if ((target?.named !== undefined || target?.box) && (asked.class || top))
    throw new UsageError(`--target ${target.text} names its class; leave ${top ? '--top' : '--class'} out`);
  if (asked.class && top) throw new UsageError('--class and --top both say which classes; give one of them');
  if (fuse && (layer ?? []).length < 2)
    throw new UsageError(`--fuse ${fuse} makes one map of several layers; name them, as --layer a,b`);
  const indices = asked.class?.flatMap((value) =>
    namesIn(value, names).map((name) => asUsage(() => classIndex(description, name))),
  );
  const classes = target?.named === undefined ? indices && [...new Set(indices)] : [target.named];
  return {
    ...(classes && { classes }),
    ...(layer !== undefined && { layer: [...new Set(layer)] }),
    ...(target && { target }),
    top,
    fuse,
  };
}

/** Names separated by commas, unless the whole is one of those that there are: "tench, Tinca tinca". */
function namesIn(value: string, there: readonly string[]): string[] {
  const whole = value.trim();
  if (there.some((name) => name.toLowerCase() === whole.toLowerCase())) return [whole];
  return value.split(',').map((name) => name.trim());
}

/** Opens a device and a model on it for the length of `use`. */
export async function withNetwork<T>(
  choice: ModelChoice,
  deviceName: string | undefined,
  use: (network: Network) => Promise<T>,
): Promise<T> {
  weightsOf(choice);
  const device = await openDevice({
    verbose: isVerbose(),
    ...(deviceName !== undefined && { adapter: deviceName }),
  });
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

/** The device as results name it. */
export const deviceName = ({ kind, name }: Device): string => `${kind}: ${name}`;

/** The device in one line. */
export const deviceLine = ({ kind, name, why }: Device): string => `device: ${kind}, ${name} (${why})`;

/** Explains one picture; how far it is, and what to know of the maps, is said on stderr. */
export async function explainImage(
  network: Network,
  picture: Picture,
  request: Request,
): Promise<Explained[]> {
  const { name: path } = picture;
  const given = await openImage(picture, request.background);
  if (network.preprocessing.size === undefined && 'rgb' in given) {
    note(`${path}: no size given, taken as it is: ${given.width} x ${given.height}`);
  }
  const input = inputOf(network, given, path);
  const seen = seenOf(network, given);
  for (const layer of request.layer ?? [network.targetLayer]) assertTakes(network, path, input.shape, layer);
  const shown = bar('{method} {bar} {percentage} %');
  const tell = heartbeat();
  shown.start(100, 0, { method: 'forward pass' });
  try {
    const { target, background: _, top, fuse, ...asked } = request;
    const boxes = await boxesIn(network, input, 'rgb' in given ? given : seen);
    if (network.detection) note(`${path}: ${boxTable(boxes)}`);
    const box = target?.box?.(boxes);
    const likely = top === undefined ? asked.classes : await likeliest(network, input, top);
    const classes = box ? [box.classIndex] : likely;
    const explanations = await explain(network, input, {
      ...asked,
      ...(classes && { classes }),
      ...(fuse && { fuse }),
      ...(target && { target: (index: number) => target.of(index, box) }),
      progress(method, share) {
        shown.update(100 * share, { method });
        tell(`${path}: ${method}, ${Math.floor(100 * share)} %`);
      },
    });
    const out: Explained[] = [];
    shown.stop();
    for (const explanation of explanations) {
      const { method, className, notes } = explanation;
      for (const remark of notes) note(`${path}: ${method} of class ${className}: ${remark}`);
      const found = box ?? boxes.find(({ classIndex }) => classIndex === explanation.classIndex);
      const explained = await readBack(network, picture, explanation, seen, request);
      out.push({ ...explained, ...(found && { box: found }) });
    }
    return out;
  } catch (cause) {
    throw naming(path, cause);
  } finally {
    shown.stop();
    input.dispose();
  }
}

/** The indices of the classes with the largest logits, the largest first. */
const likeliest = async (network: Network, input: Tensor, count: number): Promise<number[]> =>
  ranked(await predict(network, input))
    .slice(0, count)
    .map(({ index }) => index);

/** Predictions, the likeliest first. */
export const ranked = (predictions: readonly Prediction[]): Prediction[] =>
  [...predictions].sort((a, b) => b.logit - a.logit);

/** What a network makes of a picture, the likeliest class first. */
export const predictImage = (
  network: Network,
  picture: Picture,
  background?: Background,
  preprocessing = network.preprocessing,
): Promise<Prediction[]> =>
  ofImage({ ...network, preprocessing }, picture, background, async (input) =>
    ranked(await predict(network, input)),
  );

/** What a detector finds in a picture. */
export const findBoxes = (network: Network, picture: Picture, background?: Background): Promise<FoundBox[]> =>
  ofImage(network, picture, background, (input, given) =>
    boxesIn(network, input, 'rgb' in given ? given : seenOf(network, given)),
  );

/** What is made of a picture as a network's input. */
async function ofImage<T>(
  network: Parameters<typeof preprocess>[0],
  picture: Picture,
  background: Background | undefined,
  use: (input: Tensor, given: Pixels | HostTensor) => Promise<T>,
): Promise<T> {
  const given = await openImage(picture, background);
  const input = inputOf(network, given, picture.name);
  try {
    return await use(input, given);
  } catch (cause) {
    throw naming(picture.name, cause);
  } finally {
    input.dispose();
  }
}

/** A picture or an array as a network's input. */
export function inputOf(
  network: Parameters<typeof preprocess>[0],
  given: Pixels | HostTensor,
  path: string,
): Tensor {
  try {
    return preprocess(network, given);
  } catch (cause) {
    throw naming(path, cause);
  }
}

/** What went wrong with a picture, with its name and, where it is too large, with advice. */
export function naming(path: string, cause: unknown): unknown {
  if (!(cause instanceof LimelightError)) return cause;
  const advice =
    cause instanceof MemoryBudgetError ? '; --size makes the input smaller, such as --size 512' : '';
  return new LimelightError(`${path}: ${cause.message}${advice}`, { cause });
}

/**
 * Throws where a network cannot compute an input of this shape, such as one smaller than its kernels, or where the layer's
 * output is then nothing that can be laid over a picture, such as one pixel.
 */
export function assertTakes({ graph, name }: Network, path: string, shape: Shape, layer: string): void {
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
  { name: image, stem }: Picture,
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
    stem,
    model: network.name,
    device: deviceName(network.device),
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
