#!/usr/bin/env node
// Starts the command line: in a checkout from its sources, so that nothing stale runs, else as it was built.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = new URL('app/cli/main.ts', import.meta.url);
if (existsSync(source)) {
  const flags = ['--conditions=source', '--import', import.meta.resolve('tsx'), fileURLToPath(source)];
  const { status, signal } = spawnSync(process.execPath, [...flags, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  if (signal) process.kill(process.pid, signal);
  process.exitCode = status ?? 1;
} else {
  await import('./dist/app/cli/main.js');
}
