// A private place for driver files. What lies in it is loaded as code, so nobody else may be able to write there.

import { createHash } from 'node:crypto';
import { access, constants, lstat, readFile, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { CacheError, messageOf } from '../errors.ts';
import { makeFolder } from './folder.ts';
import { place, sweep } from './temporary.ts';

/** Folders to try, best first: one in the user's cache, then one of their own among the temporary files. */
export function cacheFolders(env: NodeJS.ProcessEnv, temporary: string, uid: number): string[] {
  // The XDG specification has relative paths ignored.
  const base = [env.XDG_CACHE_HOME, env.HOME && join(env.HOME, '.cache')].find(
    (path) => path && isAbsolute(path),
  );
  return [...(base ? [join(base, 'limelight')] : []), join(temporary, `limelight-${uid}`)];
}

/** What the files of a folder must be, in the format of `sha256sum`. */
const SUMS = 'SHA256SUMS';

/**
 * The path of a folder `name` with the files `names`, which `make` gives, inside the first of `folders` that is private
 * and writable. The name must identify the contents. Files that are there are held to their SHA-256 each time, since one
 * that is cut short would end the process; they are made again where they differ, or others may write them. Throws
 * `CacheError` saying what is wrong with each of the folders, or what `make` throws.
 */
export async function keepFiles(
  folders: readonly string[],
  name: string,
  names: readonly string[],
  make: () => ReadonlyMap<string, Uint8Array>,
): Promise<string> {
  const refusals: string[] = [];
  let contents: ReadonlyMap<string, Uint8Array> | undefined;
  for (const folder of folders) {
    const target = join(folder, name);
    try {
      await makePrivate(folder);
      sweep(folder);
      if (await areIntact(target, names)) return target;
      contents ??= make();
      await makePrivate(target);
      const sums = [...contents].map(([name, bytes]) => sumOf(name, bytes)).join('');
      for (const [name, bytes] of [...contents, [SUMS, Buffer.from(sums)] as const]) {
        await place(join(target, name), bytes, { folder, mode: 0o700 });
      }
      return target;
    } catch (error) {
      if (!(error instanceof RefusedError) && (error as NodeJS.ErrnoException).code === undefined)
        throw error;
      refusals.push(messageOf(error));
    }
  }
  throw new CacheError(
    `found no folder to keep driver files in (${refusals.join('; ')}): ` +
      'set XDG_CACHE_HOME to a folder that belongs to you',
  );
}

/** Why a folder is not used. */
class RefusedError extends Error {}

/** Makes `folder` for the present user alone; throws where it already is somebody else's. */
async function makePrivate(folder: string): Promise<void> {
  await makeFolder(folder, 0o700);
  // Not stat: a link in a shared folder may lead anywhere.
  const entry = await lstat(folder);
  if (!entry.isDirectory()) throw new RefusedError(`${folder} is a link`);
  if (entry.uid !== process.getuid!()) throw new RefusedError(`${folder} belongs to user ${entry.uid}`);
  if (entry.mode & 0o022) throw new RefusedError(`${folder} can be written to by others`);
  // Whoever may write above it can exchange it, unless only owners may, as in /tmp.
  for (let above = dirname(await realpath(folder)); ; above = dirname(above)) {
    const { mode } = await lstat(above);
    if (mode & 0o002 && !(mode & 0o1000))
      throw new RefusedError(`${above}, where ${folder} lies, can be written to by everybody`);
    if (above === dirname(above)) break;
  }
  await access(folder, constants.W_OK | constants.X_OK);
}

/** Whether a file is one that nobody but this user, or the system's, can have written. */
export async function isPrivate(path: string): Promise<boolean> {
  const entry = await lstat(path);
  return entry.isFile() && [0, process.getuid!()].includes(entry.uid) && !(entry.mode & 0o022);
}

async function areIntact(folder: string, names: readonly string[]): Promise<boolean> {
  try {
    const sums = await readFile(join(folder, SUMS), 'utf8');
    for (const name of [SUMS, ...names]) {
      const path = join(folder, name);
      if (!(await isPrivate(path))) return false;
      if (name !== SUMS && !sums.includes(sumOf(name, await readFile(path)))) return false;
    }
    return true;
  } catch {
    return false;
  }
}

const sumOf = (name: string, bytes: Uint8Array): string =>
  `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`;
