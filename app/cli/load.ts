// From what the command line names to what the library takes: models with their weights, pictures, methods.

import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { defaultMethods, LayerError, recogniseHead } from '../../cam/index.ts';
import { type Device, LimelightError } from '../../engine/index.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { loadNetwork, type Network, type NetworkDescription } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { decodeImage, ImageError } from '../image/decode.ts';
import { asUsage, UsageError } from './errors.ts';

/** A model as the command line names it. */
export interface ModelChoice {
  readonly description: NetworkDescription;
  readonly weights: URL | undefined;
}

/** Finds `NAME` or `NAME=WEIGHTS`, with class names from a file. */
export async function chooseModel(argument: string, labels?: string): Promise<ModelChoice> {
  const equals = argument.indexOf('=');
  const name = equals < 0 ? argument : argument.slice(0, equals);
  const path = equals < 0 ? undefined : argument.slice(equals + 1);
  const description = asUsage(() => catalogEntry(name));
  if (path === '') throw new UsageError(`--model ${argument}: the name of a .safetensors file is missing`);
  const classes = labels === undefined ? description.classes : await readLabels(labels, description);
  return {
    description: { ...description, classes },
    weights: path === undefined ? description.weights : pathToFileURL(path),
  };
}

/** Reads the weights of a chosen model onto a device. */
export async function openModel(device: Device, { description, weights }: ModelChoice): Promise<Network> {
  const source = weightsOf({ description, weights });
  const { tensors } = readSafetensors(await bytes(source), source.pathname);
  return loadNetwork(device, description, tensors);
}

/** Where a model's weights are; bad usage if the user must bring them and did not. */
export function weightsOf({ description: { name }, weights }: ModelChoice): URL {
  if (weights) return weights;
  throw new UsageError(`the weights of ${name} are not shipped; give them with ${name}=WEIGHTS.safetensors`);
}

async function readLabels(path: string, { name, classes }: NetworkDescription): Promise<string[]> {
  const text = new TextDecoder().decode(await bytes(pathToFileURL(path)));
  const expected = `${path}: expected a JSON array of ${classes.length} strings, the class names of ${name}`;
  let labels: unknown;
  try {
    labels = JSON.parse(text);
  } catch (cause) {
    throw new LimelightError(`${expected}; it is not JSON`, { cause });
  }
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string')) {
    throw new LimelightError(expected);
  }
  if (labels.length !== classes.length) throw new LimelightError(`${expected}; it has ${labels.length}`);
  return labels;
}

/** Reads and decodes a picture. */
export async function openImage(path: string): Promise<Pixels> {
  const file = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const reasons: Record<string, string> = { ENOENT: 'there is no such file', EISDIR: 'it is a folder' };
    throw new ImageError(`cannot read ${path}: ${reasons[cause.code ?? ''] ?? cause.message}`, { cause });
  });
  return decodeImage(file, path);
}

/** The five methods, without CAM where the network or the layer rules it out; `note` then says why. */
export function applicableMethods(
  { graph, targetLayer }: NetworkDescription,
  layer: string = targetLayer,
): { methods: readonly string[]; note?: string } {
  const reason = camRefusal(graph, layer);
  if (reason === undefined) return { methods: defaultMethods };
  return { methods: defaultMethods.filter((name) => name !== 'cam'), note: `CAM is left out: ${reason}` };
}

/** Why CAM cannot explain a layer; undefined where it can. */
export function camRefusal(graph: NetworkDescription['graph'], layer: string): string | undefined {
  try {
    const { featureMap } = recogniseHead(graph);
    return featureMap === layer
      ? undefined
      : `CAM explains the layer before the head, "${featureMap}", not "${layer}"`;
  } catch (error) {
    if (error instanceof LayerError) return error.message;
    throw error;
  }
}
