// Networks from files, each format by its reader.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { LimelightError } from '../../engine/index.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import type { ImportedNetwork, OpenPart, ReadOptions } from '../../models/formats/imported.ts';
import { readSafetensors, type Safetensors } from '../../models/formats/safetensors.ts';

type Reader = (
  bytes: Uint8Array,
  name: string,
  openPart: OpenPart,
  options: ReadOptions,
) => Promise<ImportedNetwork>;

async function h5(): Promise<Reader> {
  const { readKerasH5 } = await import('../../models/formats/keras/h5.ts');
  return (bytes, name, _, options) => readKerasH5(bytes, name, options);
}

/**
 * Formats that hold the graph beside the weights, each loaded when a file is of it: the command line starts in a
 * seventh less time.
 */
const readers: Readonly<Record<string, () => Promise<Reader>>> = {
  '.onnx': async () => (await import('../../models/formats/onnx/read.ts')).readOnnx,
  '.json': async () => (await import('../../models/formats/keras/tfjs.ts')).readTfjs,
  '.h5': h5,
  '.hdf5': h5,
  '.keras': async () => {
    const { readKerasArchive } = await import('../../models/formats/keras/archive.ts');
    return (bytes, name, _, options) => readKerasArchive(bytes, name, options);
  },
};

/** Weights, and what their file says of them. */
type WeightsReader = (bytes: Uint8Array, name: string) => Pick<Safetensors, 'tensors'> & Partial<Safetensors>;

const pytorch = async (): Promise<WeightsReader> => {
  const { readPytorch } = await import('../../models/formats/pytorch/read.ts');
  return (bytes, name) => ({ tensors: readPytorch(bytes, name) });
};

/** Formats that hold weights alone. */
const weightsReaders: Readonly<Record<string, () => Promise<WeightsReader>>> = {
  '.safetensors': async () => readSafetensors,
  '.pt': pytorch,
  '.pth': pytorch,
  '.th': pytorch,
  '.ckpt': pytorch,
  '.bin': pytorch,
};

/** Formats that are not read, and the way round. */
const hints: Readonly<Record<string, string>> = {
  '.pb': 'convert it to ONNX with tf2onnx',
  '.tflite': 'convert it to ONNX with tf2onnx',
  '.pkl': "save the weights by torch.save(model.state_dict(), 'weights.pth')",
};

const extension = (path: string): string => extname(path).toLowerCase();

/** Whether a file is of weights alone, whose graph is known by another way. */
export const isWeights = (path: string): boolean => extension(path) in weightsReaders;

/** The endings of files of weights, for messages. */
export const weightsEndings = Object.keys(weightsReaders).join(', ');

/** Reads a file of weights. */
export async function readWeights(path: string): Promise<ReturnType<WeightsReader>> {
  const load = weightsReaders[extension(path)] ?? weightsReaders['.safetensors']!;
  const content = await bytes(pathToFileURL(path));
  const read = await load();
  return read(content, path);
}

/** Whether an argument can only mean a file: it is there, or it looks like one. */
export function looksLikeFile(argument: string): boolean {
  const kind = extension(argument);
  return existsSync(argument) || isWeights(argument) || kind in readers || kind in hints;
}

/** Reads a network from a file that holds its graph, or from a TensorFlow.js folder. */
export async function readNetworkFile(path: string, options: ReadOptions = {}): Promise<ImportedNetwork> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, 'model.json') : path;
  if (isFolder && !existsSync(file)) {
    throw new LimelightError(
      `${path} is a folder without a model.json; give a model's file, or the folder of a TensorFlow.js layers-model`,
    );
  }
  const load = readers[extension(file)];
  if (load === undefined) {
    const hint = hints[extension(file)];
    throw new LimelightError(
      `${file}: ${hint ? `this format is not read: ${hint}` : 'no format has this extension'}; the formats are ` +
        `.onnx, ${weightsEndings}, .h5 and .keras of Keras, and model.json of TensorFlow.js or its folder`,
    );
  }
  const content = await bytes(pathToFileURL(file));
  if (content.length === 0) throw new LimelightError(`${file}: the file is empty`);
  const read = await load();
  return read(content, basename(file), partsIn(dirname(file)), options);
}
