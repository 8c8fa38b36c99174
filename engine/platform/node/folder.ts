// Making folders, and which one is for what is kept.

import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Where no variable and no entry of the user says it, as for any user of a container, it is taken to be the root. */
function home(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}

/** The folder that LIMELIGHT_CACHE names, or `limelight` in the user's cache folder as the XDG specification has it. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.LIMELIGHT_CACHE) return env.LIMELIGHT_CACHE;
  // The XDG specification has relative paths ignored.
  const xdg = env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : undefined;
  return join(xdg ?? join(home(), '.cache'), 'limelight');
}

/**
 * Makes a folder and those above it that are missing; a folder that is there is left as it is. One by one, since Node's
 * own recursive mkdir never ends where the system says of a folder that is there that it is not (/proc, nodejs 20).
 * Throws the system's error where one cannot be made.
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  const found = await look(path);
  if (found === 'folder') return;
  const above = dirname(path);
  if (found === 'nothing' && above !== path) await makeFolder(above, mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    // Somebody else may have been faster.
    if ((await look(path)) !== 'folder') throw error;
  }
}

const look = (path: string): Promise<'folder' | 'nothing' | 'other'> =>
  stat(path).then(
    (entry) => (entry.isDirectory() ? 'folder' : 'other'),
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? 'nothing' : 'other'),
  );
