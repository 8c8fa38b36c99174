// Keeps the tables of a README as a run's data says they are, between markers that name the file, or all of them:
//   <!-- table: results/bench-peers-gles.json -->
//   <!-- end of table -->
//   <!-- table: machines -->
//   <!-- end of table -->

import { barsOf } from '../bars.ts';
import type { Results } from '../results.ts';
import { barTable, machineOf, machinesTable, markdown, measurementTable, rates, takenOf } from './tables.ts';

const SECTION = /(<!-- table: (\S+) -->\n)[\s\S]*?(<!-- end of table -->)/g;

/** What a README shows of a run: where and when, and the bars; where there are none, the measurements. */
export function summary(results: Results): string {
  const { environment: e, peaks } = results;
  const bars = barsOf(results);
  return [
    `${e.adapter}, ${rates(peaks)} measured; ${machineOf(e)}; at most ${e.rounds} rounds in ${e.seconds} s a case; ` +
      `${takenOf(e)} UTC.`,
    '',
    markdown(bars.length > 0 ? barTable(bars) : measurementTable(results)),
  ].join('\n');
}

/**
 * The text with every marked table made anew: by `read`, which gives a file's results, of one run; or of all `machines`, a
 * row each. Without results a table stays as it is.
 */
export const fillTables = (
  text: string,
  read: (file: string) => Results | undefined,
  machines: readonly Results[],
): string =>
  text.replace(SECTION, (whole, start: string, file: string, end: string) => {
    if (file === 'machines') return `${start}\n${markdown(machinesTable(machines))}\n\n${end}`;
    const results = read(file);
    return results === undefined ? whole : `${start}\n${summary(results)}\n\n${end}`;
  });
