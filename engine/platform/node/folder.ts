// Making folders.

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

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
