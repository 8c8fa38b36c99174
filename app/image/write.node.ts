// Writes a file whole or not at all.

import { access, constants, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { makeFolder } from '../../engine/platform/node/folder.ts';
import { place } from '../../engine/platform/node/temporary.ts';
import { OutputError } from './errors.ts';

export { OutputError } from './errors.ts';

/** What the system's error codes mean to someone who asked for a file. */
const reasons: Record<string, string> = {
  EACCES: 'no permission to write there',
  EPERM: 'no permission to write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EISDIR: 'it is a folder; give the name of a file',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EEXIST: 'a part of its path is a file, not a folder',
  ENOENT: 'its folder cannot be made there',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its path goes round in a circle of links',
};

const cannot = (what: string, path: string, cause: unknown): OutputError => {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new OutputError(`cannot ${what} ${path}: ${reasons[code ?? ''] ?? message}`, { cause });
};

/**
 * Refuses a folder that could not be written into, and makes nothing: what is there of its path must be a folder that
 * may be written into.
 *
 * @throws OutputError that says why not.
 */
export async function assertWritable(folder: string): Promise<void> {
  try {
    let at = resolve(folder);
    while (!(await isThere(at))) at = dirname(at);
    if (!(await stat(at)).isDirectory()) throw new OutputError(reasons.ENOTDIR);
    await access(at, constants.W_OK);
  } catch (cause) {
    throw cannot('write into', folder, cause);
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return false;
    },
  );

/**
 * Writes `bytes` to `path`, creating its folder. The bytes go to a temporary file beside it that is then
 * renamed, so that nobody ever sees half a file and a failure leaves an older file as it was. Unless `replace`, a file
 * that is there with other bytes is an error.
 *
 * @throws OutputError that says why the file could not be written.
 */
export async function writeWhole(
  path: string,
  bytes: Uint8Array,
  { replace = true }: { readonly replace?: boolean | undefined } = {},
): Promise<void> {
  try {
    // Renaming onto a link would replace the link, so the file it leads to is the target.
    const target = await realpath(path).catch(() => path);
    const present = await stat(target).catch(() => undefined);
    if (present?.isDirectory()) throw new OutputError(reasons.EISDIR);
    if (present && !present.isFile()) throw new OutputError('it is a device or pipe, not a file');
    if (present && !replace) {
      if (present.size === bytes.length && Buffer.compare(await readFile(target), bytes) === 0) return;
      throw new OutputError(
        'a file is there already, with other content; --force replaces it, --out names another folder',
      );
    }
    await makeFolder(dirname(target));
    await place(target, bytes);
  } catch (cause) {
    throw cannot('write', path, cause);
  }
}
