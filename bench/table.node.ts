// Writes the tables of bench/README.md from the results committed beside it.

import { readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from './report/fill.ts';
import type { Results } from './results.ts';

const readme = new URL('./README.md', import.meta.url);

function read(file: string): Results {
  try {
    return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as Results;
  } catch (cause) {
    throw new Error(`bench/README.md has a table of bench/${file}, which cannot be read; measure it first`, {
      cause,
    });
  }
}

try {
  writeFileSync(readme, fillTables(readFileSync(readme, 'utf8'), read));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
