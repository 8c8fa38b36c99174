// Networks from files, each format by its reader.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { LimelightError } from '../../engine/index.ts';
import { formats, type Model, readModel } from '../../models/formats/any.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import type { ReadOptions } from '../../models/formats/imported.ts';

/** Formats that are not read, and the way round. */
const hints: Readonly<Record<string, string>> = {
  '.pb': 'convert it to ONNX with tf2onnx',
  '.tflite': 'convert it to ONNX with tf2onnx',
  '.pkl': "save the weights by torch.save(model.state_dict(), 'weights.pth')",
};

const extension = (path: string): string => extname(path).toLowerCase();

const endings = formats.flatMap((format) => format.endings);

/** Whether an argument can only mean a file: it is there, or it looks like one. */
export function looksLikeFile(argument: string): boolean {
  const kind = extension(argument);
  return existsSync(argument) || endings.includes(kind) || kind in hints;
}

/** Reads a model from a file, or from the folder of a TensorFlow.js model. */
export async function readModelFile(path: string, options: ReadOptions = {}): Promise<Model> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, 'model.json') : path;
  if (isFolder && !existsSync(file)) {
    throw new LimelightError(
      `${path} is a folder without a model.json; give a model's file, or the folder of a TensorFlow.js layers-model`,
    );
  }
  const hint = hints[extension(file)];
  if (hint !== undefined) throw new LimelightError(`${file}: this format is not read: ${hint}`);
  return readModel(await bytes(pathToFileURL(file)), basename(file), partsIn(dirname(file)), options);
}
