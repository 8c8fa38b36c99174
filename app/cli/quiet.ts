// Keeps what drivers print by themselves off the terminal: warnings of Dawn and Mesa that alarm for no reason.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';

const STDERR = 2;
const HERE = '/proc/self/fd';

/**
 * Runs `use`, meanwhile the error stream of native code leads nowhere, if it is a terminal or a pipe: those can be opened
 * again afterwards, while files would lose their place. Call it while no file is being opened, which could take the
 * stream's number.
 */
export async function quietly<T>(use: () => Promise<T>): Promise<T> {
  const kept = put(STDERR);
  if (kept === undefined) return use();
  closeSync(STDERR);
  openSync('/dev/null', 'w');
  try {
    return await use();
  } finally {
    closeSync(STDERR);
    put(kept);
    closeSync(kept);
  }
}

/** Opens what lies behind a number again, under the lowest number that is free; undefined where that cannot be done. */
function put(descriptor: number): number | undefined {
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isCharacterDevice() && !stats.isFIFO()) return undefined;
    // Not waiting for the reader of a pipe, who may have gone.
    return openSync(`${HERE}/${descriptor}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
