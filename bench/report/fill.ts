// Keeps the tables of a README as a run's data says they are, between markers that name the file:
//   <!-- table: results/bench-peers-gles.json -->
//   <!-- end of table -->

import { barsOf } from '../bars.ts';
import type { Results } from '../results.ts';
import { barTable, digits, markdown, measurementTable } from './tables.ts';

const SECTION = /(<!-- table: (\S+) -->\n)[\s\S]*?(<!-- end of table -->)/g;

/** What a README shows of a run: where and when, and the bars; where there are none, the measurements. */
export function summary(results: Results): string {
  const { environment: e, peaks } = results;
  const bars = barsOf(results);
  return [
    `${e.adapter}, ${digits(peaks.flops / 1e9)} GFLOP/s and ${digits(peaks.bandwidth / 1e9)} GB/s measured; ` +
      `${e.cpu}, ${e.cores} cores, load ${e.load}; ${e.platform}; at most ${e.rounds} rounds in ${e.seconds} s a case; commit ${e.commit}, ${e.date} UTC.`,
    '',
    markdown(bars.length > 0 ? barTable(bars) : measurementTable(results)),
  ].join('\n');
}

/** The text with every marked table made anew from the results that `read` gives; without them it stays as it is. */
export const fillTables = (text: string, read: (file: string) => Results | undefined): string =>
  text.replace(SECTION, (whole, start: string, file: string, end: string) => {
    const results = read(file);
    return results === undefined ? whole : `${start}\n${summary(results)}\n\n${end}`;
  });
