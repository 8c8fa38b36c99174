// A private place for driver files. What lies in it is loaded as code, so nobody else may be able to write there.

import { access, constants, lstat, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { CacheError, messageOf } from '../errors.ts';
import { makeFolder } from './folder.ts';

/** Folders to try, best first: one in the user's cache, then one of their own among the temporary files. */
export function cacheFolders(env: NodeJS.ProcessEnv, temporary: string, uid: number): string[] {
  // The XDG specification has relative paths ignored.
  const base = [env.XDG_CACHE_HOME, env.HOME && join(env.HOME, '.cache')].find(
    (path) => path && isAbsolute(path),
  );
  return [...(base ? [join(base, 'limelight')] : []), join(temporary, `limelight-${uid}`)];
}

/**
 * The path of a folder `name` with the files that `files` gives, inside the first of `folders` that is private
 * and writable. It appears complete or not at all, and is found again by its name, so the name must identify
 * the contents. Throws `CacheError` saying what is wrong with each of the folders, or what `files` throws.
 */
export async function keepFiles(
  folders: readonly string[],
  name: string,
  files: () => ReadonlyMap<string, Uint8Array>,
): Promise<string> {
  const refusals: string[] = [];
  let contents: ReadonlyMap<string, Uint8Array> | undefined;
  for (const folder of folders) {
    const refusal = await makePrivate(folder);
    if (refusal) {
      refusals.push(refusal);
      continue;
    }
    const target = join(folder, name);
    if (await exists(target)) return target;
    contents ??= files();
    try {
      await writeFolder(target, contents);
      return target;
    } catch (error) {
      refusals.push(messageOf(error));
    }
  }
  throw new CacheError(
    `found no folder to keep driver files in (${refusals.join('; ')}): ` +
      'set XDG_CACHE_HOME to a folder that belongs to you',
  );
}

/** Makes `folder` for the present user alone, and says what is wrong where it already is somebody else's. */
async function makePrivate(folder: string): Promise<string | undefined> {
  try {
    await makeFolder(folder, 0o700);
    // Not stat: a link in a shared folder may lead anywhere.
    const entry = await lstat(folder);
    if (!entry.isDirectory()) return `${folder} is a link`;
    if (entry.uid !== process.getuid!()) return `${folder} belongs to user ${entry.uid}`;
    if (entry.mode & 0o022) return `${folder} can be written to by others`;
    await access(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function writeFolder(target: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const partial = await mkdtemp(`${target}.`);
  try {
    for (const [name, bytes] of files)
      await writeFile(join(partial, name), bytes, { mode: 0o700, flush: true });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process was faster; what it wrote is the same.
    if (!(await exists(target))) throw error;
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
