// Files from public hubs, kept in a folder: fetched once, checked each time.

import { createHash } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, makeFolder } from '../../engine/platform/node/folder.ts';
import { place, sweep, withTemporary } from '../../engine/platform/node/temporary.ts';
import { canGoOn, type DownloadOptions, discard, download } from './download.node.ts';
import { endedLocks, locked } from './lock.node.ts';
import { HubError, type RemoteFile } from './remote-file.ts';

/** How files are fetched and kept; everything may be left out. */
export interface CacheOptions extends Pick<DownloadOptions, 'progress' | 'signal' | 'patience'> {
  /** Where the files are kept; `cacheFolder()` unless told. */
  readonly folder?: string;
  /** Called with what a user should know. */
  readonly note?: (text: string) => void;
}

/** The Hugging Face hub may be reached by a mirror, which HF_ENDPOINT names as for Hugging Face's own tools. */
export function mirrored(url: string, env: NodeJS.ProcessEnv = process.env): string {
  const hub = 'https://huggingface.co/';
  const mirror = env.HF_ENDPOINT;
  if (!mirror || !url.startsWith(hub)) return url;
  if (!URL.canParse(mirror) || !/^https?:/.test(mirror)) {
    throw new HubError(`HF_ENDPOINT is "${mirror}"; expected an address such as https://huggingface.co`);
  }
  return mirror.replace(/\/*$/, '/') + url.slice(hub.length);
}

/**
 * The path of a hub's file in the cache, downloaded unless it is there. It appears there whole and with the right
 * checksum, or not at all. Of several processes that want it, one downloads and the others wait.
 *
 * @throws {HubError} if it cannot be had, cannot be kept, or is not what it should be.
 */
export async function cachedFile(remote: RemoteFile, options: CacheOptions = {}): Promise<string> {
  const { folder = cacheFolder(), note } = options;
  const path = join(folder, remote.name);
  const part = partOf(path);
  try {
    if (await exists(path)) {
      await checkCached(remote, path, note);
      return path;
    }
    await makeFolder(folder);
    await cleanUp(folder);
    await locked(path, options, async (signal) => {
      // Whoever had the lock before has fetched it perhaps.
      if (await exists(path)) await checkCached(remote, path, note);
      else {
        // Where the lock was lost, another process writes it.
        const remove = () => {
          if (!(signal.reason instanceof HubError) && !canGoOn(part)) rmSync(part, { force: true });
        };
        await withTemporary(remove, () => fetchTo(path, remote, { ...options, signal }));
      }
    });
    return path;
  } catch (cause) {
    if (cause instanceof HubError) throw cause;
    throw new HubError(
      `cannot keep ${remote.name} in the cache folder ${folder} (${(cause as Error).message}); set LIMELIGHT_CACHE ` +
        'to a folder that can be written',
      { cause },
    );
  }
}

const partOf = (path: string) => `${path}.part`;

/** Removes what killed processes have left, but for what a download can go on with. */
async function cleanUp(folder: string): Promise<void> {
  sweep(folder);
  for (const path of await endedLocks(folder)) {
    const part = partOf(path);
    const removing = async () => {
      if (!canGoOn(part)) await discard(part);
    };
    // Cancelled from the beginning: nobody is waited for who has taken the lock meanwhile.
    await locked(path, { signal: AbortSignal.abort() }, removing).catch(() => {});
  }
}

async function fetchTo(path: string, remote: RemoteFile, options: CacheOptions): Promise<void> {
  const part = partOf(path);
  const url = mirrored(remote.url);
  const limit = Math.floor(1.1 * remote.bytes);
  const sha256 = await download(url, part, { ...options, limit }).catch((cause: unknown) => {
    if (!(cause instanceof HubError)) throw cause;
    throw new HubError(
      `${remote.name} is not in the cache and could not be downloaded: ${cause.message}. ` +
        `It can also be fetched elsewhere, from ${remote.url}, and put at ${path}`,
      { cause },
    );
  });
  const expected = remote.sha256 ?? (await recorded(path));
  if (expected !== undefined && sha256 !== expected) {
    await discard(part);
    const first = remote.sha256 === undefined ? `, as was recorded in ${recordPath(path)}` : '';
    throw new HubError(
      `${url} gave a file with the SHA-256\n  ${sha256}, where\n  ${expected} is expected${first}; ` +
        'it was damaged on its way, or replaced, and is not kept',
    );
  }
  // Not where another process has taken over meanwhile.
  options.signal?.throwIfAborted();
  if (expected === undefined) await trust(path, sha256, remote, options.note);
  await rename(part, path);
  await discard(part);
}

/** Compares a file in the cache with its known or recorded checksum. */
async function checkCached(remote: RemoteFile, path: string, note: CacheOptions['note']): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  const sha256 = hash.digest('hex');
  const expected = remote.sha256 ?? (await recorded(path));
  // A shared cache may be read-only; then the file is checked for the first time each time.
  if (expected === undefined) return trust(path, sha256, remote, note).catch(() => undefined);
  if (sha256 === expected) return;
  throw new HubError(
    `${path} has the SHA-256\n  ${sha256}, where\n  ${expected} is expected; it is damaged or was replaced. ` +
      'Delete it to have it downloaded again',
  );
}

const recordPath = (path: string) => `${path}.sha256`;

/** The checksum of the first download, in the format of `sha256sum`. */
async function recorded(path: string): Promise<string | undefined> {
  const text = await readFile(recordPath(path), 'utf8').catch(() => '');
  return /^[0-9a-f]{64}(?= )/.exec(text)?.[0];
}

async function trust(path: string, sha256: string, { name }: RemoteFile, note: CacheOptions['note']) {
  note?.(`the right SHA-256 of ${name} is not known; this one is trusted: ${sha256}`);
  await place(recordPath(path), Buffer.from(`${sha256}  ${name}\n`));
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
