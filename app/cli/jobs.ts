// A command in several processes of one machine: each is this command again, with a part of the pictures.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LimelightError } from '../../engine/errors.ts';
import type { Shard } from '../evaluation/record.ts';
import { note } from './progress.ts';

/** How drivers begin what they print: a process keeps that off a terminal, but not off the socket that leads here. */
const OF_DRIVERS = /^(?:Warning: |WARNING: |libEGL |MESA)/;

interface Work {
  /** Whether each prints what it finds; else that lies in files. */
  readonly print: boolean;
  /** What to do where one of them failed. */
  readonly advice: string;
}

/**
 * Runs this process's command line for each of `count` parts at once; what they say is said with the part before it.
 *
 * @throws {LimelightError} when all have ended, where one of them failed.
 */
export async function inJobs(count: number, { print, advice }: Work): Promise<Shard[]> {
  const parts = Array.from({ length: count }, (_, i) => ({ index: i + 1, count }));
  const codes = await Promise.all(parts.map((part) => run(part, print)));
  const failed = parts.filter((_, i) => codes[i] !== 0).map(({ index }) => index);
  if (failed.length === 0) return parts;
  throw new LimelightError(
    `part ${failed.join(', ')} of ${count} was not done to its end, for the reasons above${advice}`,
  );
}

function run({ index, count }: Shard, print: boolean): Promise<number | null> {
  // Of an option that is given twice the last counts.
  const [, ...command] = [...process.argv, '--jobs', '1', '--shard', `${index}/${count}`];
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    stdio: ['ignore', print ? 'inherit' : 'ignore', 'pipe', 'ipc'],
  });
  const isLoud = process.argv.includes('--verbose');
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (isLoud || !OF_DRIVERS.test(line)) note(`${index}/${count}: ${line}`);
  });
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
