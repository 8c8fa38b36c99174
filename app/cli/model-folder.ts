// What other files in a model's folder say of it: class names, and how pictures become inputs.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { classNames, LabelsError, labelsIn } from '../../models/labels.ts';
import { preprocessingIn } from '../../models/picture-config.ts';
import { checkPreprocessing, type Preprocessing, PreprocessingError } from '../../models/preprocess.ts';
import { note } from './progress.ts';
import { preparation } from './report.ts';

const LABEL_FILES = ['labels.txt', 'labels.json', 'class_indices.json', 'metadata.json', 'config.json'];
const PICTURE_FILES = ['preprocessor_config.json', 'config.json', 'metadata.json'];

export const textOf = async (path: string): Promise<string> =>
  new TextDecoder().decode(await bytes(pathToFileURL(path)));

const present = (folder: string, names: readonly string[]): string[] =>
  names.map((name) => join(folder, name)).filter((path) => existsSync(path));

/** The names of `count` classes from a file in a model's folder, with a note that says from which. */
export async function folderLabels(folder: string, count: number): Promise<readonly string[] | undefined> {
  for (const path of present(folder, LABEL_FILES)) {
    const text = await textOf(path);
    if (labelsIn(text) === undefined) continue;
    try {
      const names = classNames(text, count, path);
      note(`class names from ${path}`);
      return names;
    } catch (error) {
      if (!(error instanceof LabelsError)) throw error;
      note(`the classes have numbers instead of names: ${error.message}`);
    }
  }
  return undefined;
}

/**
 * What a file in a model's folder says of its preprocessing, with a note; nothing where it contradicts what the network
 * says of itself, its size where that is fixed among it.
 */
export async function folderPreprocessing(
  folder: string,
  ofNetwork: Preprocessing,
  fixedSize: boolean,
): Promise<Partial<Preprocessing> | undefined> {
  for (const path of present(folder, PICTURE_FILES)) {
    const said = preprocessingIn(parsed(await textOf(path)));
    if (said === undefined) continue;
    try {
      const all = { ...ofNetwork, ...said };
      checkPreprocessing(all);
      if (fixedSize && all.size?.join() !== ofNetwork.size?.join()) {
        throw new PreprocessingError(
          `it says ${all.size?.join(' x ')}, the network takes ${ofNetwork.size?.join(' x ')}`,
        );
      }
      note(`preprocessing from ${path}: ${preparation(all)}`);
      return said;
    } catch (error) {
      if (!(error instanceof PreprocessingError)) throw error;
      note(`${path} is not followed: ${error.message}`);
    }
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
