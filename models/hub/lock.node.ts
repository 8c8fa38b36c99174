// One process at a time for a file, on this machine and on others that share the folder.

import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { lstat, readdir, rm, rmdir, unlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hasEnded, signature, temporaryIn, withTemporary } from '../../engine/platform/node/temporary.ts';
import { PATIENCE } from './download.node.ts';
import { HubError } from './remote-file.ts';

export interface LockOptions {
  /** Called with what a user should know. */
  readonly note?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a sign of life after which whoever has the lock counts as gone. */
  readonly patience?: number | undefined;
}

const EXTENSION = '.lock';
/** Milliseconds between two looks at a lock that another process has. */
const LOOK_MS = 100;
/** Signs of life within the patience: some may come late. */
const BEATS = 6;

/** A lock as it was found. */
interface Lock {
  /** What lies in its folder; undefined where it is no folder, and so none of ours. */
  readonly names: readonly string[] | undefined;
  /** What changes with each sign of life. */
  readonly sign: string;
}

/**
 * Runs `work` while no other process does so for the same path, waiting for the one that does. The lock is broken where
 * its process is known to have ended, or gives no sign of life. Then `work`, if it was only suspended, is told by a
 * signal.
 *
 * The lock is a folder with one file in it, whose name says who has the lock and is used once. The folder appears with
 * its file, where none is, and the lock is given back or broken by removing that file: by its name, so that nobody ever
 * removes what another process has taken meanwhile.
 *
 * @throws {HubError} if `signal` aborts the waiting; file system errors come as they are.
 */
export function locked<T>(
  path: string,
  { note, signal, patience = PATIENCE }: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lock = `${path}${EXTENSION}`;
  const name = `${signature} ${randomUUID()}`;
  const file = join(lock, name);
  return withTemporary(
    () => giveBack(lock, file),
    async () => {
      await waitFor(lock, name, { note, signal, patience });
      const lost = new AbortController();
      const beat = setInterval(() => {
        const now = new Date();
        utimes(file, now, now).catch((error) => {
          if (isGone(error))
            lost.abort(
              new HubError(`another process has broken ${lock}, since this one gave no sign of life`),
            );
        });
      }, patience / BEATS);
      try {
        return await work(AbortSignal.any([lost.signal, ...(signal ? [signal] : [])]));
      } finally {
        clearInterval(beat);
      }
    },
  );
}

/** Takes the lock as soon as nobody has it. */
async function waitFor(
  lock: string,
  name: string,
  { note, signal, patience }: LockOptions & { readonly patience: number },
): Promise<void> {
  let seen: { readonly sign: string; readonly since: number } | undefined;
  for (;;) {
    const found = await look(lock);
    if (found === undefined) {
      if (take(lock, name)) return;
      continue;
    }
    const by = found.names?.map(ownerOf).join(', ') || 'unknown';
    if (found.sign !== seen?.sign) seen = { sign: found.sign, since: performance.now() };
    if (isLeft(found) || performance.now() - seen.since > patience) {
      await breakLock(lock, found);
      continue;
    }
    note?.(`waiting for process ${by}, which has ${lock}`);
    note = undefined;
    if (signal?.aborted) throw new HubError(`cancelled while waiting for process ${by}, which has ${lock}`);
    await pause(LOOK_MS);
  }
}

/** Makes the lock, unless there is one. */
function take(lock: string, name: string): boolean {
  const folder = dirname(lock);
  const made = temporaryIn(folder);
  try {
    // Whoever may write into the folder may break its locks.
    mkdirSync(made, { mode: statSync(folder).mode & 0o777 });
    writeFileSync(join(made, name), '');
    renameSync(made, lock);
    return true;
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    if (TAKEN.includes(codeOf(error))) return false;
    throw error;
  }
}

/** How the system says that something is there which a folder does not replace; Windows says EPERM. */
const TAKEN = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR', ...(process.platform === 'win32' ? ['EPERM'] : [])];

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
const isGone = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error));

/** Gives the lock back, if this process has it still. */
function giveBack(lock: string, file: string): void {
  try {
    unlinkSync(file);
    rmdirSync(lock);
  } catch {
    // Never taken, or broken; what is left here somebody else breaks.
  }
}

/** The paths in a folder that are locked by processes which are known to have ended. */
export async function endedLocks(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await readdir(folder)) {
    if (!name.endsWith(EXTENSION)) continue;
    const lock = join(folder, name);
    const found = await look(lock).catch(() => undefined);
    if (found && isLeft(found)) paths.push(lock.slice(0, -EXTENSION.length));
  }
  return paths;
}

async function look(lock: string): Promise<Lock | undefined> {
  try {
    const found = await lstat(lock);
    if (!found.isDirectory()) return { names: undefined, sign: `${found.ino} ${found.mtimeMs}` };
    const names = await readdir(lock);
    const signs = await Promise.all(names.map(async (name) => (await lstat(join(lock, name))).mtimeMs));
    return { names, sign: `${names} ${signs}` };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

const ownerOf = (name: string): string => name.split(' ')[0]!;

/** Whether nobody is known to be there who will give the lock back. */
const isLeft = ({ names }: Lock): boolean => names?.every((name) => hasEnded(ownerOf(name))) ?? false;

/** Removes a lock as it was found. */
async function breakLock(lock: string, { names }: Lock): Promise<void> {
  try {
    if (names === undefined) return await unlink(lock);
    for (const name of names) await rm(join(lock, name), { recursive: true, force: true });
    await rmdir(lock);
  } catch (error) {
    // Another process was faster, and has taken it perhaps.
    if (!isGone(error) && !['ENOTEMPTY', 'EEXIST', 'EISDIR'].includes(codeOf(error))) throw error;
  }
}
