// What a run's numbers depend on in addition to the code.

import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { EngineProcess } from './engine-process.node.ts';
import type { Environment } from './results.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The commit checked out, marked where files differ from it; empty outside a repository. */
function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with changes' : '');
  } catch {
    return '';
  }
}

export function environment(
  engines: readonly Pick<EngineProcess, 'name' | 'adapter' | 'version'>[],
  asked: Pick<Environment, 'load' | 'rounds' | 'seconds'>,
): Environment {
  const [first] = engines;
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    adapter: first!.adapter,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    platform: `${process.platform} ${process.arch}, Node ${process.versions.node}`,
    engines: Object.fromEntries(engines.map(({ name, version, adapter }) => [name, { version, adapter }])),
    ...asked,
  };
}

export const currentLoad = (): number => Number(loadavg()[0]!.toFixed(2));
