// Writes the tables of bench/README.md from the results committed beside it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from './report/fill.ts';
import type { Results } from './results.ts';

const readme = new URL('./README.md', import.meta.url);

function read(file: string): Results | undefined {
  const url = new URL(file, import.meta.url);
  if (existsSync(url)) return JSON.parse(readFileSync(url, 'utf8')) as Results;
  console.error(`bench/${file} has not been measured: its table stays as it is`);
  return undefined;
}

writeFileSync(readme, fillTables(readFileSync(readme, 'utf8'), read));
