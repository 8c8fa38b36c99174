// Other processes of a test: starting them, and whether they have ended.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Starts a TypeScript file of this folder in a process, of another user if told. */
export function start(
  file: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  uid?: number,
): ChildProcess & { readonly said: Promise<string> } {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', path, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid !== undefined && { uid }),
  });
  // The first line that it prints.
  const said = new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (text) => resolve(String(text).trim()));
    child.once('exit', (code, signal) => reject(new Error(`${file} ended with ${signal ?? code}, silent`)));
  });
  return Object.assign(child, { said });
}

/** Whether a process is there; one that has ended and was not asked for by its parent yet is not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** Whether something becomes true within a bound, in milliseconds. */
export async function comesTrue(is: () => boolean, bound: number): Promise<boolean> {
  for (const start = performance.now(); performance.now() - start < bound; await pause(20)) {
    if (is()) return true;
  }
  return is();
}
