// Files that are of no use once this process has ended. It removes them however it ends, save by SIGKILL; what that
// leaves behind, a later process removes.

import { randomUUID } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, rmSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

/** A process, as it signs its files: no two that live at the same time sign alike. */
const signatureOf = (pid: number): string => `${encodeURIComponent(hostname())}-${pid}`;
export const signature = signatureOf(process.pid);

/** Whether the process that signs so has ended; false where nobody here can tell. */
export function hasEnded(signed: string): boolean {
  const pid = Number(/-(\d+)$/.exec(signed)?.[1]);
  if (!(pid > 0) || signed !== signatureOf(pid)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** A path in `folder` for a file that is renamed soon. */
export const temporaryIn = (folder: string): string =>
  join(folder, `.limelight-${signature}-${randomUUID().slice(0, 8)}.part`);

const TEMPORARY = /^\.limelight-(.+-\d+)-[0-9a-f]{8}\.part$/;
/** After so long a file is stale, whoever signed it: on another machine, or with a number that was given out again. */
const DAY_MS = 86_400_000;
const swept = new Set<string>();

/** Removes, once for each folder, what processes that have ended left under such names. Failures do not matter. */
export function sweep(folder: string): void {
  if (swept.has(folder)) return;
  swept.add(folder);
  try {
    for (const name of readdirSync(folder)) {
      const signed = TEMPORARY.exec(name)?.[1];
      if (signed === undefined) continue;
      const path = join(folder, name);
      if (hasEnded(signed) || lstatSync(path).mtimeMs < Date.now() - DAY_MS)
        rmSync(path, { recursive: true, force: true });
    }
  } catch {
    // Of somebody else, or gone already.
  }
}

/** What removes files of this process. */
const held = new Set<() => void>();
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function removeHeld(): void {
  for (const remove of held) remove();
}

/** Signals take their usual course, after the files; unless the program hears them too, and perhaps goes on. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  removeHeld();
  listen('off');
  process.kill(process.pid, signal);
}

function listen(how: 'on' | 'off'): void {
  process[how]('exit', removeHeld);
  for (const signal of SIGNALS) process[how](signal, onSignal);
}

/**
 * Runs `use`, and calls `remove`, which removes what is of no use then, when it ends or the process does. Nothing listens
 * to signals at other times, so that a process which computes can be interrupted at once. Make files synchronously: what
 * is left to another thread may come after the removal.
 */
export async function withTemporary<T>(remove: () => void, use: () => Promise<T>): Promise<T> {
  if (held.size === 0) listen('on');
  held.add(remove);
  try {
    return await use();
  } finally {
    remove();
    held.delete(remove);
    if (held.size === 0) listen('off');
  }
}

/**
 * Writes `bytes` to the file `target`: it appears whole or not at all, in place of one, or of a link, that has its name;
 * processes that use that one keep it. Until then the bytes lie in `folder`, on the same disk.
 */
export async function place(
  target: string,
  bytes: Uint8Array,
  { folder = dirname(target), mode = 0o666 } = {},
): Promise<void> {
  sweep(folder);
  const temporary = temporaryIn(folder);
  const remove = () => rmSync(temporary, { force: true });
  await withTemporary(remove, async () => {
    closeSync(openSync(temporary, 'wx', mode));
    const file = await open(temporary, 'r+');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  });
}
