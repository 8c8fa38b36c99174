// From what was typed to what the library takes: a model, a picture, a device.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Device, LimelightError, openDevice } from '../../engine/index.ts';
import { type CatalogEntry, catalogEntry, ModelError } from '../../models/catalog.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { loadNetwork, type Network } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { decodeImage } from '../image/decode.ts';

/** A file that was named and cannot be read. */
export class InputError extends LimelightError {}

async function readInput(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new InputError(`${what} ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** `name`, or `name=weights.safetensors`: the entry and where its weights are. */
export function parseModel(text: string): { entry: CatalogEntry; weights: string } {
  const [name = '', ...rest] = text.split('=');
  const entry = catalogEntry(name);
  if (rest.length > 0) return { entry, weights: rest.join('=') };
  if (entry.weights) return { entry, weights: fileURLToPath(entry.weights) };
  throw new ModelError(`${name} is not shipped: give its weights as --model ${name}=weights.safetensors`);
}

export async function loadModel(device: Device, text: string, labels?: string): Promise<Network> {
  const { entry, weights } = parseModel(text);
  const classes = labels === undefined ? entry.classes : await readLabels(labels, entry);
  const { tensors } = readSafetensors(await readInput(weights, 'the weights'), weights);
  return loadNetwork(device, { ...entry, classes }, tensors);
}

async function readLabels(path: string, entry: CatalogEntry): Promise<string[]> {
  const text = new TextDecoder().decode(await readInput(path, 'the labels'));
  let labels: unknown;
  try {
    labels = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const count = entry.classes.length;
  if (
    !Array.isArray(labels) ||
    labels.length !== count ||
    !labels.every((label) => typeof label === 'string')
  ) {
    throw new InputError(`${path} must hold a JSON list of ${count} class names for ${entry.name}`);
  }
  return labels;
}

export const loadPicture = async (path: string): Promise<Pixels> =>
  decodeImage(await readInput(path, 'the picture'), path);

/** Opens the device and says on standard error which one and why. */
export async function openAnnounced(adapter: string | undefined): Promise<Device> {
  const device = await openDevice(adapter === undefined ? {} : { adapter });
  process.stderr.write(`Device: ${device.name} [${device.kind}]: ${device.why}\n`);
  return device;
}
