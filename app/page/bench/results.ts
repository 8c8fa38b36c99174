// Results on the page: tables, plots, and what can be taken away.

import { heatPlot, rooflinePlot } from '../../../bench/report/plots.ts';
import { environmentTable, measurementTable, type Table } from '../../../bench/report/tables.ts';
import { labelOf, type Results } from '../../../bench/results.ts';
import { button, element, make } from '../dom.ts';
import { save } from '../save.ts';
import { fileNameOf, fragmentOf } from './share.ts';

/** A table of texts; `failed` are texts that say what went wrong. */
export function tableOf(
  { title, head, rows, note }: Table,
  failed: ReadonlySet<string> = new Set(),
): HTMLElement {
  const cells = (tag: 'th' | 'td', row: readonly string[]) =>
    make('tr', {}, ...row.map((cell) => make(tag, { class: failed.has(cell) && 'failed' }, cell)));
  const top = head.some(Boolean) ? [make('thead', {}, cells('th', head))] : [];
  const table = make('table', {}, ...top, make('tbody', {}, ...rows.map((row) => cells('td', row))));
  return make(
    'section',
    { 'aria-label': title },
    make('h3', {}, title),
    make('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': title }, table),
    ...(note ? [make('p', {}, note)] : []),
  );
}

/** Shows the tables of what is known so far. */
export function showTables(results: Results): void {
  element('results').hidden = false;
  const failed = results.measurements.flatMap(({ outcome }) => ('failed' in outcome ? [outcome.failed] : []));
  element('tables').replaceChildren(
    tableOf(measurementTable(results), new Set(failed)),
    tableOf(environmentTable(results)),
  );
}

let newest = 0;

/** Draws the plots, and offers the results as a file and a link. */
export async function showWhole(results: Results): Promise<void> {
  const mine = ++newest;
  showTables(results);
  const link = button(
    {},
    () => {
      history.replaceState(null, '', `${location.pathname}${location.search}${fragmentOf(results)}`);
      void navigator.clipboard.writeText(location.href).catch(() => {}); // it stands in the address, too
      link.textContent = 'Link copied';
    },
    'Copy link',
  );
  const file = () => save(fileNameOf(results), `${JSON.stringify(results, null, 1)}\n`, 'application/json');
  element('export').replaceChildren(button({}, file, 'Save results (.json)'), link);
  const { plotFigure } = await import('./plot.ts');
  const plots = [rooflinePlot(results), heatPlot([results])].filter((plot) => plot !== undefined);
  const figures = await Promise.all(plots.map(plotFigure));
  if (mine === newest) element('plots').replaceChildren(...figures);
}

/** Results with those of a case in place of earlier ones, and the engines that took part in it. */
export function withCase(
  results: Results,
  name: string,
  {
    work,
    engines = {},
    measurements,
  }: {
    work?: Results['work'][string];
    engines?: Results['environment']['engines'];
    measurements: Results['measurements'];
  },
): Results {
  const { environment } = results;
  return {
    ...results,
    environment: { ...environment, engines: { ...environment.engines, ...engines } },
    work: { ...results.work, ...(work && { [name]: work }) },
    measurements: [...results.measurements.filter((m) => m.case !== name), ...measurements],
  };
}

/** The fastest of a case in a sentence. */
export function fastestOf(results: Results, name: string): string {
  const timed = results.measurements.flatMap((m) =>
    m.case === name && 'samples' in m.outcome
      ? [{ label: labelOf(m), ms: Math.min(...m.outcome.samples) }]
      : [],
  );
  const [best] = timed.sort((a, b) => a.ms - b.ms);
  return best ? `The fastest of ${name} is ${best.label}.` : `Nothing of ${name} could be measured.`;
}
