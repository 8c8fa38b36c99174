// One process at a time for a file, on this machine and on others that share the folder.

import { randomUUID } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { link, lstat, readdir, readFile, rename, rm, utimes } from 'node:fs/promises';
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

/** A lock as it was found: what it says, and what changes with each sign of life. */
interface Lock {
  readonly text: string;
  readonly sign: string;
}

/**
 * Runs `work` while no other process does so for the same path, waiting for the one that does. The lock is a file,
 * touched now and then; it is broken where that ceases, or where its process is known to have ended. Then `work`, if it
 * was only suspended, is told by a signal.
 *
 * @throws {HubError} if `signal` aborts the waiting; file system errors come as they are.
 */
export async function locked<T>(
  path: string,
  { note, signal, patience = PATIENCE }: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const file = `${path}${EXTENSION}`;
  const text = `${signature} ${randomUUID()}`;
  await waitFor(file, text, { note, signal, patience });
  const lost = new AbortController();
  const beat = setInterval(async () => {
    const now = new Date();
    if ((await look(file))?.text === text) await utimes(file, now, now).catch(() => {});
    else lost.abort(new HubError(`another process has broken ${file}, since this one gave no sign of life`));
  }, patience / BEATS);
  try {
    const signals = AbortSignal.any([lost.signal, ...(signal ? [signal] : [])]);
    return await withTemporary(
      file,
      () => work(signals),
      () => !lost.signal.aborted,
    );
  } finally {
    clearInterval(beat);
  }
}

/** Takes the lock as soon as nobody has it. */
async function waitFor(
  file: string,
  text: string,
  { note, signal, patience }: LockOptions & { readonly patience: number },
): Promise<void> {
  let seen: { readonly lock: Lock; readonly since: number } | undefined;
  while (!take(file, text)) {
    const lock = await look(file);
    if (lock === undefined) continue;
    const by = ownerOf(lock.text);
    if (seen === undefined) note?.(`waiting for process ${by}, which has ${file}`);
    if (lock.sign !== seen?.lock.sign) seen = { lock, since: performance.now() };
    if (hasEnded(by) || performance.now() - seen.since > patience) await breakLock(file, lock);
    else if (signal?.aborted)
      throw new HubError(`cancelled while waiting for process ${by}, which has ${file}`);
    else await pause(LOOK_MS);
  }
}

/** Makes the lock, if there is none. */
function take(file: string, text: string): boolean {
  try {
    const descriptor = openSync(file, 'wx');
    writeSync(descriptor, text);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The paths in a folder that are locked by processes which are known to have ended. */
export async function endedLocks(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await readdir(folder)) {
    if (!name.endsWith(EXTENSION)) continue;
    const file = join(folder, name);
    if (hasEnded(ownerOf(await textOf(file)))) paths.push(file.slice(0, -EXTENSION.length));
  }
  return paths;
}

async function look(file: string): Promise<Lock | undefined> {
  try {
    const { ino, mtimeMs } = await lstat(file);
    return { text: await textOf(file), sign: `${ino} ${mtimeMs}` };
  } catch {
    return undefined;
  }
}

const ownerOf = (text: string): string => text.split(' ')[0]!;
const textOf = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');

/** Removes a lock; one that another process has taken meanwhile is put back. */
async function breakLock(file: string, { text }: Lock): Promise<void> {
  const aside = temporaryIn(dirname(file));
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // If that fails, there is a newer lock, and the process of this one will notice.
  if ((await textOf(aside)) !== text) await link(aside, file).catch(() => {});
  await rm(aside, { recursive: true, force: true });
}
