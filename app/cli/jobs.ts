// An evaluation in several processes of one machine: each is this command again, with a part to measure.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LimelightError } from '../../engine/errors.ts';
import type { Shard } from '../evaluation/record.ts';
import { note } from './progress.ts';

/**
 * Runs this process's command line for each of `count` parts at once; what they say is said with the part before it.
 *
 * @throws {LimelightError} when all have ended, where one of them failed.
 */
export async function inJobs(count: number): Promise<Shard[]> {
  const parts = Array.from({ length: count }, (_, i) => ({ index: i + 1, count }));
  const codes = await Promise.all(parts.map(run));
  const failed = parts.filter((_, i) => codes[i] !== 0).map(({ index }) => index);
  if (failed.length === 0) return parts;
  throw new LimelightError(
    `part ${failed.join(', ')} of ${count} was not measured to its end, for the reasons above; --resume goes on`,
  );
}

function run({ index, count }: Shard): Promise<number | null> {
  // Of an option that is given twice the last counts.
  const [, ...command] = [...process.argv, '--jobs', '1', '--shard', `${index}/${count}`];
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  createInterface({ input: child.stderr! }).on('line', (line) => note(`${index}/${count}: ${line}`));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
}

/** Has something done when the process is gone that started this one as one of its jobs. */
export function endWithParent(end: () => void): void {
  process.once('disconnect', end);
  // Waiting for that keeps nothing alive.
  process.channel?.unref();
}
