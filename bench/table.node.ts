// Writes the tables of bench/README.md, and the heat map of machines, from the results that lie in results/. A file of
// another adapter that is dropped there makes a row.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseObject } from '../models/formats/json.ts';
import { readResults } from './read-results.ts';
import { draw } from './report/draw.node.ts';
import { fillTables } from './report/fill.ts';
import { heatPlot } from './report/plots.ts';
import type { Results } from './results.ts';

const at = (file: string) => new URL(file, import.meta.url);

function read(file: string): Results | undefined {
  if (existsSync(at(file))) return readResults(parseObject(readFileSync(at(file)), file), file);
  console.error(`bench/${file} has not been measured: its table stays as it is`);
  return undefined;
}

try {
  const machines = readdirSync(at('results'))
    .filter((name) => /^bench-kernels-.*\.json$/.test(name))
    .sort()
    .map((name) => read(`results/${name}`)!);
  writeFileSync(at('README.md'), fillTables(readFileSync(at('README.md'), 'utf8'), read, machines));
  const plot = heatPlot(machines);
  if (plot) writeFileSync(at('results/machines.svg'), (await draw(plot)).svg);
} catch (error) {
  console.error(`bench:table: ${(error as Error).message}`);
  process.exitCode = 1;
}
