// Networks from files, each format by its reader.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { LimelightError } from '../../engine/index.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import type { ImportedNetwork, OpenPart, ReadOptions } from '../../models/formats/imported.ts';

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
 * seventh less time. A .keras file is a zip archive, which its reader refuses.
 */
const readers: Readonly<Record<string, () => Promise<Reader>>> = {
  '.onnx': async () => (await import('../../models/formats/onnx/read.ts')).readOnnx,
  '.json': async () => (await import('../../models/formats/keras/tfjs.ts')).readTfjs,
  '.h5': h5,
  '.hdf5': h5,
  '.keras': h5,
};

/** Formats that are not read, and the way round. */
const hints: Record<string, string> = {
  '.pt': 'it may run code when it is opened; save the state dict as .safetensors, or export to ONNX',
  '.pb': 'convert it to ONNX with tf2onnx',
  '.tflite': 'convert it to ONNX with tf2onnx',
};
hints['.bin'] = `${hints['.pt']}; of a TensorFlow.js model give the model.json`;
for (const like of ['.pth', '.ckpt', '.pkl', '.tar']) Object.assign(hints, { [like]: hints['.pt'] });

export const isSafetensors = (path: string): boolean => /\.safetensors$/i.test(path);

const extension = (path: string): string => extname(path).toLowerCase();

/** Whether an argument can only mean a file: it is there, or it looks like one. */
export function looksLikeFile(argument: string): boolean {
  const kind = extension(argument);
  return existsSync(argument) || isSafetensors(argument) || kind in readers || kind in hints;
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
        '.onnx, .safetensors, .h5 of Keras, and model.json of TensorFlow.js or its folder',
    );
  }
  const content = await bytes(pathToFileURL(file));
  if (content.length === 0) throw new LimelightError(`${file}: the file is empty`);
  const read = await load();
  return read(content, basename(file), partsIn(dirname(file)), options);
}
