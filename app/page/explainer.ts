// What the page asks of the library: the shipped networks on one device, what they predict, and explanations, all
// read back into plain data.

import { bytes } from '#platform';
import {
  type Prediction as ClassPrediction,
  disposeExplanation,
  explain,
  observe,
  type Trace,
} from '../../cam/index.ts';
import { type Device, LimelightError, type Shape } from '../../engine/index.ts';
import { messageOf } from '../../engine/platform/errors.ts';
import { type DryRun, dryRun } from '../../models/dry-run.ts';
import {
  type CatalogEntry,
  catalog,
  loadNetwork,
  type Network,
  type Pixels,
  preprocess,
  readSafetensors,
  targetLayers,
  visiblePixels,
} from '../../models/index.ts';
import type { HeatMap } from '../image/heat.ts';

/** The networks that come with their weights. */
export const shipped: readonly CatalogEntry[] = [...catalog.values()].filter(({ weights }) => weights);

/** What a network makes of a picture; whoever takes another disposes it. */
export interface Prediction {
  readonly network: Network;
  readonly trace: Trace;
  readonly pixels: Pixels;
  /** The part of the picture that the network sees, in its size. */
  readonly seen: Pixels;
  /** Classes, the most probable first. */
  readonly classes: readonly ClassPrediction[];
  /** Nodes that can be explained, with the shapes of their outputs. */
  readonly layers: readonly { readonly name: string; readonly shape: Shape }[];
  readonly dispose: () => void;
}

/** One explanation, read back. */
export interface Answer {
  readonly title: string;
  readonly probability: number | null;
  readonly logit: number;
  /** At layer resolution, 0 to 1. */
  readonly map: HeatMap;
  /** The map's largest value in the method's own units; 0 where there is no positive evidence. */
  readonly high: number;
  readonly notes: readonly string[];
  readonly milliseconds: number;
}

const networks = new Map<string, Promise<Network>>();

/** A shipped network, loaded once. */
function openNetwork(device: Device, entry: CatalogEntry): Promise<Network> {
  const known = networks.get(entry.name);
  if (known) return known;
  const opened = bytes(entry.weights!).then((file) =>
    loadNetwork(device, entry, readSafetensors(file, entry.name).tensors),
  );
  networks.set(entry.name, opened);
  opened.catch(() => networks.delete(entry.name));
  return opened;
}

/** Runs a network on a picture. */
export async function predict(device: Device, entry: CatalogEntry, pixels: Pixels): Promise<Prediction> {
  const network = await openNetwork(device, entry);
  const input = preprocess(network, pixels);
  try {
    const dry = dryRunFor(network, pixels, input.shape);
    const layers = [...targetLayers(dry).keys()];
    // From every layer at once: whatever is chosen next, the network need not run again.
    const trace = observe(network, input, { layers });
    const predictions = await trace.predictions();
    return {
      network,
      trace,
      pixels,
      seen: visiblePixels(network, pixels),
      classes: predictions.sort((a, b) => b.logit - a.logit),
      layers: layers.map((name) => ({ name, shape: dry.shapes.get(name)! })),
      dispose() {
        trace.dispose();
        input.dispose();
      },
    };
  } catch (error) {
    input.dispose();
    throw error;
  }
}

/** What a dry run finds; throws where a network cannot compute a picture, such as one smaller than a kernel. */
function dryRunFor({ name, graph }: Network, { width, height }: Pixels, input: Shape): DryRun {
  try {
    return dryRun(graph, input);
  } catch (cause) {
    const why = messageOf(cause);
    throw new LimelightError(
      `${name} cannot take a picture of ${width} × ${height} pixels: ${why}; choose a larger one`,
      { cause },
    );
  }
}

/** Explains one class of a picture by one method at one layer. */
export async function answer(
  { trace }: Prediction,
  asked: {
    readonly method: string;
    readonly title: string;
    readonly layer: string;
    readonly classIndex: number;
  },
): Promise<Answer> {
  const [found] = await explain(trace, {
    methods: [asked.method],
    classes: [asked.classIndex],
    layer: asked.layer,
  });
  const { map, probability, logit, notes, milliseconds } = found!;
  const values = await map.data();
  const [height, width] = map.shape as [number, number];
  disposeExplanation(found!);
  const high = values.reduce((largest, value) => Math.max(largest, value), 0);
  const data = values.map((value) => (high === 0 ? 0 : Math.max(0, value) / high));
  return {
    title: asked.title,
    probability,
    logit,
    map: { width, height, data },
    high,
    notes,
    milliseconds,
  };
}
