// Runs the command line as a user does: a process with arguments, two streams and an exit code.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../app/cli/main.ts', import.meta.url));
export const flags = ['--conditions=source', '--import', 'tsx', main];
export const shipped = (path: string) => fileURLToPath(new URL(`../../models/${path}`, import.meta.url));
export const scene = shipped('images/scene-1.png');

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const limelight = (...args: readonly string[]): Ended => limelightFed('', ...args);

/** The same with something on its standard input. */
export function limelightFed(input: string | Uint8Array, ...args: readonly string[]): Ended {
  return spawnSync(process.execPath, [...flags, ...args], { encoding: 'utf8', timeout: 120_000, input });
}

/** The same while this process goes on, to serve what the other one fetches. */
export function limelightBeside(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [...flags, ...args], { env: { ...process.env, ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.on('close', (status) => done({ status, stdout, stderr }));
  });
}

/** Whether stderr holds the stack of an error of ours, as only bugs print it. */
export const hasStack = (stderr: string): boolean => /^ {4}at .*\.[jt]s:\d+/m.test(stderr);

/** A folder for the length of `use`. */
export async function inFolder<T>(use: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
