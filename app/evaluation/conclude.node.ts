// What is made of files of results: a table, summary.json, report.html.

import { join } from 'node:path';
import { metricOf } from '../../cam/metrics/index.ts';
import type { Pixels } from '../../models/pixels.ts';
import { writeWhole } from '../image/write.node.ts';
import { evaluationHtml, type WorstMap } from './html.node.ts';
import { fromRuns } from './record.ts';
import type { Results } from './results.node.ts';
import { type Summary, shown, summarise } from './summary.ts';

/** The picture of a name as the network sees it, where it can be read. */
export type PixelsOf = (name: string) => Promise<Pixels | undefined>;

/** Writes summary.json and report.html into `out`. */
export async function conclude(
  results: Results,
  out: string,
  pixelsOf: PixelsOf = async () => undefined,
): Promise<{ summary: Summary; files: readonly string[] }> {
  const [header] = results.headers;
  const { settings } = header!;
  const summary = summarise(settings, lines(results));
  const worst = new Map<string, WorstMap[]>();
  for (const { method, worst: names } of summary.methods) {
    const maps: WorstMap[] = [];
    for (const { name } of names)
      maps.push(...(await worstOf(results, method, settings.metrics[0]!, name, pixelsOf)));
    worst.set(method, maps);
  }
  const contents = {
    'summary.json': `${JSON.stringify({ settings, device: header!.device, ...summary }, null, 2)}\n`,
    'report.html': evaluationHtml(header!, summary, worst),
  };
  const files: string[] = [];
  for (const [name, content] of Object.entries(contents)) {
    files.push(join(out, name));
    await writeWhole(files.at(-1)!, Buffer.from(content));
  }
  return { summary, files };
}

function* lines({ names, read }: Results) {
  for (const name of names) yield read(name);
}

async function worstOf(
  { read }: Results,
  method: string,
  metric: string,
  name: string,
  pixelsOf: PixelsOf,
): Promise<WorstMap[]> {
  const line = read(name);
  if ('error' in line) return [];
  const [column] = metricOf(metric).columns;
  const sums = line.sums[method]?.[metric];
  const value = sums ? `${column!.title} ${shown(column!.value(fromRuns(sums)), column!.unit)}` : '';
  const pixels = await pixelsOf(name);
  return line.classes.flatMap(({ className, maps }) => {
    const map = maps[method];
    return map ? [{ name, className, value, map, pixels }] : [];
  });
}
