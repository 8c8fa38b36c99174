// The one door to what peers/package.json installs. Those packages are not installed with the project: without them the
// bench does what it can, and says so. They stay in this folder, so that nothing else finds them by accident.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

class NotInstalled extends Error {
  constructor(name: string) {
    super(`${name} is not installed: npm ci --prefix bench/peers --ignore-scripts`);
  }
}

/** A file of an installed package, or its folder. */
function fileOf(name: string, path: string): URL {
  const folder = new URL(`./node_modules/${name}/`, import.meta.url);
  if (!existsSync(folder)) throw new NotInstalled(name);
  return new URL(path, folder);
}

/** Imports an installed package, or a file of one; the caller says what it uses of it. */
export async function load<T>(name: string, path?: string): Promise<T> {
  const file = fileOf(name, path ?? '');
  return (await import(path === undefined ? name : file.href)) as T;
}

/** A file's bytes. */
export const bytesOf = async (name: string, path: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(fileOf(name, path)));

/** The folder of files, with a slash at its end. */
export const folderOf = (name: string, path: string): string => fileOf(name, path).pathname;

export async function versionOf(name: string): Promise<string> {
  const text = await readFile(fileOf(name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
