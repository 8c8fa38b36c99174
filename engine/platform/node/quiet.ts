// Keeps what drivers print by themselves off the terminal: warnings of Dawn and Mesa that alarm for no reason.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const STDERR = 2;
const HERE = '/proc/self/fd';

/** How many are quiet at the moment, and under which number the stream is kept meanwhile. */
let depth = 0;
let kept: number | undefined;

/**
 * Runs `use`, meanwhile the error stream of native code leads nowhere, if it is a terminal or a pipe: those can be opened
 * again afterwards, while files would lose their place. What JavaScript writes there comes afterwards. The stream's number
 * is free for some microseconds: a file that another thread opens just then would take it.
 */
export async function quietly<T>(use: () => Promise<T>): Promise<T> {
  if (depth++ === 0) begin();
  try {
    return await use();
  } finally {
    if (--depth === 0) end();
  }
}

function begin(): void {
  // Another thread would put back what this one has put there.
  if (!isMainThread) return;
  process.stderr.cork();
  kept = put(STDERR);
  if (kept === undefined) return;
  closeSync(STDERR);
  openSync('/dev/null', 'w');
}

function end(): void {
  if (!isMainThread) return;
  if (kept !== undefined) {
    closeSync(STDERR);
    put(kept);
    closeSync(kept);
  }
  process.stderr.uncork();
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
