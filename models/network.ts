// A network: a graph, its parameters on a device, and what belongs to it: how pixels become its input, what its classes
// are called, which layer is explained unless another is asked for.

import { bytes } from '#platform';
import { type Device, LimelightError, type Shape, scope, tensor } from '../engine/index.ts';
import { weightTensor } from '../engine/tensor.ts';
import type { Detection } from './detection.ts';
import { FormatError } from './formats/errors.ts';
import type { StateDict } from './formats/host-tensor.ts';
import { assertFinite, readSafetensors } from './formats/safetensors.ts';
import type { Graph, Runnable } from './graph.ts';
import { nearest } from './near.ts';
import type { Preprocessing } from './preprocess.ts';
import { disposeFused } from './run.ts';
import type { Segmentation } from './segmentation.ts';

/** Everything about a network but its numbers. */
export interface NetworkDescription {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  readonly graph: Graph;
  readonly preprocessing: Preprocessing;
  readonly classes: readonly string[];
  /** softmax: one class an image; sigmoid: independent classes; none: values that are no scores of classes. */
  readonly probabilities: 'softmax' | 'sigmoid' | 'none';
  /** The node that is explained by default. */
  readonly targetLayer: string;
  /** Where a network that finds objects gives its boxes; a class's logit then is the score of its best box. */
  readonly detection?: Detection;
  /**
   * Where a network that scores classes at each place gives those; a class's logit then is the sum of its scores over the
   * places where it is the most probable one.
   */
  readonly segmentation?: Segmentation;
  /** Decoders that are shipped for it, by their names. */
  readonly decoders?: Readonly<Record<string, Decoder>>;
}

/** What reads some nodes of a network, having been trained on its frozen values: its inputs are named as they are. */
export interface Decoder {
  readonly graph: Graph;
  readonly weights: URL;
}

/** The same for other weights than those that its decoders were trained for. */
export function withoutDecoders<D extends NetworkDescription>(description: D): D {
  const { decoders: _, ...rest } = description;
  return rest as D;
}

/** A network with its parameters on a device, ready to run; `disposeNetwork` frees them. */
export interface Network extends NetworkDescription, Runnable {
  readonly device: Device;
}

/** Whether a key is of a counter that state dicts carry and inference has no use for. */
export const isCounter = (key: string): boolean => /(^|\.)num_batches_tracked$/.test(key);

/** The shape of every parameter of a graph by its key. */
const parameterShapes = (graph: Graph): Map<string, readonly number[]> =>
  new Map(
    graph.nodes.flatMap((node) =>
      Object.values(node.parameters).map(({ key, shape }) => [key, shape] as const),
    ),
  );

/** Problems that a message lists; the others are counted. */
const MOST_LISTED = 20;

/**
 * Refuses a state dict that does not fit a graph.
 *
 * @throws {FormatError} that lists its missing, extra and mis-shaped keys.
 */
export function assertFits(
  { name, graph }: Pick<NetworkDescription, 'name' | 'graph'>,
  tensors: StateDict,
): void {
  const expected = parameterShapes(graph);
  const shown = (shape: readonly number[]) => `[${shape.join(', ')}]`;
  const problems = [...expected].flatMap(([key, shape]) => {
    const found = tensors.get(key);
    if (found === undefined) return [`missing ${key} ${shown(shape)}`];
    const fits = found.shape.length === shape.length && found.shape.every((n, i) => n === shape[i]);
    return fits ? [] : [`${key} is ${shown(found.shape)}, expected ${shown(shape)}`];
  });
  for (const key of tensors.keys())
    if (!expected.has(key) && !isCounter(key)) problems.push(`unexpected ${key}`);
  if (problems.length === 0) return;
  const listed = problems.slice(0, MOST_LISTED);
  if (problems.length > MOST_LISTED) listed.push(`and ${problems.length - MOST_LISTED} more`);
  throw new FormatError(
    `the weights do not fit the network ${name}; choose the architecture that they belong to:\n  ${listed.join('\n  ')}`,
  );
}

/**
 * Puts a state dict on the device.
 *
 * @throws {FormatError} where its keys or shapes are not the graph's (`assertFits`), or weights are NaN or infinite.
 */
export function loadNetwork(device: Device, description: NetworkDescription, tensors: StateDict): Network {
  return { ...description, device, parameters: parametersOn(device, description, tensors) };
}

/** Reads a decoder onto its network's device, to be freed by `disposeNetwork`. */
export async function loadDecoder(
  { device }: Network,
  name: string,
  { graph, weights }: Decoder,
): Promise<Runnable> {
  const { tensors } = readSafetensors(await bytes(weights), name);
  return { graph, parameters: parametersOn(device, { name, graph }, tensors) };
}

function parametersOn(
  device: Device,
  named: Pick<NetworkDescription, 'name' | 'graph'>,
  tensors: StateDict,
): Runnable['parameters'] {
  assertFits(named, tensors);
  assertFinite(tensors, named.name);
  // Biases and norms are few numbers, of which many others are made.
  const upload = (shape: Shape) => (shape.length >= 2 ? weightTensor : tensor);
  // Where one does not fit, those before it are given back.
  return scope(
    () =>
      new Map(
        [...parameterShapes(named.graph)].map(
          ([key, shape]) => [key, upload(shape)(device, tensors.get(key)!.data, shape)] as const,
        ),
      ),
  );
}

/** Frees the parameters. */
export function disposeNetwork(network: Runnable): void {
  disposeFused(network);
  for (const parameter of network.parameters.values()) parameter.dispose();
}

/**
 * The index of a class, given by index or by name (case does not matter; a unique part of a name will do).
 *
 * @throws {LimelightError} where there is no such class, or are several.
 */
export function classIndex(network: NetworkDescription, wanted: number | string): number {
  const { classes, name } = network;
  const asNumber = typeof wanted === 'number' ? wanted : /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  if (asNumber !== undefined && Number.isInteger(asNumber) && asNumber >= 0 && asNumber < classes.length)
    return asNumber;
  if (typeof wanted === 'string' && wanted !== '') {
    const text = wanted.toLowerCase();
    const exact = classes.findIndex((label) => label.toLowerCase() === text);
    if (exact >= 0) return exact;
    const partial = classes.flatMap((label, i) => (label.toLowerCase().includes(text) ? [i] : []));
    if (partial.length === 1) return partial[0]!;
    if (partial.length > 1) {
      const some = partial.slice(0, 5).map((i) => `${i} "${classes[i]}"`);
      throw new LimelightError(
        `class "${wanted}" of ${name} could be ${some.join(', ')}${partial.length > 5 ? ', …' : ''}`,
      );
    }
  }
  // A number out of range is no misspelt name.
  const near = /[^\d-]/.test(String(wanted)) ? `; ${nearest(String(wanted), classes, 'classes')}` : '';
  throw new LimelightError(
    `${name} has no class "${wanted}": give an index from 0 to ${classes.length - 1} or a name${near}`,
  );
}
