// The first explanation from a cold process. What is started is what users start: the built command line, without a
// compiler of TypeScript in between. It is given the same picture twice and says when it is done with each.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freshDriver } from './engine-process.node.ts';

const inProject = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Builds the package, so that what is started is what is checked out; gives what to start. */
export async function builtCommand(): Promise<string[]> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: inProject('') });
  return [inProject('dist/app/cli/main.js')];
}

/**
 * Starts Node with `command` and explains a shipped picture twice by one method, files written and all. Milliseconds
 * from the start of the process to the first explanation, and from there to the second. Rejects with what the process
 * said where it fails.
 */
export async function explainTwice(
  command: readonly string[],
  model: string,
  method: string,
): Promise<readonly [first: number, second: number]> {
  const out = await mkdtemp(join(tmpdir(), 'limelight-cold-'));
  try {
    const picture = inProject('models/images/scene-1.png');
    const asked = ['explain', picture, picture, '--model', model, '--method', method, '--json', '--out', out];
    const times = [performance.now()];
    const child = spawn(process.execPath, [...command, ...asked], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: freshDriver(),
      timeout: PATIENCE_MS,
    });
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    createInterface(child.stdout).on('line', () => times.push(performance.now()));
    const [status] = await once(child, 'close');
    const [start, first, second] = times;
    if (status !== 0 || start === undefined || first === undefined || second === undefined) {
      throw new Error(`limelight ${asked.join(' ')} failed: ${said.trim()}`);
    }
    return [first - start, second - first];
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

const PATIENCE_MS = 120_000;
